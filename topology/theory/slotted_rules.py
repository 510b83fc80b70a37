"""The policies of the slotted model, as one slot's work: what servers offer, whom dispatchers choose, where jobs go.

Two families. A policy *of a maximum* sends all of a dispatcher's jobs of a slot to the server with the largest score
(a marginal rate, −N, …), and where scores tie to the one with the least burden (own jobs, N, …). The others route *job
by job*. All go by the workloads at the slot's start.

A dispatcher's own share of a server's workload falls in proportion to the whole (processor sharing), on all edges in
each slot. No slot walks through all edges for that: an edge holds its share in terms of what one unit at its server
has shrunk to since, and only servers shrink.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .fleet import Fleet, Floats, Ints, marginal, slope, value
from .slotted_draws import Indices, Stream, fraction, mix, word

DIFFERENCE, DERIVATIVE, FEWEST, QUICKEST, FASTEST, ALIKE = range(6)
"""Scores: the forward difference of μ, its derivative, −N, −N/μ(N), μ(N), nothing. The first two are smoothed."""
BY_MAXIMUM, ANY, WEIGHED, IN_TURN, OF_TWO, IDLE = range(6)
"""How jobs are routed: all to the best score, or one by one."""
BY_ORDER, BY_CHANCE, BY_OWN, BY_LEAST, BY_OWN_AND_CHANCE = range(5)
"""Whom ties go to: the first server, any, that with the fewest own jobs (and then the first, or any), the least N."""
TIES = {"order": BY_ORDER, "random": BY_CHANCE, "inflight": BY_OWN, "fewest": BY_LEAST}
GIVEN = -1
POLICIES = {
    "gmsr": (BY_MAXIMUM, DIFFERENCE, GIVEN),
    "gmsr-derivative": (BY_MAXIMUM, DERIVATIVE, GIVEN),
    "gmsr-fewest": (BY_MAXIMUM, DIFFERENCE, BY_LEAST),
    "random": (ANY, ALIKE, BY_ORDER),
    "round-robin": (IN_TURN, ALIKE, BY_ORDER),
    "jsq": (BY_MAXIMUM, FEWEST, BY_CHANCE),
    "least-inflight": (BY_MAXIMUM, ALIKE, BY_OWN_AND_CHANCE),
    "p2c": (OF_TWO, FEWEST, BY_ORDER),
    "jiq": (IDLE, FEWEST, BY_ORDER),
    "least-latency": (BY_MAXIMUM, QUICKEST, BY_CHANCE),
    "fastest": (BY_MAXIMUM, FASTEST, BY_CHANCE),
    "static": (WEIGHED, ALIKE, BY_ORDER),
}
"""By the product's names: how jobs are routed, by which score, and how ties break."""
SAME = 1e-12
"""Scores that differ by a smaller share are equal: agents report 12 digits."""
LARGEST = 1e300
"""In place of infinity, of which no share can be taken."""
TIED = -1
"""In place of a choice."""
ROUTED, OWN, AGE = range(3)
"""Columns of an edge's account, side by side since chosen edges lie anywhere in memory."""
FAR = 2.0**-600
"""What a unit may shrink to before counting begins anew."""


class Rule(NamedTuple):
    """What a policy does."""

    way: int
    score: int
    ties: int

    @property
    def shares(self) -> bool:
        """Whether it asks for a dispatcher's own jobs."""
        return self.way == BY_MAXIMUM and self.ties in (BY_OWN, BY_OWN_AND_CHANCE)


def rule(policy: str, ties: str) -> Rule:
    """By names; raises KeyError."""
    way, score, breaker = POLICIES[policy]
    given = TIES[ties]
    return Rule(way, score, given if breaker == GIVEN else breaker)


class State(NamedTuple):
    """All that slots read and write beside servers' curves and arrivals. Edges by dispatcher, and within by server."""

    first: Indices  # (I+1,) where a dispatcher's edges begin
    server: NDArray[np.uint32]  # (E,) without a sign, which spares a look at it in the innermost loop
    weight: Floats  # (E,) cumulated within each dispatcher, for WEIGHED; else empty
    jobs: Indices  # (I,) of this slot
    choice: Indices  # (I,) the edge that they take
    turn: Indices  # (I,) IN_TURN: the last edge, counted from the first
    account: Floats  # (E, 3): ROUTED jobs, OWN share over unit, its AGE; (E, 1) where none is asked for
    work: Floats  # (J,) N
    done: Floats  # (J,) volume that this slot completes
    score: Floats  # (J,)
    total: Floats  # (J,) sum of N over slots so far, without the warm-up
    served: Floats  # (J,) volume, likewise
    unit: Floats  # (J,) what is left of a unit of workload since counting began
    age: Floats  # (J,) how often it began: 1 more where ``unit`` got too small, 2 more where the server ran empty


@compiled
def turns(degrees: Ints, seed: np.uint64) -> Indices:
    """Where dispatchers begin that go in turn (I,): anywhere, so that they do not march in step."""
    last = np.zeros(len(degrees), np.int32)
    for i in range(len(degrees)):
        last[i] = int(fraction(word(seed, -2 - i)) * degrees[i])
    return last


@compiled
def complete(state: State, fleet: Fleet, size: float, counts: bool) -> None:
    """What servers complete in this slot, of length ``size``; their scores are μ(N)."""
    work, dones, total, served, scores = state.work, state.done, state.total, state.served, state.score
    for j in range(len(work)):
        held = work[j]
        rate = value(fleet, j, held)
        scores[j] = rate
        done = size * rate
        if done > held * (1.0 - SAME):  # all but rounding is all
            done = held
        dones[j] = done
        if counts:
            total[j] += held
            served[j] += done


@compiled
def offer(state: State, fleet: Fleet, step: float) -> None:
    """Scores: marginal rates, of a job to come or (step 0) right derivatives."""
    work, scores = state.work, state.score
    for j in range(len(work)):
        scores[j] = min(marginal(fleet, j, work[j], step), LARGEST)


@compiled
def rise(state: State, fleet: Fleet, size: float) -> None:
    """Scores: ``offer`` of a job to come where all curves are smooth and reported as they are; they were μ(N)."""
    work, scores = state.work, state.score
    for j in range(len(work)):
        more = work[j] + size
        scores[j] = (value(fleet, j, more) - scores[j]) / (more - work[j])


@compiled
def fewest(state: State) -> None:
    """Scores: −N."""
    work, scores = state.work, state.score
    for j in range(len(work)):
        scores[j] = -work[j]


@compiled
def quickest(state: State, fleet: Fleet) -> None:
    """Scores: −N/μ(N), or its limit; μ(N) is what they were."""
    work, scores = state.work, state.score
    for j in range(len(work)):
        latency = work[j] / scores[j] if work[j] > 0.0 else 1.0 / slope(fleet, j, 0.0)
        scores[j] = -min(latency, LARGEST)


@compiled
def choose(begin: int, end: int, state: State) -> None:
    """Dispatchers begin … end−1, where jobs arrived: the edge of the best score, or TIED."""
    first, server, scores, jobs, choice = state.first, state.server, state.score, state.jobs, state.choice
    for i in range(begin, end):
        if jobs[i] == 0:
            continue
        low, high = first[i], first[i + 1]
        best, at, second = -np.inf, low, -np.inf  # second: the best score but one
        rival, there = best, low
        if (high - low) % 2 == 1:
            best = scores[server[low]]
        # Two chains, since a step waits for the one before; no branch, since none could be predicted.
        for edge in range(low + (high - low) % 2, high, 2):
            score = scores[server[edge]]
            lesser = best if score > best else score
            second = lesser if lesser > second else second
            at = edge if score > best else at
            best = score if score > best else best
            score = scores[server[edge + 1]]
            lesser = rival if score > rival else score
            second = lesser if lesser > second else second
            there = edge if score > rival else there
            rival = score if score > rival else rival
        second = max(second, min(best, rival))
        if rival > best:
            best, at = rival, there + 1
        choice[i] = at if second < best - SAME * abs(best) else TIED


@compiled
def break_ties(begin: int, end: int, state: State, stream: Stream, ties: int, slot: int) -> None:
    """Of the edges that tie, the one with the least burden, then the first or any."""
    first, server, scores, jobs, choice = state.first, state.server, state.score, state.jobs, state.choice
    work, account, unit, age = state.work, state.account, state.unit, state.age
    for i in range(begin, end):
        if jobs[i] == 0 or choice[i] != TIED:
            continue
        best = -np.inf
        for edge in range(first[i], first[i + 1]):
            best = max(best, scores[server[edge]])
        least, lightest, equals = best - SAME * abs(best), np.inf, 0
        random = word(stream.seed[1], slot * len(jobs) + i)
        for edge in range(first[i], first[i + 1]):
            j = server[edge]
            if scores[j] < least:
                continue
            burden = 0.0
            if ties in (BY_OWN, BY_OWN_AND_CHANCE):
                burden = _held(account[edge, OWN], unit[j], age[j] - account[edge, AGE])
            elif ties == BY_LEAST:
                burden = work[j]
            if burden < lightest - SAME * lightest or equals == 0:
                lightest, equals, choice[i] = burden, 1, edge
            elif burden <= lightest + SAME * lightest and ties in (BY_CHANCE, BY_OWN_AND_CHANCE):
                equals += 1  # a newcomer takes the place with chance 1/equals, so that all have the same
                if fraction(word(random, edge)) * equals < 1.0:
                    choice[i] = edge


@compiled
def _held(own: float, unit: float, behind: float) -> float:
    """A dispatcher's own share of a server's workload, booked ``behind`` beginnings of counting ago."""
    if behind > 1.0:  # nothing is left, or 1e-180 of it
        return 0.0
    return own * unit * (FAR if behind == 1.0 else 1.0)


@compiled
def settle(state: State, shares: bool) -> None:
    """Take away what the slot completes."""
    work, done, unit, age = state.work, state.done, state.unit, state.age
    for j in range(len(work)):
        if shares and done[j] > 0.0:
            if done[j] == work[j]:
                unit[j] = 1.0
                age[j] += 2.0
            else:
                unit[j] *= 1.0 - done[j] / work[j]
                if unit[j] < FAR:
                    unit[j] /= FAR
                    age[j] += 1.0
        work[j] -= done[j]


@compiled
def book(begin: int, end: int, state: State, size: float, counts: bool) -> None:
    """Dispatchers begin … end−1: enter the jobs of a settled slot into the accounts of the edges that they took."""
    server, jobs, choice, account = state.server, state.jobs, state.choice, state.account
    unit, age = state.unit, state.age
    for i in range(begin, end):
        if jobs[i] > 0:
            edge = choice[i]
            if counts:
                account[edge, ROUTED] += jobs[i]
            if account.shape[1] > OWN:
                j = server[edge]
                own = _held(account[edge, OWN], unit[j], age[j] - account[edge, AGE])
                account[edge, OWN] = (own + size * jobs[i]) / unit[j]
                account[edge, AGE] = age[j]


@compiled
def receive(state: State, size: float) -> None:
    """Add them to servers' workloads, in one order whatever the number of threads."""
    server, jobs, choice, work = state.server, state.jobs, state.choice, state.work
    for i in range(len(jobs)):
        if jobs[i] > 0:
            work[server[choice[i]]] += size * jobs[i]


@compiled
def scatter(state: State, stream: Stream, way: int, slot: int, size: float, counts: bool) -> None:
    """Job by job, as many as ``state.jobs``. Scores are of the slot's start: workloads may be added to at once."""
    first, server, scores, weight = state.first, state.server, state.score, state.weight
    jobs, turn, work, account = state.jobs, state.turn, state.work, state.account
    for i in range(len(jobs)):
        if jobs[i] == 0:
            continue
        low, degree = first[i], first[i + 1] - first[i]
        seed = word(stream.seed[1], slot * len(jobs) + i)
        idle = 0
        if way == IDLE:
            for edge in range(low, low + degree):
                idle += _is_idle(scores[server[edge]], size)
        for job in range(jobs[i]):
            random = word(seed, job)
            chance = fraction(random)
            at = int(chance * degree)
            if way == IN_TURN:
                turn[i] = at = (turn[i] + 1) % degree
            elif way == WEIGHED:
                at = _by_weight(weight, low, degree, chance)
            elif way == OF_TWO and degree > 1:
                other = int(fraction(mix(random)) * (degree - 1))
                other += other >= at
                at = at if scores[server[low + at]] >= scores[server[low + other]] else other
            elif idle > 0:
                wanted, at = int(chance * idle), -1
                while wanted >= 0:
                    at += 1
                    wanted -= _is_idle(scores[server[low + at]], size)
            work[server[low + at]] += size
            if counts:
                account[low + at, ROUTED] += 1.0


@compiled
def _by_weight(weight: Floats, low: int, degree: int, chance: float) -> int:
    """By bisection of the cumulated weights."""
    wanted = chance * weight[low + degree - 1]
    begin, end = 0, degree - 1
    while begin < end:
        middle = (begin + end) // 2
        if weight[low + middle] > wanted:
            end = middle
        else:
            begin = middle + 1
    return begin


@compiled
def _is_idle(score: float, size: float) -> bool:
    """Less than half a job is none: a slot takes a share of what a server holds, so that N itself need never be 0."""
    return -score < 0.5 * size
