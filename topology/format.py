"""The topology file's format, as types: they check a file, and its JSON Schema is generated from them.

``explain`` turns parsed content into these types, or says in plain words what is wrong where.
"""

from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

Id = Annotated[
    # Python's $ would let a last newline through.
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$(?!\n)", description="letters, digits, . _ -")
]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(gt=0, le=1)]
Point = tuple[NotNegative, NotNegative]


class Strict(Struct, forbid_unknown_fields=True):
    """Unknown fields are errors."""


class HyperbolicSpec(Strict, tag_field="kind", tag="hyperbolic"):
    """aN/(b+N)."""

    a: Positive
    b: Positive


class ExponentialSpec(Strict, tag_field="kind", tag="exponential"):
    """a(1 − e^(−N/b))."""

    a: Positive
    b: Positive


class MulticoreSpec(Strict, tag_field="kind", tag="multicore"):
    """m·min(N, k)."""

    m: Positive
    k: Positive


class PowerSpec(Strict, tag_field="kind", tag="power"):
    """aN^p."""

    a: Positive
    p: Annotated[float, Meta(gt=0, lt=1)]


class LogarithmicSpec(Strict, tag_field="kind", tag="logarithmic"):
    """a·ln(1+N/b)."""

    a: Positive
    b: Positive


class TableSpec(Strict, tag_field="kind", tag="table"):
    """Points (N, μ) here, or in a CSV file of two columns under a header line."""

    points: list[Point] | UnsetType = UNSET
    file: str | UnsetType = UNSET


class LlmSpec(Strict, tag_field="kind", tag="llm"):
    """A measured decode curve of the project's own library."""

    name: str


CurveSpec = (
    HyperbolicSpec | ExponentialSpec | MulticoreSpec | PowerSpec | LogarithmicSpec | TableSpec | LlmSpec
)


class Window(Strict):
    """Smoothing window in units of N."""

    width: NotNegative


class DispatcherEntry(Strict):
    """A dispatcher; rate in jobs per second at scale 1; host as an inventory names it."""

    id: Id
    rate: NotNegative
    host: Id | UnsetType = UNSET


class ServerEntry(Strict):
    """A server; smoothing relative to its curve's last kink, or an absolute window; or it learns its curve; host as an
    inventory names it.
    """

    id: Id
    curve: CurveSpec
    smoothing: NotNegative | Window | UnsetType = UNSET
    host: Id | UnsetType = UNSET
    learn: bool = False


class EdgeEntry(Strict, rename={"source": "from", "target": "to"}):
    """An edge; delay one way in seconds; weight is what policy static goes by."""

    source: str
    target: str
    delay: NotNegative = 0.0
    weight: NotNegative = 1.0


class ArrivalsEntry(Strict):
    """Arrivals with parameters: on and off of kind on-off (mean seconds), or a trace (kind may be left out)."""

    kind: Literal["poisson", "deterministic", "on-off", "trace"] | UnsetType = UNSET
    trace: str | UnsetType = UNSET
    speed: Positive | UnsetType = UNSET
    on: Positive | UnsetType = UNSET
    off: Positive | UnsetType = UNSET


class SizesSpec(Strict):
    """What all kinds of sizes share; the mean is 1 unless given, or what the trace has."""

    mean: Positive | UnsetType = UNSET

    @property
    def kind(self) -> str:
        """The tag."""
        return cast("str", self.__struct_config__.tag)


class ExponentialSizes(SizesSpec, tag_field="kind", tag="exponential"):
    """Exponential."""


class DeterministicSizes(SizesSpec, tag_field="kind", tag="deterministic"):
    """All alike."""


class LognormalSizes(SizesSpec, tag_field="kind", tag="lognormal"):
    """Lognormal; sigma is the standard deviation of the logarithm."""

    sigma: Positive | UnsetType = UNSET


class BoundedParetoSizes(SizesSpec, tag_field="kind", tag="bounded-pareto"):
    """Bounded Pareto with tail index alpha; ratio is largest over smallest."""

    alpha: Positive | UnsetType = UNSET
    ratio: Annotated[float, Meta(gt=1)] | UnsetType = UNSET


class TraceSizes(SizesSpec, tag_field="kind", tag="trace"):
    """Generated tokens of a trace: this one, or the arrivals' own."""

    trace: str | UnsetType = UNSET


SizesEntry = ExponentialSizes | DeterministicSizes | LognormalSizes | BoundedParetoSizes | TraceSizes


class WorkloadEntry(Strict):
    """What arrives."""

    arrivals: Literal["poisson", "deterministic", "on-off"] | ArrivalsEntry = "poisson"
    sizes: Literal["exponential", "deterministic", "lognormal", "bounded-pareto", "trace"] | SizesEntry = (
        "exponential"
    )


class RunEntry(Strict):
    """Defaults of gmsr run; times in emulated seconds."""

    policy: str = "gmsr"
    duration: Positive = 60.0
    warmup: NotNegative = 10.0
    seed: int = 1


class FaultSpec(Strict, kw_only=True):
    """What all faults share; at in emulated seconds from the run's start."""

    at: NotNegative


class AgentFault(FaultSpec, kw_only=True):
    """A fault of one agent."""

    agent: str


class LastingFault(FaultSpec, kw_only=True, rename={"span": "for"}):
    """A fault that lasts for a time, or to the end."""

    span: Positive | UnsetType = UNSET


class EdgeFault(LastingFault, kw_only=True):
    """A fault of one edge, of all edges of an agent, of all between a group and the others, or between two hosts."""

    edge: tuple[str, str] | UnsetType = UNSET
    hosts: tuple[str, str] | UnsetType = UNSET
    agent: str | UnsetType = UNSET
    group: Annotated[list[str], Meta(min_length=1)] | UnsetType = UNSET


class ShareFault(EdgeFault, kw_only=True):
    """A fault of some frames: each with this probability."""

    share: Share


class Crash(AgentFault, kw_only=True, tag_field="kind", tag="crash"):
    """Killed; started again after that many seconds, or never."""

    restart: Positive | UnsetType = UNSET


class Freeze(LastingFault, kw_only=True, tag_field="kind", tag="freeze"):
    """Stopped, then continued as if nothing had happened."""

    agent: str


class Drain(AgentFault, tag_field="kind", tag="drain"):
    """Leaves in order: finishes what it holds, and gets nothing new."""


class Join(AgentFault, tag_field="kind", tag="join"):
    """Comes only now; not there before."""


class Slow(LastingFault, kw_only=True, tag_field="kind", tag="slow"):
    """The service rate is multiplied, or follows another curve."""

    server: str
    factor: Positive | UnsetType = UNSET
    curve: CurveSpec | UnsetType = UNSET


class Surge(LastingFault, kw_only=True, tag_field="kind", tag="surge"):
    """The arrival rate is multiplied."""

    dispatcher: str
    factor: Positive


class PolicyChange(FaultSpec, kw_only=True, tag_field="kind", tag="policy"):
    """Dispatchers follow another policy, until the next such change; all of them, if none is named."""

    policy: str
    dispatcher: str | UnsetType = UNSET
    group: Annotated[list[str], Meta(min_length=1)] | UnsetType = UNSET


class Cut(EdgeFault, tag_field="kind", tag="cut"):
    """Nothing passes."""


class Delay(EdgeFault, kw_only=True, tag_field="kind", tag="delay"):
    """Frames take longer by seconds, one way, and by a uniform extra in [0, jitter]."""

    seconds: NotNegative
    jitter: NotNegative = 0.0


class Loss(ShareFault, tag_field="kind", tag="loss"):
    """A share of frames is lost."""


class Duplicate(ShareFault, tag_field="kind", tag="duplicate"):
    """A share of frames comes twice."""


class Reorder(ShareFault, tag_field="kind", tag="reorder"):
    """A share of frames may be overtaken; in simulated runs only."""


class KillLauncher(FaultSpec, tag_field="kind", tag="kill-launcher"):
    """The launcher is killed; in live runs only."""


class KillTelemetry(FaultSpec, tag_field="kind", tag="kill-telemetry"):
    """Telemetry is killed; in live runs only."""


class LoseHost(FaultSpec, kw_only=True, tag_field="kind", tag="lose-host"):
    """A host is gone, with all that runs there; in live runs on several hosts only."""

    host: str


FaultEntry = (
    Crash | Freeze | Drain | Join | Slow | Surge | PolicyChange | Cut | Delay | Loss | Duplicate | Reorder
    | KillLauncher | KillTelemetry | LoseHost
)  # fmt: skip


class FaultsFile(Strict):
    """A schedule of faults in a file of its own."""

    faults: list[FaultEntry]


class TopologyFile(Strict):
    """A gmsr topology."""

    dispatchers: Annotated[list[DispatcherEntry], Meta(min_length=1)]
    servers: Annotated[list[ServerEntry], Meta(min_length=1)]
    edges: Literal["complete"] | list[tuple[str, str] | EdgeEntry]
    name: str = ""
    scale: Positive = 1.0
    workload: WorkloadEntry = msgspec.field(default_factory=WorkloadEntry)
    run: RunEntry = msgspec.field(default_factory=RunEntry)
    faults: list[FaultEntry] = msgspec.field(default_factory=list)


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the topology file."""
    made = msgspec.json.schema(TopologyFile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gmsr topology", **made}
