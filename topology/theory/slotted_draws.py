"""Random numbers of the slotted model, by counter: the number of a slot, a dispatcher and a job is a pure function of
the seed, whatever is drawn before it and by however many threads.

The generator is SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), whose
state is a counter: its k-th number is ``mix(seed + k·GOLDEN)``.

Poisson numbers come by inversion, searched from the mode: exact in law to the rounding of the cumulated probabilities
(some 1e-15), one random number each, and about 0.8·√mean steps. A table tells at once what most of the numbers of
[0, 1) invert to, for a third of the time (a guide table: Devroye, "Non-uniform random variate generation", 1986,
section III.2.4, whose every entry that is not certain is left to the search).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtr

from .compiled import compiled
from .fleet import Floats, Ints

Indices = NDArray[np.int32]
Words = NDArray[np.uint64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
UNIT = 2.0**-53
NEVER = 1e-20
"""Terms of the Poisson law that far from the mode change no sum of them: rounding must not send the search on."""
BITS = 6
BINS = 1 << BITS
"""Parts of [0, 1) in the table: 64 bytes a dispatcher."""
MIXED = -1
"""In place of a number where a part has more than one, or one too large for a byte."""
LARGEST_MEAN = 1e9
"""Jobs in a slot at a dispatcher: beyond it the search takes long, and rounding is no longer small."""
NEAR = 1e-9
"""Cumulated means this close to a whole number, in jobs, have reached it: 0.29 · 100 is 28.999999999999996."""


class Stream(NamedTuple):
    """How jobs arrive in a slot at each dispatcher."""

    mean: Floats  # (I,) jobs in a slot
    mode: Ints  # (I,) the likeliest number, or −1 for all dispatchers where arrivals are deterministic
    chance: Floats  # (I,) its probability
    upto: Floats  # (I,) the probability of it or fewer
    table: NDArray[
        np.int8
    ]  # (I, BINS) the number of jobs that all random numbers of a part stand for, or MIXED
    seed: Words  # (2,) of arrivals and of policies' choices


def stream(demand: Floats, poisson: bool, seed: int) -> Stream:
    """Arrivals of ``demand`` (I,) jobs a slot."""
    mode = np.floor(demand)
    upto = np.asarray(pdtr(mode, demand))
    below = np.where(mode > 0.0, pdtr(np.maximum(mode - 1.0, 0.0), demand), 0.0)
    seeds = np.random.SeedSequence(seed).generate_state(2, np.uint64).astype(np.uint64)
    chance = upto - below
    if not poisson:
        return Stream(demand, np.full(len(demand), -1), chance, upto, np.empty((0, BINS), np.int8), seeds)
    modes = mode.astype(np.int64)
    return Stream(demand, modes, chance, upto, _table(demand, modes, chance, upto), seeds)


@compiled
def _table(mean: Floats, mode: Ints, chance: Floats, upto: Floats) -> NDArray[np.int8]:
    table = np.full((len(mean), BINS), MIXED, np.int8)
    for i in range(len(mean)):
        if mode[i] >= BINS:  # a wide law has no part of one number
            continue
        low = invert(0.0, mean[i], mode[i], chance[i], upto[i])
        for part in range(BINS - 1):
            high = invert((part + 1) / BINS, mean[i], mode[i], chance[i], upto[i])
            if low == high and low < 128:
                table[i, part] = low
            low = high
    return table


@compiled
def mix(word: np.uint64) -> np.uint64:
    """SplitMix64's scrambling of 64 bits."""
    word = (word ^ (word >> np.uint64(30))) * FIRST
    word = (word ^ (word >> np.uint64(27))) * SECOND
    return word ^ (word >> np.uint64(31))


@compiled
def word(seed: np.uint64, index: int) -> np.uint64:
    """The index-th number of a seed's sequence, which may be the seed of another."""
    return mix(seed + np.uint64(index + 1) * GOLDEN)


@compiled
def fraction(word: np.uint64) -> float:
    """Uniform in [0, 1)."""
    return float(np.int64(word >> np.uint64(11))) * UNIT


@compiled
def arrived(stream: Stream, begin: int, end: int, slot: int, count: Indices) -> None:
    """Jobs of a slot, the first of which is 0, at dispatchers begin … end−1, into ``count`` (I,)."""
    mean, mode, chance, upto, table = stream.mean, stream.mode, stream.chance, stream.upto, stream.table
    seed, before = stream.seed[0], slot * len(mean)
    for i in range(begin, end):
        if mode[i] < 0:
            count[i] = np.floor(mean[i] * (slot + 1) + NEAR) - np.floor(mean[i] * slot + NEAR)
            continue
        random = word(seed, before + i)
        count[i] = table[i, random >> np.uint64(64 - BITS)]
        if count[i] == MIXED:
            count[i] = invert(fraction(random), mean[i], mode[i], chance[i], upto[i])


@compiled
def invert(at: float, mean: float, mode: int, chance: float, upto: float) -> int:
    """The least k of a Poisson law with P(X ≤ k) > ``at``, searched from the mode, P(X = mode) and P(X ≤ mode)."""
    k = mode
    if at < upto:
        while k > 0 and at < upto - chance and chance > NEVER:
            upto -= chance
            chance *= k / mean
            k -= 1
        return k
    while upto <= at and chance > NEVER:
        k += 1
        chance *= mean / k
        upto += chance
    return k
