"""How bad naive policies can be: families of topologies on which one grows worse than the optimum without bound.

Each family has a parameter P ≥ 1, and figures in closed form: the optimum's workload, that of the naive policy's
fluid limit at rest, and so their ratio. GMSR stays at the optimum (MODEL section 10). What the families have in common:
the policy goes by something else than what one more job does to the service rate.

Rates are jobs, and volume, per second at scale 1. With jobs in plenty (``SCALE``) processes come near the fluid
limit. They take long to settle where a server is nearly full, some P² seconds: ``Family.settling`` tells, and the
topologies' runs warm up for as long.
"""

from collections.abc import Callable
from math import ceil, inf, sqrt
from typing import NamedTuple

from ..curves import Curve, Hyperbolic, Multicore
from ..errors import UserError
from ..graph import Dispatcher, Edge, RunDefaults, Server, Topology

SCALE = 100.0
"""Workloads of processes wander by about a tenth of their fluid value, and their means come within about 1 % of it."""
ROOMY = 4.0
"""Cores, in units of N, of multicore servers that must stay below their kink (where their smoothing ends, too)."""


class Family(NamedTuple):
    """One policy's bad case; functions are of the parameter P."""

    name: str
    policy: str
    what: str  # why, in a line
    formula: str  # of the ratio
    servers: Callable[[float], list[tuple[str, Curve]]]  # names and curves; one dispatcher reaches all
    rate: Callable[[float], float]  # λ, jobs per second at scale 1
    optimum: Callable[[float], float]  # Σ N*
    naive: Callable[[float], float]  # Σ N of the policy's fluid limit at rest
    settling: Callable[[float], float]  # emulated seconds from empty to within 1 % of that, or sooner
    largest: float = 1e6  # P at the most
    whole: bool = False  # P counts servers

    def topology(self, parameter: float, scale: float = SCALE) -> Topology:
        """The family's member; its run lasts until the policy has settled, and twice as long again."""
        servers = tuple(Server(name, curve) for name, curve in self.servers(parameter))
        warmup = float(ceil(self.settling(parameter)))
        return Topology(
            f"{self.name}-{parameter:g}",
            (Dispatcher("d", self.rate(parameter)),),
            servers,
            tuple(Edge("d", server.id) for server in servers),
            scale=scale,
            run=RunDefaults(duration=3.0 * warmup, warmup=warmup),
        )

    def ratio(self, parameter: float) -> float:
        """Σ N over Σ N*, and so mean latency over the least."""
        return self.naive(parameter) / self.optimum(parameter)


def _pigou(p: float) -> list[tuple[str, Curve]]:
    """Ample: latency P whatever it holds. Quick: aN/(b+N) with a = b = λ = 1, so that its latency is 1 + N.

    Naive: equal latencies fill quick to N = P − 1, which serves (P−1)/P; ample serves 1/P with N = 1. By Little's law,
    all latencies being P, Σ N = P. Optimum: quick's marginal 1/(1+N)² is ample's, 1/P, at N = √P − 1; ample serves the
    remaining 1/√P with N = √P. On the way there quick gains 1/(1+N) a second: (P²−1)/2 seconds.
    """
    return [("ample", Multicore(1.0 / p, ROOMY * p)), ("quick", Hyperbolic(1.0, 1.0))]


def _starved_fast(p: float) -> list[tuple[str, Curve]]:
    """One fast server, which could serve all with N = λ = 1, and P slow ones, of 1/P each.

    Naive: equal N everywhere serve N + P·N/P = 1, so N = ½. It takes many servers to fool jsq: beside one dispatcher S
    servers make it S times the optimum at the worst, since equal N and the optimum's serve the same, so that
    N is at most the optimum's largest.
    """
    slow: list[tuple[str, Curve]] = [
        (f"slow{each}", Multicore(1.0 / p, ROOMY)) for each in range(1, int(p) + 1)
    ]
    return [("fast", Multicore(1.0, ROOMY)), *slow]


def _weak_one(p: float) -> list[tuple[str, Curve]]:
    """Half of λ = 2 goes to a server that can do 1 + 1/P: N = br/(a−r) = P; the strong one needs 1/3 for its half."""
    return [("weak", Hyperbolic(1.0 + 1.0 / p, 1.0)), ("strong", Hyperbolic(4.0, 1.0))]


def _weak_one_optimum(p: float) -> float:
    """Equal marginals q = ab/(b+N)² give Σ √(ab/q) − Σ b, and √q = (Σa − λ)/Σ√(ab). Weak is in use: q < 1 + 1/P.

    That is (3+x)² < (1+x)(2+√(1+x))² with x = 1/P: true, since (3+x)² < 9(1+x) for 0 < x < 3.
    """
    roots = sqrt(1.0 + 1.0 / p) + 2.0
    return roots * roots / (3.0 + 1.0 / p) - 2.0


def _rich_get_richer(p: float) -> list[tuple[str, Curve]]:
    """Two equal servers, of 1 each, λ = P/(P+1). Whoever is ahead gets all: N = λ/(1−λ) = P.

    Optimum: halves, 2·(λ/2)/(1 − λ/2) = 2P/(P+2). Exactly equal workloads are another rest of the policy, if ties are
    split evenly, but not a stable one: the smallest lead grows. Processes start empty, and the first job decides;
    the fluid limit needs an uneven start, or the first of equal servers ahead.
    """
    return [(name, Hyperbolic(1.0, 1.0)) for name in ("one", "other")]


_ALL = (
    Family(
        "pigou",
        "least-latency",
        "equal latencies fill the quick server until it is as slow as the ample one, and its last jobs gain nothing",
        "P / (2√P − 1)",
        _pigou,
        rate=lambda p: 1.0,
        optimum=lambda p: 2.0 * sqrt(p) - 1.0,
        naive=lambda p: p,
        settling=lambda p: 0.5 * (p * p - 1.0) + 5.0 * p,
    ),
    Family(
        "starved-fast",
        "jsq",
        "equal counts give the one fast server no more jobs than each of P slow ones",
        "(P + 1) / 2",
        _starved_fast,
        rate=lambda p: 1.0,
        optimum=lambda p: 1.0,
        naive=lambda p: 0.5 * (p + 1.0),
        settling=lambda p: 2.5 * (p + 1.0),  # (P+1)·dN/dt = 1 − 2N
        largest=10_000.0,
        whole=True,
    ),
    Family(
        "weak-one",
        "random",
        "an equal share is nearly all that the weak server can do",
        "(P + 1/3) / ((2 + √(1 + 1/P))² / (3 + 1/P) − 2)",
        _weak_one,
        rate=lambda p: 2.0,
        optimum=_weak_one_optimum,
        naive=lambda p: p + 1.0 / 3.0,
        settling=lambda p: 4.0 * p * p + 5.0 * p,  # dN/dt = (1 − N/P)/(1 + N)
    ),
    Family(
        "rich-get-richer",
        "fastest",
        "whoever is ahead has the largest service rate and gets all, and its equal idles",
        "1 + P/2",
        _rich_get_richer,
        rate=lambda p: p / (p + 1.0),
        optimum=lambda p: 2.0 * p / (p + 2.0),
        naive=lambda p: p,
        settling=lambda p: 4.0 * (p + 1.0) * (p + 1.0) + p + 1.0,  # dN/dt = (P − N)/((P+1)(1+N))
    ),
)
FAMILIES = {family.name: family for family in _ALL}


def make(name: str, parameter: float, scale: float = SCALE) -> Topology:
    """A family's member, named for both. Raises UserError."""
    if name not in FAMILIES:
        raise UserError(f"family {name!r} is unknown; choose one of {', '.join(FAMILIES)}")
    family = FAMILIES[name]
    sort = "a whole number" if family.whole else "a number"
    if not 1.0 <= parameter <= family.largest or (family.whole and parameter != int(parameter)):
        raise UserError(
            f"--parameter: {name} takes no {parameter:g}; give {sort} from 1 to {family.largest:g}"
        )
    if not 0.0 < scale < inf:
        raise UserError(f"--scale: {scale:g} is no scale; give a number > 0")
    return family.topology(parameter, scale)
