"""How flow balances over servers when each dispatcher feeds only the best of its own: one method for all questions.

Each server j has a key that falls as it fills (its marginal rate under GMSR), and a dispatcher sends only where
the key is largest. Such a balance minimises Σⱼ φⱼ(rⱼ) over the inflows r that the graph allows, with φⱼ′ = −key:
a separable convex programme over the base polytope of a polymatroid, which the decomposition algorithm solves
exactly (Groenevelt, "Two algorithms for maximizing a separable concave function over a polymatroid feasible
region", EJOR 54, 1991; Fujishige, "Submodular functions and optimization", 2nd ed. 2005, section 8.2):

1. Forget the edges, and fill all servers of a part to the level (the key) at which they take all of its demand.
2. If a flow along the edges can bring each its share, the part is done. If not, the least cut shows dispatchers
   that want more than their servers take: these dispatchers and servers are a part of their own, the rest is
   another, and no edge between the two is used. Go on with both.

All parts of a round share one pass and one flow, and a few rounds do: 100,000 edges take seconds.

Time is in it too. After an implicit step of length h from workloads M a server that gets inflow r holds N with
N + h·μ(N) = M + h·r. So r = (N − M)/h + μ(N) grows with N, and the same method finds the step that has no
chatter: where marginals tie, flows come out such that they stay tied. h = ∞ is the resting point: r = μ(N).
"""

from typing import NamedTuple

import numpy as np

from .compiled import compiled
from .fleet import Flags, Fleet, Floats, Ints, unfed
from .keys import LEAST_KEY, MARGINAL, QUICKEST, filled, taken_in
from .network import Network, largest_flow

EPSILON = 2.2e-16
ROUNDING = 1e-14
"""A part is full if it takes all but this share: sums of the same numbers differ in their last digits."""


class Balance(NamedTuple):
    """What a balance is. Along a flat stretch of a key the choice among many is the method's own."""

    workload: Floats  # (J,)
    inflow: Floats  # (J,)
    flow: Floats  # (E,)
    key: Floats  # (I,) the level that a dispatcher's servers are filled to; infinite where it has no demand
    part_i: Ints  # (I,) the part that a dispatcher ended up in
    part_j: Ints  # (J,) and a server


def balance(
    net: Network,
    fleet: Fleet,
    demand: Floats,
    rule: int = MARGINAL,
    start: Floats | None = None,
    step: float = np.inf,
) -> Balance:
    """The balance of ``demand`` (I,), volume per second, after a step from ``start`` (J,), or at rest.

    For h = ∞ the demand must fit below the caps (``overload.classes`` tells); otherwise flows add up to less.
    """
    begin = np.zeros(len(fleet.kind)) if start is None else start
    return Balance(*settle(net, fleet, demand, rule, begin, step))


@compiled
def settle(
    net: Network, fleet: Fleet, demand: Floats, rule: int, start: Floats, step: float
) -> tuple[Floats, Floats, Floats, Floats, Ints, Ints]:
    """``balance``, for compiled callers."""
    dispatchers, servers = len(demand), len(start)
    part_i, part_j = np.zeros(dispatchers, np.int64), np.zeros(servers, np.int64)
    flow = np.zeros(len(net.server))
    floor = np.array([unfed(fleet, j, start[j], step) for j in range(servers)])
    workload, bound, key = floor.copy(), np.zeros(servers), np.empty(dispatchers)
    open_part = np.ones(1, np.bool_)
    while open_part.any():
        _fill_parts(fleet, rule, demand, start, step, floor, part_i, part_j, open_part, workload, bound, key)
        for edge in range(len(flow)):
            if open_part[part_i[net.dispatcher[edge]]]:
                flow[edge] = 0.0
        _, _, level_i, level_j = largest_flow(net, part_i, part_j, demand, bound, flow)
        open_part = _split(part_i, part_j, level_i, level_j, open_part)
    inflow = _exact(net, demand, flow, servers)
    return workload, inflow, flow, key, part_i, part_j


@compiled
def _split(part_i: Ints, part_j: Ints, level_i: Ints, level_j: Ints, was_open: Flags) -> Flags:
    """Where a part's demand did not all arrive, what the least cut reaches becomes a part of its own."""
    parts = len(was_open)
    new = np.full(parts, -1, np.int64)
    whole = np.ones(parts, np.bool_)  # the cut reaches all of the part: rounding, no shortage
    for i in range(len(part_i)):
        whole[part_i[i]] &= level_i[i] >= 0
    for j in range(len(part_j)):
        whole[part_j[j]] &= level_j[j] >= 0
    count = parts
    for i in range(len(part_i)):
        at = part_i[i]
        if level_i[i] >= 0 and not whole[at]:
            if new[at] < 0:
                new[at] = count
                count += 1
            part_i[i] = new[at]
    for j in range(len(part_j)):
        if level_j[j] >= 0 and not whole[part_j[j]]:
            part_j[j] = new[part_j[j]]
    opened = np.zeros(count, np.bool_)
    for at in range(parts):
        if new[at] >= 0:
            opened[at] = opened[new[at]] = True
    return opened


@compiled
def _fill_parts(
    fleet: Fleet, rule: int, demand: Floats, start: Floats, step: float, floor: Floats, part_i: Ints, part_j: Ints,
    open_part: Flags, workload: Floats, bound: Floats, key: Floats,
) -> None:  # fmt: skip
    """Fill the servers of each open part until they take its demand; writes their N and inflow, and the key."""
    parts = len(open_part)
    total = np.zeros(parts)
    for i in range(len(part_i)):
        total[part_i[i]] += demand[i]
    first = np.zeros(parts + 1, np.int64)
    for j in range(len(part_j)):
        first[part_j[j] + 1] += 1
    first = np.cumsum(first)
    members = np.empty(len(part_j), np.int64)
    at = first[:-1].copy()
    for j in range(len(part_j)):
        members[at[part_j[j]]] = j
        at[part_j[j]] += 1
    level = np.full(parts, np.inf)
    for part in range(parts):
        if open_part[part]:
            mine = members[first[part] : first[part + 1]]
            level[part] = _fill(fleet, rule, start, step, floor, mine, total[part], workload, bound)
    for i in range(len(part_i)):
        if open_part[part_i[i]]:
            key[i] = level[part_i[i]]


@compiled
def _fill(
    fleet: Fleet, rule: int, start: Floats, step: float, floor: Floats, members: Ints, total: float,
    workload: Floats, bound: Floats,
) -> float:  # fmt: skip
    """One part: find and return the key at which its servers take ``total``.

    On a flat stretch many workloads share a key: there all servers go the same share of the way.
    """
    if total <= 0.0:
        for j in members:
            workload[j], bound[j] = floor[j], 0.0
        return np.inf
    if step == np.inf and rule <= QUICKEST:  # rounding must not ask for more than all caps
        total = min(total, _taken(fleet, rule, start, step, floor, members, LEAST_KEY, 0.0))
    low, high, shallow, deep = _level(fleet, rule, start, step, floor, members, total)
    less = _taken(fleet, rule, start, step, floor, members, high, shallow)
    more = _taken(fleet, rule, start, step, floor, members, low, deep)
    share = min(max((total - less) / (more - less), 0.0), 1.0) if more > less else 1.0
    for j in members:
        at_less = filled(fleet, rule, floor, j, high, shallow)
        at_more = filled(fleet, rule, floor, j, low, deep)
        workload[j] = at_less + share * (at_more - at_less) if at_more > at_less else at_less
        small = taken_in(fleet, rule, start, step, floor, j, at_less)
        large = taken_in(fleet, rule, start, step, floor, j, at_more)
        bound[j] = small + share * (large - small) if large > small else small
    return high


@compiled
def _level(
    fleet: Fleet, rule: int, start: Floats, step: float, floor: Floats, members: Ints, total: float
) -> tuple[float, float, float, float]:
    """Neighbouring keys low < high, and depths, between which the servers come to take ``total``.

    Where any key of a stretch will do (a part that is full to its kinks), the largest: then the keys of parts that were
    split from each other never contradict, a part that wanted more having the lower one. In the key's logarithm,
    by Chandrupatla's method (Advances in Engineering Software 28, 1997): inverse quadratic steps where they can be
    trusted, halving where the key jumps.
    """
    goal = total * (1.0 - ROUNDING)
    high, low = 1.0, 1.0  # the higher the key, the less is taken
    over, under = 0.0, 0.0  # how far what is taken at low and high is from the goal
    while True:
        under = _taken(fleet, rule, start, step, floor, members, high, 0.0) - goal
        if under < 0.0 or high >= 1e300:
            break
        high *= 16.0
    while True:
        over = _taken(fleet, rule, start, step, floor, members, low, 0.0) - goal
        if over >= 0.0:
            break
        if low <= LEAST_KEY:  # all marginals are 0
            shallow, deep = _depth(fleet, rule, start, step, floor, members, total)
            return LEAST_KEY, LEAST_KEY, shallow, deep
        low /= 16.0
    here, there, third = np.log(high), np.log(low), 0.0
    f_here, f_there, f_third = under, over, 0.0
    part = 0.5
    while True:
        new = here + part * (there - here)
        f_new = _taken(fleet, rule, start, step, floor, members, np.exp(new), 0.0) - goal
        if (f_new >= 0.0) == (f_here >= 0.0):
            third, f_third = here, f_here
        else:
            third, f_third, there, f_there = there, f_there, here, f_here
        here, f_here = new, f_new
        least = 2.0 * EPSILON * (1.0 + abs(here)) / max(abs(there - here), 1e-300)
        if least > 0.5:
            return np.exp(min(here, there)), np.exp(max(here, there)), 0.0, 0.0
        across = (here - there) / (third - there)
        up = (f_here - f_there) / (f_third - f_there)
        part = 0.5
        if up * up < across and (1.0 - up) ** 2 < 1.0 - across:
            part = f_here / (f_there - f_here) * f_third / (f_there - f_third) + (third - here) / (
                there - here
            ) * f_here / (f_third - f_here) * f_there / (f_third - f_there)
        part = min(1.0 - least, max(least, part)) if np.isfinite(part) else 0.5


@compiled
def _depth(
    fleet: Fleet, rule: int, start: Floats, step: float, floor: Floats, members: Ints, total: float
) -> tuple[float, float]:
    """Where all marginals are 0: neighbouring N, common to all servers, between which they come to take ``total``."""
    shallow, deep = 0.0, 1.0
    while deep < 1e300 and _taken(fleet, rule, start, step, floor, members, LEAST_KEY, deep) < total:
        deep *= 2.0
    while True:
        middle = 0.5 * (shallow + deep)
        if not shallow < middle < deep:
            return shallow, deep
        if _taken(fleet, rule, start, step, floor, members, LEAST_KEY, middle) < total:
            shallow = middle
        else:
            deep = middle


@compiled
def _taken(
    fleet: Fleet,
    rule: int,
    start: Floats,
    step: float,
    floor: Floats,
    members: Ints,
    key: float,
    depth: float,
) -> float:
    total = 0.0
    for j in members:
        total += taken_in(fleet, rule, start, step, floor, j, filled(fleet, rule, floor, j, key, depth))
    return total


@compiled
def _exact(net: Network, demand: Floats, flow: Floats, servers: int) -> Floats:
    """Scale away the dust: each dispatcher's flows add up to its demand. Returns what servers get."""
    inflow = np.zeros(servers)
    for i in range(len(demand)):
        sent = 0.0
        for edge in range(net.first[i], net.first[i + 1]):
            sent += flow[edge]
        factor = demand[i] / sent if sent > 0.0 else 0.0
        for edge in range(net.first[i], net.first[i + 1]):
            flow[edge] *= factor
            inflow[net.server[edge]] += flow[edge]
    return inflow
