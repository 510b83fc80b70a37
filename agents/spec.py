"""The plain data that one agent starts from: the launcher writes it, ``process.py`` reads it.

A specification travels as a msgpack map over the fork server's pipe, so every field is a number, a
string, a list or a map. An agent learns nothing else about the testbed: not the graph, not the other
dispatchers, not the rates.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal, NotRequired, TypedDict


class ArrivalsSpec(TypedDict):
    """How a dispatcher's jobs arrive; ``rate`` in jobs per emulated second (scale included)."""

    kind: Literal["poisson", "deterministic", "on-off", "trace"]
    rate: float
    on: float  # mean length of a burst, emulated seconds (on-off)
    off: float  # mean length of a silence, emulated seconds (on-off)
    schedule: (
        str  # path of this dispatcher's prepared schedule: rows of little-endian <dd arrival, size (trace)
    )


class SizesSpec(TypedDict):
    """How large jobs are; a size is in units of the curve times the scale."""

    kind: Literal["exponential", "deterministic", "lognormal", "bounded-pareto", "trace", "schedule"]
    mean: float
    sigma: float  # of the logarithm (lognormal)
    alpha: float  # tail index (bounded-pareto)
    ratio: float  # largest over smallest size (bounded-pareto)
    values: str  # path of little-endian doubles to draw from (trace); "schedule" takes the arrival's own size


class KeysSpec(TypedDict):
    """What an agent on tcp edges proves itself with: ``broker.keys.Keys``."""

    run: str
    public: str
    secret: str
    peers: dict[str, str]
    names: dict[str, str]


class AgentSpec(TypedDict):
    """What agents of both roles are told."""

    id: str
    run: str  # token of the run: an edge refuses peers of another run
    life: int  # 1, and one more each time that it is started again
    born: float  # when this life begins, emulated seconds; 0: with the run
    start_ns: int  # of the monotonic clock, where the run has begun already; 0: the launcher will say
    pace: float  # emulated seconds per real second
    duration: float  # emulated seconds
    cooldown: float  # emulated seconds at most, after the duration
    heartbeat: float  # emulated seconds (agents/suspicion.py)
    seed: int
    rows: str  # path of the raw journal
    errors: str  # path that the agent's standard error goes to
    statement: str  # path of the final statement (JSON)
    telemetry: str  # datagram socket of the fork server
    control: str  # datagram socket that the agent binds
    telemetry_real_s: float
    reads: list[str]  # quantities that the policy reads, in order; reports carry them
    extras: list[str]  # quantities that the feed adds to them
    corrected: bool  # and, last, the newest job of the dispatcher that the server has seen
    delays: dict[str, float]  # one-way delay of the edge to a peer, emulated seconds; absent: none
    keys: NotRequired[KeysSpec]  # on tcp edges only
    orders: NotRequired[list[dict[str, Any]]]  # of the operator, in force when this life begins


class ServerSpec(AgentSpec):
    """A server: its curve, and who may send to it."""

    role: Literal["server"]
    address: str  # to bind
    far_address: str  # to bind too, for dispatchers on other hosts; empty: there are none
    dispatchers: list[str]
    curve: dict[str, object]  # topology.curves.make reads it
    scale: float
    smoothing: float  # window w in units of N; 0 reports the slope at N itself
    learn: bool  # it is not told its curve, and reports by what its jobs show of it
    feed: str  # module:Class
    feed_options: dict[str, str]
    drop: bool  # throw out the jobs of a dispatcher that is gone


class DispatcherSpec(AgentSpec):
    """A dispatcher: its own servers, its own arrivals, its policy."""

    role: Literal["dispatcher"]
    servers: list[str]
    addresses: list[str]  # where each of them listens
    weights: list[float]  # of its edges (policy static)
    arrivals: ArrivalsSpec
    sizes: SizesSpec
    policy: str  # module:Class
    options: dict[str, str]  # the policy's own
    asking: dict[str, str] | None  # how servers are asked (feeds/asking.py); None: they tell by themselves
    again: bool  # at-least-once: what may be lost is sent again


def reborn(
    spec: DispatcherSpec | ServerSpec, life: int, born: float, start_ns: int
) -> DispatcherSpec | ServerSpec:
    """The specification of an agent that is started again in the course of a run: a life with files of its own."""
    again = spec.copy()
    again["life"], again["born"], again["start_ns"] = life, born, start_ns
    for field in ("rows", "errors", "statement"):
        folder, _, name = spec[field].rpartition("/")
        again[field] = f"{folder}/{spec['id']}@{life}.{name.rpartition('.')[2]}"
    return again


def met(spec: DispatcherSpec | ServerSpec, order: Mapping[str, Any]) -> DispatcherSpec | ServerSpec:
    """The specification of an agent that was told of a new peer (order ``join``): what its next life starts from."""
    again = spec.copy()
    peer = order["peer"]
    if order["delay"]:
        again["delays"] = {**spec["delays"], peer: order["delay"]}
    if again["role"] == "server":
        again["dispatchers"] = [*again["dispatchers"], peer]
    else:
        again["servers"] = [*again["servers"], peer]
        again["addresses"] = [*again["addresses"], order["address"]]
        again["weights"] = [*again["weights"], order["weight"]]
    return again


def load(name: str) -> Any:
    """The object that ``module:Class`` names. Raises ImportError or AttributeError if there is none."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
