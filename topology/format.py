"""The topology file's format, as types: they check a file, and its JSON Schema is generated from them.

``convert`` turns parsed content into these types, or says in plain words what is wrong where.
"""

from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from . import curves

Id = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="letters, digits, . _ -")]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
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
    """A dispatcher; rate in jobs per second at scale 1."""

    id: Id
    rate: NotNegative


class ServerEntry(Strict):
    """A server; smoothing relative to its curve's last kink, or an absolute window."""

    id: Id
    curve: CurveSpec
    smoothing: NotNegative | Window | UnsetType = UNSET


class EdgeEntry(Strict, rename={"source": "from", "target": "to"}):
    """An edge; delay one way in seconds; weight is what policy static goes by."""

    source: str
    target: str
    delay: NotNegative = 0.0
    weight: NotNegative = 1.0


class ArrivalsEntry(Strict):
    """Arrivals that need parameters."""

    kind: Literal["poisson", "deterministic", "on-off", "trace"] | UnsetType = UNSET
    trace: str | UnsetType = UNSET
    speed: Positive = 1.0
    on: Positive = 1.0
    off: Positive = 1.0


class SizesEntry(Strict):
    """Sizes that need parameters."""

    kind: Literal["exponential", "deterministic", "lognormal", "bounded-pareto", "trace"]
    mean: Positive | UnsetType = UNSET
    sigma: Positive = 1.0
    alpha: Positive = 1.5
    ratio: Annotated[float, Meta(gt=1)] = 1000.0
    trace: str | UnsetType = UNSET


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


class TopologyFile(Strict):
    """A gmsr topology."""

    dispatchers: Annotated[list[DispatcherEntry], Meta(min_length=1)]
    servers: Annotated[list[ServerEntry], Meta(min_length=1)]
    edges: Literal["complete"] | list[tuple[str, str] | EdgeEntry]
    name: str = ""
    scale: Positive = 1.0
    workload: WorkloadEntry = msgspec.field(default_factory=WorkloadEntry)
    run: RunEntry = msgspec.field(default_factory=RunEntry)


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the topology file."""
    made = msgspec.json.schema(TopologyFile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gmsr topology", **made}


class Refused(Exception):
    """A field that is wrong, without the file's name."""


class _Converter:
    """Turns parsed content into the types above, or says in plain words what is wrong where."""

    def __init__(self, content: dict[Any, Any]) -> None:
        self._content = content

    def convert(self) -> TopologyFile:
        self._refuse_not_finite(self._content, "")
        try:
            # Not strict: YAML 1.1 takes 1e3 for text, and a number in quotes is a number meant.
            return msgspec.convert(self._content, TopologyFile, strict=False)
        except msgspec.ValidationError as error:
            raise Refused(self._explain(str(error))) from error

    def _refuse_not_finite(self, value: object, place: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                self._refuse_not_finite(item, f"{place}.{key}" if place else str(key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._refuse_not_finite(item, f"{place}[{index}]")
        elif (isinstance(value, float) and not abs(value) < float("inf")) or (
            isinstance(value, str)
            and value.strip().lower() in {"nan", "inf", "-inf", "infinity", "-infinity"}
        ):
            raise Refused(f"{self._name(place)}: {value} is no finite number; give one")

    def _explain(self, message: str) -> str:
        """msgspec's message, its place first: 'servers[1] (s2).curve.a: expected float > 0'."""
        what, _, place = message.partition(" - at `")
        place = place.rstrip("`").removeprefix("$").removeprefix(".")
        what = what[0].lower() + what[1:]
        value = self._value(place)
        if place.endswith(".kind"):
            known = self._kinds(place)
            what, mend = f"unknown kind {value!r}", f"choose one of {known}"
        elif "unknown field" in what:
            field = what.split("`")[1]
            what, mend = f"unknown field '{field}'", "remove it, or mend its spelling"
        elif "missing required field" in what:
            field = what.split("`")[1]
            what, mend = f"field '{field}' is missing", "add it"
        else:
            shown = (
                f", got a {type(value).__name__}" if isinstance(value, (dict, list)) else f", got {value!r}"
            )
            what, mend = what.replace("`", "").partition(", got ")[0] + shown, "mend the value"
        return f"{self._name(place)}: {what}; {mend}"

    @staticmethod
    def _kinds(place: str) -> str:
        if ".curve" in place:
            return ", ".join([*curves.KINDS, "llm"])
        known = SizesEntry if "sizes" in place else ArrivalsEntry
        kinds = known.__annotations__["kind"]
        literal = kinds if not hasattr(kinds, "__args__") else kinds.__args__
        names = [
            name for part in literal for name in getattr(part, "__args__", (part,)) if isinstance(name, str)
        ]
        return ", ".join(names)

    def _steps(self, place: str) -> list[str | int]:
        return [
            int(step) if step.isdigit() else step
            for step in place.replace("[", ".").replace("]", "").split(".")
            if step
        ]

    def _value(self, place: str) -> object:
        value: Any = self._content
        for step in self._steps(place):
            try:
                value = value[step]
            except (LookupError, TypeError):
                return None
        return cast("object", value)

    def _name(self, place: str) -> str:
        """The place, with the id of the dispatcher or server that it is in."""
        if not place:
            return "file"
        steps = self._steps(place)
        if steps[0] in ("dispatchers", "servers") and len(steps) > 1:
            item = self._value(f"{steps[0]}[{steps[1]}]")
            if isinstance(item, dict) and isinstance(item.get("id"), str):
                head = f"{steps[0]}[{steps[1]}]"
                return place.replace(head, f"{head} ({item['id']})", 1)
        return place


def convert(content: dict[Any, Any]) -> TopologyFile:
    """A topology file's content, checked. Raises Refused, with the field and the mend."""
    return _Converter(content).convert()
