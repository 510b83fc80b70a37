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
from .slotted_draws import Indices, Stream, arrived, fraction, mix, word

DIFFERENCE, DERIVATIVE, FEWEST, QUICKEST, FASTEST, ALIKE = range(6)
"""Scores: the forward difference of μ, its derivative, −N, −N/μ(N), μ(N), nothing."""
BY_MAXIMUM, ANY, WEIGHED, IN_TURN, OF_TWO, IDLE = range(6)
"""How jobs are routed: all to the best score, or one by one."""
BY_ORDER, BY_CHANCE, BY_OWN, BY_LEAST, BY_OWN_AND_CHANCE = range(5)
"""Whom ties go to: the first server, any, the one with the fewest own jobs (and then the first, or any), the least N."""
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
    count: Indices  # (I,) jobs of this slot
    choice: Indices  # (I,) the edge that they take
    turn: Indices  # (I,) IN_TURN: the last edge, counted from the first
    account: (
        Floats  # (E, 3): ROUTED jobs so far, without the warm-up; OWN share over ``unit``; its AGE. Or (E, 1)
    )
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
def serve(begin: int, end: int, state: State, fleet: Fleet, score: int, size: float, counts: bool) -> None:
    """Servers begin … end−1: what they complete in this slot (of length ``size``), and their scores."""
    for j in range(begin, end):
        held = state.work[j]
        rate = value(fleet, j, held)
        done = size * rate
        if done > held * (1.0 - SAME):  # all but rounding is all
            done = held
        state.done[j] = done
        if counts:
            state.total[j] += held
            state.served[j] += done
        if score == DIFFERENCE:
            offer = marginal(fleet, j, held, size)
        elif score == DERIVATIVE:
            offer = marginal(fleet, j, held, 0.0)
        elif score == FEWEST:
            offer = -held
        elif score == QUICKEST:
            offer = -held / rate if held > 0.0 else -1.0 / slope(fleet, j, 0.0)
        else:
            offer = rate if score == FASTEST else 0.0
        state.score[j] = max(min(offer, LARGEST), -LARGEST)


@compiled
def choose(begin: int, end: int, state: State, stream: Stream, ties: int, slot: int) -> None:
    """Dispatchers begin … end−1: how many jobs arrive, and which edge they take."""
    first, server, scores, count, choice = state.first, state.server, state.score, state.count, state.choice
    arrived(stream, begin, end, slot, count)
    for i in range(begin, end):
        if count[i] == 0:
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
    _break_ties(begin, end, state, ties, stream.seed[1], slot * len(count))


@compiled
def _break_ties(begin: int, end: int, state: State, ties: int, seed: np.uint64, before: int) -> None:
    """Of the edges that tie, the one with the least burden, then the first or any."""
    first, server, scores, count, choice = state.first, state.server, state.score, state.count, state.choice
    work, account, unit, age = state.work, state.account, state.unit, state.age
    for i in range(begin, end):
        if count[i] == 0 or choice[i] != TIED:
            continue
        best = -np.inf
        for edge in range(first[i], first[i + 1]):
            best = max(best, scores[server[edge]])
        least, lightest, equals = best - SAME * abs(best), np.inf, 0
        random = word(seed, before + i)
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
    server, count, choice, account = state.server, state.count, state.choice, state.account
    unit, age = state.unit, state.age
    for i in range(begin, end):
        if count[i] > 0:
            edge = choice[i]
            if counts:
                account[edge, ROUTED] += count[i]
            if account.shape[1] > OWN:
                j = server[edge]
                own = _held(account[edge, OWN], unit[j], age[j] - account[edge, AGE])
                account[edge, OWN] = (own + size * count[i]) / unit[j]
                account[edge, AGE] = age[j]


@compiled
def receive(state: State, size: float) -> None:
    """Add them to servers' workloads, in one order whatever the number of threads."""
    server, count, choice, work = state.server, state.count, state.choice, state.work
    for i in range(len(count)):
        if count[i] > 0:
            work[server[choice[i]]] += size * count[i]


@compiled
def scatter(state: State, stream: Stream, way: int, slot: int, size: float, counts: bool) -> None:
    """Job by job. Scores are of the slot's start, so that workloads may be added to at once."""
    first, server, scores, weight = state.first, state.server, state.score, state.weight
    count, turn, work, account = state.count, state.turn, state.work, state.account
    arrived(stream, 0, len(count), slot, count)
    for i in range(len(count)):
        if count[i] == 0:
            continue
        low, degree = first[i], first[i + 1] - first[i]
        seed = word(stream.seed[1], slot * len(count) + i)
        idle = 0
        if way == IDLE:
            for edge in range(low, low + degree):
                idle += _is_idle(scores[server[edge]], size)
        for job in range(count[i]):
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
