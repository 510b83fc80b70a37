"""A dispatcher's own jobs: when they arrive and how large they are, fixed in advance by the seed.

Arrivals are open-loop: the schedule never depends on what the system does, so that a slow moment cannot
thin the load (no coordinated omission). Arrivals, sizes and the policy's choices draw from streams of
their own: the same seed gives the same jobs whatever the policy. Times are emulated seconds.
"""

from collections.abc import Callable, Sequence
from math import exp, log
from random import Random
from typing import Protocol

from .machine import NEVER
from .spec import ArrivalsSpec, SizesSpec

LAST = (NEVER, 0.0)
"""What follows the last job of a trace."""


class Workload(Protocol):
    """A stream of jobs."""

    def next(self) -> tuple[float, float]:
        """Arrival and size of the next job; the arrival is ``NEVER`` when there is none."""


def stream(seed: int, dispatcher: str, purpose: str) -> Random:
    """A random stream of one dispatcher's own (seeded through SHA-512, the same on every platform)."""
    return Random(f"{seed}/{dispatcher}/{purpose}")


class Drawn:
    """Arrivals from a stream of gaps, sizes from a stream of sizes."""

    __slots__ = ("_clock", "_gap", "_size")

    def __init__(self, gap: Callable[[], float], size: Callable[[], float]) -> None:
        self._gap = gap
        self._size = size
        self._clock = 0.0

    def next(self) -> tuple[float, float]:
        """One gap after the last arrival."""
        self._clock += self._gap()
        return self._clock, self._size()


class Scheduled:
    """Arrivals from a prepared schedule; sizes from it too, or drawn.

    ``rows`` holds arrival and size of each job in turn: arrival, size, arrival, size, …
    """

    __slots__ = ("_position", "_rows", "_size")

    def __init__(self, rows: Sequence[float], size: Callable[[], float] | None) -> None:
        self._rows = rows
        self._size = size
        self._position = 0

    def next(self) -> tuple[float, float]:
        """The next row."""
        at = self._position
        if at >= len(self._rows):
            return LAST
        self._position = at + 2
        return self._rows[at], self._rows[at + 1] if self._size is None else self._size()


class Surge:
    """A stream of jobs whose rate the operator can change: from then on they come ``factor`` times as fast."""

    __slots__ = ("_factor", "_jobs", "_pending", "_since", "_then")

    def __init__(self, jobs: Workload) -> None:
        self._jobs = jobs
        self._factor = 1.0
        self._since = 0.0  # of this factor, in real arrivals' time
        self._then = 0.0  # the same instant in the stream's own time
        self._pending = 0.0  # the stream's own time of the job to come

    def next(self) -> tuple[float, float]:
        """The stream's next job, at its time."""
        self._pending, size = self._jobs.next()
        return self._arrival(), size

    def surge(self, factor: float, now: float) -> float:
        """Set the factor, which is 1 at first; returns when the job to come now arrives."""
        self._then += (now - self._since) * self._factor
        self._since = now
        self._factor = factor
        return self._arrival()

    def _arrival(self) -> float:
        return self._since + (self._pending - self._then) / self._factor


def gaps(spec: ArrivalsSpec, random: Random) -> Callable[[], float]:
    """Gaps between arrivals at ``spec["rate"]`` jobs a second on average."""
    rate = spec["rate"]
    if rate == 0.0:
        return lambda: NEVER
    if spec["kind"] == "poisson":
        return lambda: random.expovariate(rate)
    if spec["kind"] == "deterministic":
        # The first arrival is anywhere in the first gap, so that dispatchers do not march in step.
        first = iter((random.random() / rate,))
        return lambda: next(first, 1.0 / rate)
    return _bursts(rate, spec["on"], spec["off"], random)


def _bursts(rate: float, on: float, off: float, random: Random) -> Callable[[], float]:
    """Poisson arrivals during bursts, none between them; both last exponentially long.

    The rate within a burst is higher, so that the mean is ``rate``. It starts in the stationary state.
    """
    peak = rate * (on + off) / on
    left = random.expovariate(1.0 / on)  # what remains of the burst
    wait = random.expovariate(1.0 / off) if random.random() * (on + off) < off else 0.0

    def gap() -> float:
        nonlocal left, wait
        busy = random.expovariate(peak)  # of burst time, until the next arrival
        passed = wait
        wait = 0.0
        while busy > left:
            busy -= left
            passed += left + random.expovariate(1.0 / off)
            left = random.expovariate(1.0 / on)
        left -= busy
        return passed + busy

    return gap


def sizes(spec: SizesSpec, random: Random, values: Sequence[float]) -> Callable[[], float] | None:
    """Job sizes with mean ``spec["mean"]``; ``values`` are drawn from for kind ``trace``.

    None for kind ``schedule``: there each arrival brings its own size.
    """
    mean, kind = spec["mean"], spec["kind"]
    if kind == "schedule":
        return None
    if kind == "exponential":
        return lambda: random.expovariate(1.0) * mean or mean  # a size of exactly 0 is no job
    if kind == "deterministic":
        return lambda: mean
    if kind == "lognormal":
        sigma = spec["sigma"]
        return lambda: random.lognormvariate(log(mean) - sigma * sigma / 2.0, sigma)
    if kind == "bounded-pareto":
        return _bounded_pareto(mean, spec["alpha"], spec["ratio"], random)
    count = len(values)
    return lambda: values[int(random.random() * count)]


def _bounded_pareto(mean: float, alpha: float, ratio: float, random: Random) -> Callable[[], float]:
    """Bounded Pareto between l and ratio·l, l chosen so that the mean is right; by inverse transform.

    Harchol-Balter, "Performance Modeling and Design of Computer Systems" (2013), section 20.4.
    """
    tail = 1.0 - ratio**-alpha
    moment = log(ratio) if alpha == 1.0 else alpha / (alpha - 1.0) * (1.0 - ratio ** (1.0 - alpha))
    lowest = mean * tail / moment
    power = -1.0 / alpha
    return lambda: lowest * exp(power * log(1.0 - random.random() * tail))


def workload(
    arrivals: ArrivalsSpec,
    job_sizes: SizesSpec,
    seed: int,
    dispatcher: str,
    rows: Sequence[float] = (),
    values: Sequence[float] = (),
) -> Workload:
    """The jobs of one dispatcher. ``rows``: its trace's schedule; ``values``: sizes to draw from."""
    size = sizes(job_sizes, stream(seed, dispatcher, "sizes"), values)
    if arrivals["kind"] == "trace":
        return Scheduled(rows, size)
    if size is None:
        raise ValueError("sizes of kind 'schedule' need arrivals of kind 'trace'")
    return Drawn(gaps(arrivals, stream(seed, dispatcher, "arrivals")), size)
