"""From a topology and the user's options to what each agent is told."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gmsr.agents.spec import AgentSpec, ArrivalsSpec, DispatcherSpec, ServerSpec, SizesSpec
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Edge, Server, Topology

from .choices import Choice
from .place.base import Site
from .tcp import Tcp

COOLDOWN = 0.1
"""Longest time, as a share of the duration, that load goes on for the last measured jobs to finish."""
HEARTBEAT_REAL_S = 0.1
HEARTBEATS_A_SECOND = 1000
"""All edges together are kept to so many, where nothing else is said on them."""
STATUS_REAL_S = 1.0
STATUS_A_SECOND = 100
"""Telemetry of all agents together is kept to so many datagrams a second."""

EDGES = ("ipc", "tcp")


class Options(NamedTuple):
    """What the user may choose for a run. Times in emulated seconds."""

    policy: str = "gmsr"
    feed: str = ""  # the policy's own
    duration: float = 60.0
    warmup: float = 10.0
    seed: int = 1
    scale: float = 1.0
    pace: float = 1.0
    survive: bool = False
    again: bool = False  # at-least-once: dispatchers send again what may be lost
    drop: bool = False  # servers throw out the jobs of a dispatcher that is gone
    edges: str = "ipc"  # or tcp
    chaos: int | None = None  # seed of faults that are drawn

    @property
    def cooldown(self) -> float:
        """The longest cool-down."""
        return COOLDOWN * self.duration


class Inputs(NamedTuple):
    """Prepared files: a schedule by dispatcher (trace arrivals), values that sizes are drawn from."""

    schedules: Mapping[str, Path]
    values: Path | None
    mean_size: float

    def of(self, dispatcher: str) -> list[Path]:
        """The files that one of the dispatchers reads."""
        return [file for file in (self.schedules.get(dispatcher), self.values) if file]


def options(topology: Topology, **chosen: Any) -> Options:
    """The file's defaults under what was chosen (None: not chosen). Raises UserError if they do not fit."""
    run = topology.run
    defaults = Options(run.policy, "", run.duration, run.warmup, run.seed, topology.scale)
    made = defaults._replace(**{name: value for name, value in chosen.items() if value is not None})
    if not 0.0 < made.duration < float("inf"):
        raise UserError(f"--duration: {made.duration:g} s is no time to measure; give seconds > 0")
    if not 0.0 <= made.warmup < made.duration:
        raise UserError(
            f"--warmup: {made.warmup:g} s leaves nothing of a duration of {made.duration:g} s; "
            "make it shorter"
        )
    for name in ("scale", "pace"):
        if not 0.0 < getattr(made, name) < float("inf"):
            raise UserError(f"--{name}: {getattr(made, name):g} must be a number > 0")
    if made.edges not in EDGES:
        raise UserError(f"--edges: {made.edges!r} is unknown; choose one of {', '.join(EDGES)}")
    return made


def telemetry_real_s(agents: int) -> float:
    """How often each of so many agents says how it fares."""
    return max(STATUS_REAL_S, agents / STATUS_A_SECOND)


def specs(
    topology: Topology,
    chosen: Options,
    policy: Choice,
    run_dir: Path,
    sockets: str,
    token: str,
    inputs: Inputs,
    tcp: Tcp | None = None,
    sites: Mapping[str, Site] | None = None,
) -> list[ServerSpec | DispatcherSpec]:
    """One specification an agent, servers first, so that dispatchers find them listening.

    ``tcp`` has the addresses and keys of edges that are to be tcp: all, if that was chosen, and those between hosts.
    ``sites``: where each agent runs; None: all in ``run_dir``, with their sockets in ``sockets``.
    """
    assert tcp is not None or chosen.edges == "ipc", "edges are what was chosen"
    here = Site("", str(run_dir), sockets)

    def site(name: str) -> Site:
        return sites[name] if sites else here

    def common(own_id: str, delays: dict[str, float]) -> AgentSpec:
        return _common(topology, chosen, policy, token, site(own_id), own_id, delays)

    def address(server: str, dispatcher: str) -> str:
        there = site(server)
        if tcp and (chosen.edges == "tcp" or site(dispatcher).host != there.host):
            return tcp.address(server)
        return f"ipc://{there.sockets}/{server}.ipc"

    made: list[ServerSpec | DispatcherSpec] = []
    for server in topology.servers:
        edges = topology.dispatchers_of(server.id)
        shared = common(server.id, {edge.dispatcher: edge.delay for edge in edges})
        near = address(server.id, server.id)
        far = {address(server.id, edge.dispatcher) for edge in edges} - {near}
        made.append(_server(shared, server, edges, chosen, policy, near, *far))
    for dispatcher in topology.dispatchers:
        edges = topology.servers_of(dispatcher.id)
        shared = common(dispatcher.id, {edge.server: edge.delay for edge in edges})
        folder = site(dispatcher.id).folder
        arrivals = _arrivals(topology, dispatcher.id, dispatcher.rate * chosen.scale, inputs, folder)
        addresses = [address(edge.server, dispatcher.id) for edge in edges]
        sizes = _sizes(topology, inputs, folder)
        made.append(_dispatcher(shared, edges, chosen, policy, addresses, arrivals, sizes))
    if tcp:
        for spec in made:
            spec["keys"] = tcp.keys(spec["id"])
    return made


def _common(
    topology: Topology,
    chosen: Options,
    policy: Choice,
    token: str,
    site: Site,
    own_id: str,
    delays: Mapping[str, float],
) -> AgentSpec:
    agents = len(topology.servers) + len(topology.dispatchers)
    return {
        "id": own_id,
        "run": token,
        "pace": chosen.pace,
        "life": 1,
        "born": 0.0,
        "start_ns": 0,
        "duration": chosen.duration,
        "cooldown": chosen.cooldown,
        "heartbeat": chosen.pace * max(HEARTBEAT_REAL_S, len(topology.edges) / HEARTBEATS_A_SECOND),
        "seed": chosen.seed,
        "rows": f"{site.folder}/agents/{own_id}.rows",
        "errors": f"{site.folder}/agents/{own_id}.err",
        "statement": f"{site.folder}/agents/{own_id}.json",
        "telemetry": f"{site.sockets}/nursery",
        "control": f"{site.sockets}/{own_id}.ctl",
        "telemetry_real_s": telemetry_real_s(agents),
        "reads": list(policy.reads),
        "extras": list(policy.feed.extras),
        "corrected": policy.feed.corrected,
        "delays": {peer: delay for peer, delay in delays.items() if delay},
    }


def prepare(topology: Topology, chosen: Options, folder: Path) -> Inputs:
    """Write the files that agents play traces from. Raises UserError where a trace is too short."""
    arrivals, sizes = topology.arrivals, topology.sizes
    schedules: dict[str, Path] = {}
    values = None
    mean = sizes.mean or 1.0
    if arrivals.kind == "trace" or sizes.kind == "trace":
        from . import traces
    if arrivals.kind == "trace":
        trace = traces.read(Path(arrivals.trace))
        speed = arrivals.speed * chosen.scale
        if float(trace.seconds[-1]) / speed < chosen.warmup:
            raise UserError(
                f"{arrivals.trace}: at speed {speed:g} the trace ends after "
                f"{trace.seconds[-1] / speed:.3g} s, before the warm-up of {chosen.warmup:g} s; "
                "play it more slowly"
            )
        if trace.span / speed < chosen.duration:
            raise UserError(
                f"{arrivals.trace}: at speed {speed:g} the trace lasts {trace.span / speed:.4g} s, the run "
                f"{chosen.duration:g} s; shorten the duration or play it more slowly"
            )
        shares = {dispatcher.id: dispatcher.rate for dispatcher in topology.dispatchers}
        for name, rows in traces.split(trace, shares, chosen.seed, speed).items():
            schedules[name] = folder / f"{name}.schedule"
            traces.save_doubles(schedules[name], rows)
        if sizes.kind == "trace" and not sizes.trace:
            mean = float(trace.sizes.mean())
    if sizes.kind == "trace" and (sizes.trace or sizes.mean is not None):
        drawn = traces.read(Path(sizes.trace or arrivals.trace)).sizes
        mean = sizes.mean or float(drawn.mean())
        values = folder / "sizes.values"
        traces.save_doubles(values, drawn * (mean / float(drawn.mean())))
    return Inputs(schedules, values, mean)


def _server(
    common: AgentSpec,
    server: Server,
    edges: Sequence[Edge],
    chosen: Options,
    policy: Choice,
    address: str,
    far_address: str = "",
) -> ServerSpec:
    return {
        **common,
        "role": "server",
        "address": address,
        "far_address": far_address,
        "dispatchers": [edge.dispatcher for edge in edges],
        "curve": server.curve.describe(),
        "scale": chosen.scale,
        "smoothing": server.width,
        "feed": policy.feed.target,
        "feed_options": policy.feed.options,
        "drop": chosen.drop,
    }


def _dispatcher(
    common: AgentSpec,
    edges: Sequence[Edge],
    chosen: Options,
    policy: Choice,
    addresses: list[str],
    arrivals: ArrivalsSpec,
    sizes: SizesSpec,
) -> DispatcherSpec:
    return {
        **common,
        "role": "dispatcher",
        "servers": [edge.server for edge in edges],
        "addresses": addresses,
        "weights": [edge.weight for edge in edges],
        "arrivals": arrivals,
        "sizes": sizes,
        "policy": policy.target,
        "options": policy.options,
        "asking": policy.feed.asking,
        "again": chosen.again,
    }


def _arrivals(topology: Topology, dispatcher: str, rate: float, inputs: Inputs, folder: str) -> ArrivalsSpec:
    arrivals = topology.arrivals
    return {
        "kind": arrivals.kind,  # type: ignore[typeddict-item]  # checked where the file is read
        "rate": rate,
        "on": arrivals.on,
        "off": arrivals.off,
        "schedule": _input(inputs.schedules.get(dispatcher), folder),
    }


def _sizes(topology: Topology, inputs: Inputs, folder: str) -> SizesSpec:
    sizes = topology.sizes
    kind = "schedule" if sizes.kind == "trace" and inputs.values is None else sizes.kind
    return {
        "kind": kind,  # type: ignore[typeddict-item]  # checked where the file is read
        "mean": inputs.mean_size,
        "sigma": sizes.sigma,
        "alpha": sizes.alpha,
        "ratio": sizes.ratio,
        "values": _input(inputs.values, folder),
    }


def _input(prepared: Path | None, folder: str) -> str:
    """Where a prepared file is found, by an agent whose run directory is ``folder``."""
    return f"{folder}/inputs/{prepared.name}" if prepared else ""
