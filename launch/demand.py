"""What a topology's workload asks for: jobs a second by dispatcher, and their mean size."""

from pathlib import Path
from typing import NamedTuple

from gmsr.topology.curves import last_kink
from gmsr.topology.errors import RunError, UserError
from gmsr.topology.graph import Topology


class Demand(NamedTuple):
    """Rates in jobs per second at scale 1; sizes in the unit of the curves."""

    rates: dict[str, float]
    mean_size: float

    @property
    def volume(self) -> dict[str, float]:
        """Offered volume per second, by dispatcher."""
        return {name: rate * self.mean_size for name, rate in self.rates.items()}


def demand(topology: Topology) -> Demand:
    """The nominal demand; a trace's is its mean over its whole length, split by the dispatchers' rates.

    Raises UserError where a trace cannot be read.
    """
    rates = {dispatcher.id: dispatcher.rate for dispatcher in topology.dispatchers}
    sizes, arrivals = topology.sizes, topology.arrivals
    if arrivals.kind == "trace":
        from . import traces

        total = traces.read(Path(arrivals.trace)).rate * arrivals.speed
        whole = sum(rates.values())
        if not whole:
            raise UserError("dispatchers: all rates are 0; with a trace they are its shares: give them some")
        rates = {name: total * rate / whole for name, rate in rates.items()}
    if sizes.mean is not None:
        return Demand(rates, sizes.mean)
    if sizes.kind == "trace":
        from . import traces

        return Demand(rates, float(traces.read(Path(sizes.trace or arrivals.trace)).sizes.mean()))
    return Demand(rates, 1.0)


def informed(topology: Topology) -> Topology:
    """The same topology with the central optimum's flows as weights of its edges: what policy ``oracle`` goes by.

    Travel counts where edges have delays. Under overload the flows are those of the long run (``theory.overload``).
    Raises RunError where no certified optimum was found.
    """
    from gmsr.topology.theory.optimum import NoOptimum, Overloaded, solve
    from gmsr.topology.theory.overload import decompose

    wanted = demand(topology)
    try:
        try:
            flows = solve(topology, wanted.volume, job_size=wanted.mean_size).flows
        except Overloaded:
            flows = decompose(topology, wanted.volume).flows
    except NoOptimum as error:
        raise RunError(f"policy oracle: {error}") from error
    idle = {
        name for name, split in flows.items() if not sum(split.values()) > 0.0
    }  # any weight will do there
    edges = tuple(
        edge._replace(weight=1.0 if edge.dispatcher in idle else flows[edge.dispatcher].get(edge.server, 0.0))
        for edge in topology.edges
    )
    return topology._replace(edges=edges)


def smoothed(topology: Topology, window: float) -> Topology:
    """All windows set to ``window`` times the last kink of the server's curve; 0 turns smoothing off."""
    if not 0.0 <= window < float("inf"):
        raise UserError(f"--smoothing: {window:g} must be a number ≥ 0, relative to a curve's last kink")
    if any(each.learn for each in topology.servers):
        raise UserError(
            "--smoothing: servers that learn smooth what they learned in their own way; leave it out"
        )
    servers = tuple(each._replace(smoothing=window * last_kink(each.curve)) for each in topology.servers)
    return topology._replace(servers=servers)


def learning(topology: Topology) -> Topology:
    """The same topology with servers that do not know their curves, and learn them."""
    servers = tuple(each._replace(learn=True, smoothing=None) for each in topology.servers)
    return topology._replace(servers=servers)


def at_load(topology: Topology, load: float) -> Topology:
    """The same topology with its demand scaled to a load factor: rates, or the speed of a trace.

    Raises UserError where no capacity limits the demand, so that it has no load.
    """
    from gmsr.topology.generate import with_rates
    from gmsr.topology.theory.capacity import load_factor

    if not 0.0 < load < float("inf"):
        raise UserError(f"--load: {load:g} must be a number > 0")
    now = load_factor(topology, demand(topology).volume)
    if not now:
        raise UserError("--load: servers without a cap can carry any demand here; set the rates instead")
    if topology.arrivals.kind == "trace":
        arrivals = topology.arrivals
        return topology._replace(arrivals=arrivals._replace(speed=arrivals.speed * load / now))
    return with_rates(topology, load / now)
