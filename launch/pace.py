"""``--pace auto``: the fastest pace at which this machine still emulates faithfully, found by short trials.

A trial runs the real testbed for two real seconds. Good means: 99 % of wake-ups late by less than 3 % of the
mean latency, and at most 70 % of the machine in use: a margin below what the summary warns of, since a
trial is short. It is so short that of a slow system's jobs only the quickest end in it, so the mean latency
is taken to be the central optimum's where that is the larger.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology

from . import plan
from .place.base import Place
from .place.local import Local
from .run import run

TRIAL_REAL_S = 2.0
WARMUP_SHARE = 0.3
TRIALS = 7
GOOD_RELATIVE = 0.03
GOOD_CPU = 0.7
SLOWEST, FASTEST = 2.0**-6, 2.0**10


class Trial(NamedTuple):
    """What one trial found."""

    relative: float  # p99 lateness over mean latency
    cpu: float  # share of the machine that the agents used

    @property
    def good(self) -> bool:
        """Whether the pace can be trusted."""
        return self.relative <= GOOD_RELATIVE and self.cpu <= GOOD_CPU


def resolve(
    topology: Topology, options: plan.Options, pace: str, place: Callable[..., Place] = Local
) -> plan.Options:
    """The options with the pace that was asked for, or found. Raises UserError on a pace that is none."""
    if pace == "auto":
        with tempfile.TemporaryDirectory(prefix="gmsr-pace-") as folder:
            found = search(lambda trial: _try(topology, options, trial, Path(folder), place))
        click.echo(f"note: pace {found:g} found by trials", err=True)
        return options._replace(pace=found)
    try:
        number = float(pace)
    except ValueError as error:
        raise UserError(f"--pace: {pace!r} is neither a number nor 'auto'; give one") from error
    if not 0.0 < number < float("inf"):
        raise UserError(f"--pace: {pace} must be a number > 0, or 'auto'")
    return options._replace(pace=number)


def search(attempt: Callable[[float], Trial]) -> float:
    """The fastest good pace among powers of two, by doubling or halving from 1, then one step between.

    Raises UserError if not even the slowest is good.
    """
    pace = 1.0
    factor = 2.0 if attempt(pace).good else 0.5
    for _ in range(TRIALS):
        following = pace * factor
        if not SLOWEST <= following <= FASTEST:
            break
        good = attempt(following).good
        if factor > 1.0 and not good:
            return pace * 1.5 if attempt(pace * 1.5).good else pace
        pace = following
        if factor < 1.0 and good:
            return pace
    if factor < 1.0:
        raise UserError("--pace: this machine is too small for the topology at any pace; use fewer agents")
    return pace


def _try(
    topology: Topology, options: plan.Options, pace: float, folder: Path, place: Callable[..., Place]
) -> Trial:
    duration = TRIAL_REAL_S * pace
    trial = options._replace(pace=pace, duration=duration, warmup=WARMUP_SHARE * duration, survive=False)
    if topology.arrivals.kind == "trace":  # a trial must not outlast the trace: play its beginning
        trial = trial._replace(duration=min(duration, options.duration), warmup=0.0)
    trial = trial._replace(chaos=None)
    summary = run(topology._replace(faults=()), trial, folder / f"{pace:g}", place=place)
    cores = sum(each["cores"] for each in summary["hosts"].values()) or os.cpu_count() or 1
    found = judge(summary, cores)
    click.echo(f"note: pace {pace:g}: late by {found.relative:.1%}, {found.cpu:.0%} of the machine", err=True)
    return found


def judge(summary: Mapping[str, Any], cores: int) -> Trial:
    """What a trial's summary says. Where no job ended, the mean latency is longer than the trial."""
    trust, best = summary["fidelity"], summary["optimum"]
    latency = max(best["latency"] if best else 0.0, summary["latency"]["mean"] or 0.0) or summary["duration"]
    return Trial(trust["lateness"]["p99"] / latency, sum(trust["cpu"].values()) / cores)
