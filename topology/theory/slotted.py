"""The slotted stochastic model of the paper (MODEL section 6), all slots in one compiled loop.

Slots are 1/n long. In a slot dispatcher i receives a random number of jobs of mean λᵢ, each of size 1/n, and routes
them by the workloads at the slot's start; server j completes min(Nⱼ, μⱼ(Nⱼ)/n), and then the jobs are added. As n → ∞
paths converge, uniformly on compact times, to the fluid limit from the same start.

A slot costs one pass over the edges of those dispatchers that received jobs. Where there are many, dispatchers are
shared out over the cores; each only reads what others wrote in the slot before, so that results are the same to the
last bit. Arrivals are a function of the seed, the slot and the dispatcher: the same under every policy.
"""

from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import ArrayLike

from . import slotted_rules as rules
from .compiled import compiled, inlined, parallel
from .fleet import PIECES, Fleet, Floats, Ints
from .network import Network
from .slotted_draws import LARGEST_MEAN, Stream, arrived, stream
from .slotted_rules import Rule, State

PARTS = 20
"""Batches of the time after the warm-up."""
WIDE_EDGES = 200_000
"""From so many edges on a slot is worth the 50 µs that it takes to wake other cores for it."""
CHUNKS = 32
MOST_SLOTS = 2**30


class Slotted(NamedTuple):
    """A path. Workloads in units of N, times in emulated seconds, both ends of the duration in whole slots.

    Means over time are means over slots of what stands at their starts.
    """

    t: Floats  # (K,) sampled times, 0 first, duration last
    workload: Floats  # (K, J) N at these times
    mean: Floats  # (J,) time average of N over [warmup, duration]
    batches: Floats  # (20,) time averages of ΣN over equal parts of it; nan where a part has no slot
    served: Floats  # (J,) volume per second completed in it
    routed: Floats  # (E,) volume per second sent along each edge in it, in the network's order
    distance: float  # largest |N − reference| of all slots and servers; nan without a reference


def policies() -> tuple[str, ...]:
    """Names that ``simulate`` knows."""
    return tuple(rules.POLICIES)


class Plan(NamedTuple):
    """Everything that the compiled loop takes."""

    state: State
    stream: Stream
    fleet: Fleet
    rule: Rule
    plain: bool  # whether no curve has pieces, and none is smoothed
    size: float  # 1/n: of a job, and of a slot
    slots: Ints  # (21,) at which batches begin, and the last ends
    at: Ints  # (K,) slots at whose start workloads are sampled
    known: tuple[Floats, Floats]  # reference: slots (R,), not whole, and workloads (R, J); R = 0 without
    bounds: Ints  # where chunks of dispatchers begin, and the last ends


def simulate(
    net: Network,
    fleet: Fleet,
    demand: ArrayLike,
    policy: str = "gmsr",
    *,
    ties: str = "inflight",
    weights: ArrayLike | None = None,
    scale: float = 1.0,
    duration: float,
    warmup: float = 0.0,
    start: ArrayLike | None = None,
    seed: int = 1,
    points: int = 400,
    arrivals: str = "poisson",
    reference: tuple[ArrayLike, ArrayLike] | None = None,
) -> Slotted:
    """The path from ``start`` (J,; empty by default; nobody's own jobs) under ``demand`` (I,), volume per second.

    ``ties``, of gmsr and gmsr-derivative: order (of servers in the fleet), random, inflight (the fewest of the
    dispatcher's own) or fewest (least N). ``weights`` (E,), of static: in the network's order of edges. ``scale`` is n.
    ``arrivals``: poisson, or deterministic, that is, as many as the cumulated mean has whole. ``reference``: times (R,)
    and workloads (R, J) of a path, linear between them and constant after.

    Raises ValueError, in one line.
    """
    plan, order = prepare(
        net, fleet, demand, policy, ties, weights, scale, duration, warmup, start, seed, points, arrivals, reference
    )  # fmt: skip
    path, sums, distance = run(plan, len(net.server) >= WIDE_EDGES)
    state, span = plan.state, plan.slots[-1] - plan.slots[0]
    routed = np.empty(len(order))
    routed[order] = state.account[:, rules.ROUTED] / span  # jobs per slot are volume per second
    with np.errstate(invalid="ignore"):
        batches = np.diff(sums) / np.diff(plan.slots)
    return Slotted(
        np.asarray(plan.at * plan.size),
        path,
        state.total / span,
        batches,
        state.served / (span * plan.size),
        routed,
        distance if reference is not None else np.nan,
    )


def prepare(
    net: Network, fleet: Fleet, demand: ArrayLike, policy: str, ties: str, weights: ArrayLike | None, scale: float,
    duration: float, warmup: float, start: ArrayLike | None, seed: int, points: int, arrivals: str,
    reference: tuple[ArrayLike, ArrayLike] | None,
) -> tuple[Plan, Ints]:  # fmt: skip
    """The loop's arguments, checked, and for each of its edges which of the network's it is (E,)."""
    for what, name, known in (
        ("policy", policy, tuple(rules.POLICIES)),
        ("ties", ties, tuple(rules.TIES)),
        ("arrivals", arrivals, ("poisson", "deterministic")),
    ):
        _must(name in known, f"{what}: {name!r} is unknown; choose one of {', '.join(known)}")
    dispatchers, servers, edges = len(net.first) - 1, len(fleet.kind), len(net.server)
    rates = _amounts("demand", demand, (dispatchers,))
    _must(bool(rates.sum() > 0.0), "demand: nothing arrives; give a dispatcher a positive rate")
    _must(
        bool(rates.max() <= LARGEST_MEAN),
        f"demand: at most {LARGEST_MEAN:g} a dispatcher; take a larger unit",
    )
    lost = (rates > 0.0) & (np.diff(net.first) == 0)
    _must(not lost.any(), f"demand: dispatcher {lost.argmax()} has no edge; set its rate to 0")
    _must(0.0 < scale < np.inf, f"scale: {scale:g} is not a positive number")
    _must(0.0 < duration < np.inf, f"duration: {duration:g} is not a positive number of seconds")
    _must(0.0 <= warmup < duration, f"warmup: {warmup:g} must be at least 0 and less than the duration")
    last, first = round(duration * scale), round(warmup * scale)
    _must(first < last, f"duration: there is no slot of {1.0 / scale:g} s after the warm-up; make it longer")
    _must(
        last <= MOST_SLOTS,
        f"duration: {last} slots are too many (at most {MOST_SLOTS}); lower it or the scale",
    )
    _must(seed >= 0, f"seed: {seed} must not be negative")
    _must(points >= 2, f"points: {points} is too few; the start and the end make 2")
    begin = np.zeros(servers) if start is None else _amounts("start", start, (servers,)).copy()
    order = np.lexsort((net.server, net.dispatcher))  # the first of equals is then the first server
    does = rules.rule(policy, ties)
    cumulated = np.empty(0)
    if does.way == rules.WEIGHED:
        _must(weights is not None, "weights: policy static needs a weight for each edge")
        cumulated = _cumulated(net, rates, _amounts("weights", weights, (edges,))[order])
    path = _path(reference, servers, scale)
    flow = stream(rates, arrivals == "poisson", seed)
    state = _state(net, order, does, flow, begin, cumulated)
    cuts = np.linspace(0, edges, CHUNKS + 1).astype(np.int64)
    plan = Plan(
        state, flow, fleet, does, bool((fleet.kind != PIECES).all() and not fleet.width.any()), 1.0 / scale,
        first + (last - first) * np.arange(PARTS + 1) // PARTS,
        np.unique(np.rint(np.linspace(0, last, points)).astype(np.int64)),
        path,
        np.append(np.searchsorted(net.first[:-1], cuts[:-1]), dispatchers).astype(np.int64),
    )  # fmt: skip
    return plan, order


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _amounts(field: str, given: ArrayLike | None, shape: tuple[int, ...]) -> Floats:
    values = np.asarray(given, dtype=np.float64)
    _must(values.shape == shape, f"{field}: shape {values.shape} must be {shape}")
    _must(
        bool(np.isfinite(values).all() and (values >= 0.0).all()), f"{field}: must be finite and not negative"
    )
    return values


def _cumulated(net: Network, rates: Floats, weights: Floats) -> Floats:
    whole = np.concatenate([[0.0], np.cumsum(weights)])
    sums = whole[net.first[1:]] - whole[net.first[:-1]]
    idle = (rates > 0.0) & (sums <= 0.0)
    _must(
        not idle.any(),
        f"weights: those of dispatcher {idle.argmax()} are all 0; give one edge a positive weight",
    )
    return np.asarray(whole[1:] - whole[net.first[net.dispatcher]])


def _path(reference: tuple[ArrayLike, ArrayLike] | None, servers: int, scale: float) -> tuple[Floats, Floats]:
    if reference is None:
        return np.empty(0), np.empty((0, servers))
    times = np.asarray(reference[0], dtype=np.float64)
    _must(
        times.ndim == 1 and len(times) > 0 and times[0] == 0.0 and bool((np.diff(times) > 0.0).all()),
        "reference: times must rise from 0",
    )
    return times * scale, np.ascontiguousarray(_amounts("reference", reference[1], (len(times), servers)))


def _state(net: Network, order: Ints, does: Rule, flow: Stream, begin: Floats, cumulated: Floats) -> State:
    dispatchers, edges, servers = len(net.first) - 1, len(order), len(begin)
    turn = rules.turns(np.diff(net.first), flow.seed[1])
    return State(
        first=net.first.astype(np.int32),
        server=net.server[order].astype(np.uint32),
        weight=cumulated,
        jobs=np.zeros(dispatchers, np.int32),
        choice=np.zeros(dispatchers, np.int32),
        turn=turn,
        account=np.zeros((edges, 3 if does.shares else 1)),
        work=begin,
        done=np.zeros(servers),
        score=np.zeros(servers),
        total=np.zeros(servers),
        served=np.zeros(servers),
        unit=np.ones(servers),
        age=np.zeros(servers),
    )


@compiled
def run(plan: Plan, wide: bool) -> tuple[Floats, Floats, float]:
    """Sampled workloads (K, J), ΣN summed over slots until each batch begins (21,), and the distance."""
    state, last = plan.state, plan.slots[-1]
    path, sums = np.empty((len(plan.at), len(state.work))), np.zeros(len(plan.slots))
    taken, part, slot, distance = 0, 0, 0, 0.0
    while True:
        if slot == plan.at[taken]:
            path[taken] = state.work
            taken += 1
        while part < len(sums) and plan.slots[part] == slot:
            sums[part] = state.total.sum()
            part += 1
        if slot == last:
            return path, sums, max(distance, apart(state.work, plan.known, slot))
        end = min(plan.at[taken], plan.slots[part])
        distance = max(distance, _play(plan, wide, slot, end, part > 0))
        slot = end


@compiled
def _play(plan: Plan, wide: bool, begin: int, end: int, counts: bool) -> float:
    """Slots begin … end−1; the distance at their starts. All names are bound before the loop, where that costs."""
    state, stream, fleet, known, bounds = plan.state, plan.stream, plan.fleet, plan.known, plan.bounds
    way, score, ties = plan.rule.way, plan.rule.score, plan.rule.ties
    size, jobs, distance = plan.size, plan.state.jobs, 0.0
    plain, shares, compared = plan.plain, state.account.shape[1] > 1, len(known[0]) > 0
    for slot in range(begin, end):
        if compared:
            distance = max(distance, apart(state.work, known, slot))
        rules.complete(state, fleet, size, counts)
        if score == rules.DIFFERENCE and plain:
            rules.rise(state, fleet, size)
        elif score in (rules.DIFFERENCE, rules.DERIVATIVE):
            rules.offer(state, fleet, size if score == rules.DIFFERENCE else 0.0)
        elif score == rules.QUICKEST:
            rules.quickest(state, fleet)
        elif score == rules.FEWEST:
            rules.fewest(state)
        elif score == rules.ALIKE:
            state.score[:] = 0.0
        if way != rules.BY_MAXIMUM:
            rules.settle(state, False)
            arrived(stream, 0, len(jobs), slot, jobs)
            rules.scatter(state, stream, way, slot, size, counts)
            continue
        if wide:
            _choose_wide(bounds, state, stream, ties, slot, size, counts)
        else:
            _choose(0, len(jobs), state, stream, ties, slot, size, counts)
        rules.settle(state, shares)
        rules.receive(state, size)
    if way == rules.BY_MAXIMUM:
        rules.book(0, len(jobs), state, size, counts)
        jobs[:] = 0
    return distance


@inlined
def _choose(
    begin: int, end: int, state: State, stream: Stream, ties: int, slot: int, size: float, counts: bool
) -> None:
    """Book the slot before, and choose: both touch only what is a dispatcher's own, and are one task for a core."""
    rules.book(begin, end, state, size, counts)
    arrived(stream, begin, end, slot, state.jobs)
    rules.choose(begin, end, state)
    rules.break_ties(begin, end, state, stream, ties, slot)


@parallel
def _choose_wide(
    bounds: Ints, state: State, stream: Stream, ties: int, slot: int, size: float, counts: bool
) -> None:
    for chunk in prange(len(bounds) - 1):
        _choose(bounds[chunk], bounds[chunk + 1], state, stream, ties, slot, size, counts)


@compiled
def apart(work: Floats, known: tuple[Floats, Floats], slot: int) -> float:
    """The largest distance from the reference at a slot's start; 0 without one."""
    slots, path = known
    row = int(np.searchsorted(slots, slot, side="right")) - 1
    after = row + 1 if row + 1 < len(slots) else row
    share = (slot - slots[row]) / (slots[after] - slots[row]) if after > row else 0.0
    farthest = 0.0
    for j in range(len(work) if row >= 0 else 0):
        farthest = max(farthest, abs(work[j] - path[row, j] - share * (path[after, j] - path[row, j])))
    return farthest
