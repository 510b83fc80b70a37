"""The topology: a bipartite graph of dispatchers and servers, with what flows on it. Immutable plain data."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from .curves import Curve, last_kink
from .faults import Fault


class Dispatcher(NamedTuple):
    """A front door; ``rate`` in jobs per second at scale 1; ``host``: where it is to run; empty: wherever."""

    id: str
    rate: float
    host: str = ""


class Server(NamedTuple):
    """A back end. ``smoothing``: window w, in units of N, of the marginal it reports; None: the default. ``host``: as
    a dispatcher's. ``learn``: it does not know its curve, and reports by what its jobs show of it.
    """

    id: str
    curve: Curve
    smoothing: float | None = None
    host: str = ""
    learn: bool = False

    @property
    def width(self) -> float:
        """The window in force."""
        return default_smoothing(self.curve) if self.smoothing is None else self.smoothing


class Edge(NamedTuple):
    """A dispatcher may route to a server; ``delay`` one way in seconds; ``weight`` is policy ``static``'s."""

    dispatcher: str
    server: str
    delay: float = 0.0
    weight: float = 1.0


class Arrivals(NamedTuple):
    """How jobs arrive at each dispatcher."""

    kind: str = "poisson"  # or deterministic, on-off, trace
    trace: str = ""  # path (trace)
    speed: float = 1.0  # trace seconds per emulated second at scale 1 (trace)
    on: float = 1.0  # mean seconds of a burst (on-off)
    off: float = 1.0  # mean seconds of a silence (on-off)


class Sizes(NamedTuple):
    """How large jobs are, in the unit of the curves. ``mean`` None: 1, or what the trace has."""

    kind: str = "exponential"  # or deterministic, lognormal, bounded-pareto, trace
    mean: float | None = None
    sigma: float = 1.0  # standard deviation of the logarithm (lognormal)
    alpha: float = 1.5  # tail index (bounded-pareto)
    ratio: float = 1000.0  # largest over smallest (bounded-pareto)
    trace: str = ""  # path (trace; empty: the arrivals' own)


class RunDefaults(NamedTuple):
    """What ``gmsr run`` does unless told otherwise; times in emulated seconds."""

    policy: str = "gmsr"
    duration: float = 60.0
    warmup: float = 10.0
    seed: int = 1


class Topology(NamedTuple):
    """Everything that a topology file says, resolved: tables read, paths absolute."""

    name: str
    dispatchers: tuple[Dispatcher, ...]
    servers: tuple[Server, ...]
    edges: tuple[Edge, ...]
    scale: float = 1.0
    arrivals: Arrivals = Arrivals()
    sizes: Sizes = Sizes()
    run: RunDefaults = RunDefaults()
    faults: tuple[Fault, ...] = ()

    @property
    def hosts(self) -> dict[str, str]:
        """Where each agent is to run, of those that it is said of."""
        agents: list[Dispatcher | Server] = [*self.dispatchers, *self.servers]
        return {each.id: each.host for each in agents if each.host}

    def servers_of(self, dispatcher: str) -> tuple[Edge, ...]:
        """A dispatcher's edges, in the file's order."""
        return tuple(edge for edge in self.edges if edge.dispatcher == dispatcher)

    def dispatchers_of(self, server: str) -> tuple[Edge, ...]:
        """A server's edges, in the file's order."""
        return tuple(edge for edge in self.edges if edge.server == server)

    def without(self, names: Collection[str]) -> "Topology":
        """What is left when some agents are not there."""
        if not names:
            return self
        return self._replace(
            dispatchers=tuple(each for each in self.dispatchers if each.id not in names),
            servers=tuple(each for each in self.servers if each.id not in names),
            edges=tuple(
                each for each in self.edges if each.dispatcher not in names and each.server not in names
            ),
        )

    def components(self) -> list[list[str]]:
        """Ids of each connected component, dispatchers before servers, in the file's order."""
        ids = [dispatcher.id for dispatcher in self.dispatchers] + [server.id for server in self.servers]
        parent = {name: name for name in ids}

        def root(node: str) -> str:
            while parent[node] != node:
                parent[node] = node = parent[parent[node]]
            return node

        for edge in self.edges:
            parent[root(edge.dispatcher)] = root(edge.server)
        groups: dict[str, list[str]] = {}
        for node in parent:
            groups.setdefault(root(node), []).append(node)
        return list(groups.values())

    def to_dict(self) -> dict[str, Any]:
        """The form of a topology file, complete in itself."""
        plain = {
            "name": self.name,
            "dispatchers": [_dispatcher(dispatcher) for dispatcher in self.dispatchers],
            "servers": [_server(server) for server in self.servers],
            "edges": [_edge(edge) for edge in self.edges],
            "scale": self.scale,
            "workload": {"arrivals": _arrivals(self.arrivals), "sizes": _sizes(self.sizes)},
            "run": self.run._asdict(),
        }
        if self.faults:
            plain["faults"] = [fault.to_dict() for fault in self.faults]
        return plain


def default_smoothing(curve: Curve) -> float:
    """The window that a server smooths over unless its file says otherwise, in units of N.

    0 for smooth curves; for kinked ones ``DEFAULT_SMOOTHING`` of the last kink. Measured: see
    docs/smoothing.md.
    """
    return DEFAULT_SMOOTHING * last_kink(curve)


DEFAULT_SMOOTHING = 0.05


def _dispatcher(dispatcher: Dispatcher) -> dict[str, Any]:
    return {name: value for name, value in dispatcher._asdict().items() if value != ""}


def _server(server: Server) -> dict[str, Any]:
    plain: dict[str, Any] = {"id": server.id, "curve": server.curve.describe()}
    if server.smoothing is not None:
        plain["smoothing"] = {"width": server.smoothing}
    if server.host:
        plain["host"] = server.host
    if server.learn:
        plain["learn"] = True
    return plain


def _edge(edge: Edge) -> dict[str, Any]:
    plain: dict[str, Any] = {"from": edge.dispatcher, "to": edge.server}
    if edge.delay:
        plain["delay"] = edge.delay
    if edge.weight != 1.0:
        plain["weight"] = edge.weight
    return plain


def _arrivals(arrivals: Arrivals) -> Any:
    if arrivals.kind == "trace":
        return {"trace": arrivals.trace, "speed": arrivals.speed}
    if arrivals.kind == "on-off":
        return {"kind": "on-off", "on": arrivals.on, "off": arrivals.off}
    return arrivals.kind


def _sizes(sizes: Sizes) -> dict[str, Any]:
    fields: dict[str, Sequence[str]] = {
        "lognormal": ("sigma",),
        "bounded-pareto": ("alpha", "ratio"),
        "trace": ("trace",),
    }
    plain = sizes._asdict()
    kept = {name: plain[name] for name in fields.get(sizes.kind, ()) if plain[name] != ""}
    if sizes.mean is not None:
        kept["mean"] = sizes.mean
    return {"kind": sizes.kind, **kept}
