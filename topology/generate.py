"""Families of topologies, each a pure function of its parameters and a seed.

A family gives the edges. A rule gives the dispatchers' rates, another the servers' curves; the caller then
scales all rates to the load that was wished for (``with_rates``).
"""

from collections.abc import Callable, Iterable
from math import ceil
from random import Random

from .curves import Curve, Exponential, Hyperbolic, Logarithmic, Multicore, Power
from .errors import UserError
from .graph import Dispatcher, Edge, Server, Topology

Pair = tuple[int, int]
"""An edge: index of the dispatcher, index of the server."""


def complete(dispatchers: int, servers: int, degree: int, random: Random) -> list[Pair]:
    """Every dispatcher reaches every server."""
    return [(i, j) for i in range(dispatchers) for j in range(servers)]


def random_degree(dispatchers: int, servers: int, degree: int, random: Random) -> list[Pair]:
    """Each dispatcher reaches ``degree`` servers drawn at random; every server is reached by somebody."""
    pairs = {(i, j) for i in range(dispatchers) for j in random.sample(range(servers), min(degree, servers))}
    reached = {j for _, j in pairs}
    pairs.update((random.randrange(dispatchers), j) for j in range(servers) if j not in reached)
    return sorted(pairs)


def k_nearest(dispatchers: int, servers: int, degree: int, random: Random) -> list[Pair]:
    """Zones on a ring: each dispatcher reaches the ``degree`` servers nearest to it, and every server somebody."""

    def distance(i: int, j: int) -> float:
        apart = abs(i / dispatchers - j / servers)
        return min(apart, 1.0 - apart)

    pairs = {
        (i, j)
        for i in range(dispatchers)
        for j in sorted(range(servers), key=lambda j: (distance(i, j), j))[:degree]
    }
    reached = {j for _, j in pairs}
    pairs.update(
        (min(range(dispatchers), key=lambda i: (distance(i, j), i)), j)
        for j in range(servers)
        if j not in reached
    )
    return sorted(pairs)


def star(dispatchers: int, servers: int, degree: int, random: Random) -> list[Pair]:
    """One server that all dispatchers share; the others belong to one dispatcher each, in turn."""
    return [(i, 0) for i in range(dispatchers)] + [((j - 1) % dispatchers, j) for j in range(1, servers)]


def path(dispatchers: int, servers: int, degree: int, random: Random) -> list[Pair]:
    """A chain server – dispatcher – server – …; needs as many servers as dispatchers, or one more."""
    if servers - dispatchers not in (0, 1):
        raise UserError(
            f"path: {dispatchers} dispatchers need {dispatchers} or {dispatchers + 1} servers; mend it"
        )
    return [(i, j) for i in range(dispatchers) for j in (i, i + 1) if j < servers]


def tree(dispatchers: int, servers: int, degree: int, random: Random) -> list[Pair]:
    """A random tree over all nodes: connected, without a cycle."""
    pairs = [(0, 0)]
    left = [("d", i) for i in range(1, dispatchers)] + [("s", j) for j in range(1, servers)]
    random.shuffle(left)
    placed = {"d": [0], "s": [0]}
    for kind, index in left:
        other = random.choice(placed["s" if kind == "d" else "d"])
        pairs.append((index, other) if kind == "d" else (other, index))
        placed[kind].append(index)
    return sorted(pairs)


def power_law(dispatchers: int, servers: int, degree: int, random: Random) -> list[Pair]:
    """Servers' popularity falls as 1/rank: few are reached by nearly all, most by few; ``degree`` each."""
    weights = [1.0 / (rank + 1) for rank in range(servers)]
    pairs: set[Pair] = set()
    for i in range(dispatchers):
        # Weighted sampling without replacement (Efraimidis and Spirakis, 2006).
        keys = [random.random() ** (1.0 / weight) for weight in weights]
        best = sorted(range(servers), key=lambda j: -keys[j])[:degree]
        pairs.update((i, j) for j in best)
    reached = {j for _, j in pairs}
    pairs.update((random.randrange(dispatchers), j) for j in range(servers) if j not in reached)
    return sorted(pairs)


def zones(dispatchers: int, servers: int, degree: int, random: Random) -> list[Pair]:
    """Clusters: complete within each of ``degree`` zones, one edge from each zone to the next."""
    count = min(degree, dispatchers, servers)
    pairs = {(i, j) for i in range(dispatchers) for j in range(servers) if i % count == j % count}
    if count > 1:
        for zone in range(count):
            here = random.choice(range(zone, dispatchers, count))
            there = random.choice(range((zone + 1) % count, servers, count))
            pairs.add((here, there))
    return sorted(pairs)


FAMILIES: dict[str, Callable[[int, int, int, Random], list[Pair]]] = {
    "complete": complete,
    "random": random_degree,
    "k-nearest": k_nearest,
    "star": star,
    "path": path,
    "tree": tree,
    "power-law": power_law,
    "zones": zones,
}


def _hyperbolic(size: float) -> Curve:
    return Hyperbolic(round(4.0 * size, 6), round(2.0 * size, 6))


def _exponential(size: float) -> Curve:
    return Exponential(round(4.0 * size, 6), round(2.0 * size, 6))


def _multicore(size: float) -> Curve:
    return Multicore(1.0, ceil(4.0 * size))


def _power(size: float) -> Curve:
    return Power(round(2.0 * size, 6), 0.5)


def _logarithmic(size: float) -> Curve:
    return Logarithmic(round(2.0 * size, 6), 1.0)


CURVES: dict[str, Callable[[float], Curve]] = {
    "hyperbolic": _hyperbolic,
    "exponential": _exponential,
    "multicore": _multicore,
    "power": _power,
    "logarithmic": _logarithmic,
}
RATES = ("equal", "uniform", "zipf")


def generate(
    family: str,
    dispatchers: int,
    servers: int,
    degree: int,
    seed: int,
    rates: str,
    curves: str,
    spread: float,
) -> Topology:
    """A topology with rates that add up to 1.

    ``curves``: one of ``CURVES``, or ``mixed`` for all in turn. ``spread`` ≥ 1: servers' sizes are drawn
    log-uniformly between 1 and ``spread``; a graph where every server is alike shows nothing.
    """
    if family not in FAMILIES:
        raise UserError(f"topology kind {family!r} is unknown; choose one of {', '.join(FAMILIES)}")
    if dispatchers < 1 or servers < 1 or degree < 1:
        raise UserError("--dispatchers, --servers and --degree must be 1 or more")
    random = Random(f"{family}/{seed}")
    pairs = FAMILIES[family](dispatchers, servers, degree, random)
    kinds = list(CURVES) if curves == "mixed" else [curves]
    backends = tuple(
        Server(f"s{j + 1}", CURVES[kinds[j % len(kinds)]](spread ** random.random())) for j in range(servers)
    )
    shares = [_share(rates, i, random) for i in range(dispatchers)]
    fronts = tuple(Dispatcher(f"d{i + 1}", share / sum(shares)) for i, share in enumerate(shares))
    edges = tuple(Edge(fronts[i].id, backends[j].id) for i, j in pairs)
    return Topology(f"{family}-{dispatchers}x{servers}", fronts, backends, edges)


def with_rates(topology: Topology, factor: float) -> Topology:
    """The same topology, all rates multiplied and rounded to 6 significant digits."""
    scaled = tuple(each._replace(rate=float(f"{each.rate * factor:.6g}")) for each in topology.dispatchers)
    return topology._replace(dispatchers=scaled)


def crossings_reduced(left: int, right: int, pairs: Iterable[Pair]) -> tuple[list[int], list[int]]:
    """Orders of both sides in which edges cross less: neighbours' mean position, a few times over.

    The barycentre heuristic (Sugiyama, Tagawa, Toda, 1981).
    """
    pairs = list(pairs)
    places: list[list[float]] = [list(range(left)), list(range(right))]
    for turn in range(12):
        side = 1 - turn % 2
        neighbours: list[list[float]] = [[] for _ in places[side]]
        for pair in pairs:
            neighbours[pair[side]].append(places[1 - side][pair[1 - side]] / len(places[1 - side]))
        means = [
            sum(near) / len(near) if near else places[side][index] / len(places[side])
            for index, near in enumerate(neighbours)
        ]
        for place, index in enumerate(sorted(range(len(means)), key=lambda index: (means[index], index))):
            places[side][index] = place
    return (
        sorted(range(left), key=lambda index: places[0][index]),
        sorted(range(right), key=lambda index: places[1][index]),
    )


def _share(rule: str, index: int, random: Random) -> float:
    if rule == "equal":
        return 1.0
    if rule == "uniform":
        return 0.5 + random.random()
    if rule == "zipf":
        return 1.0 / (index + 1)
    raise UserError(f"--rates {rule!r} is unknown; choose one of {', '.join(RATES)}")
