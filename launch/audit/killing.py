"""``gmsr audit --kill``: take away telemetry and launcher in mid-run, and see what becomes of the rest.

The run's first part, after its warm-up, goes on with both; then telemetry is deafened and the launcher kills itself
(SIGKILL). Agents that needed either would show it in what they complete, and how fast, from then on.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from gmsr.agents.journal import COMPLETED
from gmsr.topology.errors import RunError

from ..control import read_control
from ..record.collect import collect
from ..record.folder import open_run
from ..record.intervals import interval
from ..record.summary import summarise

DEAFENED, KILLED = 0.4, 0.5
"""Shares of the time after the warm-up."""
START_REAL_S = 60.0
SPARE_REAL_S = 60.0


class Half(NamedTuple):
    """What agents did between two instants (emulated seconds)."""

    begin: float
    end: float
    completions: float  # a second
    completions_ci95: tuple[float, float]
    latency: float
    latency_ci95: tuple[float, float]


class Outcome(NamedTuple):
    """Before and after the deaths."""

    run_dir: str
    before: Half
    after: Half
    same: bool  # the intervals of both figures overlap
    ended: bool  # the orphans ended by themselves, and nothing of them is left
    valid: bool  # their journals are complete, and balance
    warnings: list[str]


def experiment(file: str, run_dir: Path, duration: float, warmup: float, pace: float, policy: str) -> Outcome:
    """Run it. Raises RunError where the run did not get under way."""
    deafened, killed = (warmup + share * (duration - warmup) for share in (DEAFENED, KILLED))
    run_dir.parent.mkdir(parents=True, exist_ok=True)
    faults = run_dir.with_name(run_dir.name + ".faults.yaml")
    faults.write_text(
        f"faults:\n- {{kind: kill-telemetry, at: {deafened:g}}}\n- {{kind: kill-launcher, at: {killed:g}}}\n"
    )
    arguments = [
        "run", file, "--out", str(run_dir), "--survive", "--faults", str(faults), "--policy", policy,
        "--duration", f"{duration:g}", "--warmup", f"{warmup:g}", "--pace", f"{pace:g}",
    ]  # fmt: skip
    try:
        launched = subprocess.run(
            [sys.executable, "-m", "gmsr", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=START_REAL_S + duration / pace,
            check=False,
        )
    finally:
        faults.unlink()
    if launched.returncode != -9:
        raise RunError(f"the launcher was not killed: {launched.stderr.strip().splitlines()[-1:]}")
    ended = _orphans_end(run_dir, (1.1 * duration - killed) / pace + SPARE_REAL_S)
    summary = summarise(run_dir)
    before, after = _half(run_dir, warmup, deafened), _half(run_dir, killed, duration)
    return Outcome(
        str(run_dir),
        before,
        after,
        _overlap(before.completions_ci95, after.completions_ci95)
        and _overlap(before.latency_ci95, after.latency_ci95),
        ended,
        summary["valid"],
        summary["warnings"],
    )


def _orphans_end(run_dir: Path, patience_real_s: float) -> bool:
    """Wait until the fork server, which ends after its agents, is gone; then their sockets must be too."""
    control = read_control(run_dir)
    deadline = time.monotonic() + patience_real_s
    while time.monotonic() < deadline:
        if not psutil.pid_exists(control["nursery"]):
            return not Path(control["sockets"]).exists()
        time.sleep(0.1)
    return False


def _half(run_dir: Path, begin: float, end: float) -> Half:
    jobs = collect(open_run(run_dir)).jobs
    inside = (jobs["arrival"] >= begin) & (jobs["arrival"] < end)
    done = jobs["state"] == COMPLETED
    order = np.argsort(jobs["arrival"][inside & done], kind="stable")
    latency, low, high = interval(jobs["latency"][inside & done][order])
    moments = jobs["done"][done & (jobs["done"] >= begin) & (jobs["done"] < end)]
    counts, _ = np.histogram(moments, bins=20, range=(begin, end))
    rates = counts / ((end - begin) / 20.0)
    rate, rate_low, rate_high = interval(np.asarray(rates, dtype=float))
    return Half(begin, end, rate, (rate_low, rate_high), latency, (low, high))


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def text(outcome: Outcome) -> str:
    """For a person."""
    from ..record.text import table

    rows = [
        [
            name,
            f"{half.begin:g} to {half.end:g} s",
            f"{half.completions:.4g}",
            "{:.4g} to {:.4g}".format(*half.completions_ci95),
            f"{half.latency:.4g} s",
            "{:.4g} to {:.4g}".format(*half.latency_ci95),
        ]
        for name, half in (("with launcher and telemetry", outcome.before), ("without", outcome.after))
    ]
    head = ["", "time", "completions/s", "95 % interval", "mean latency", "95 % interval"]
    return "\n".join(
        [
            *table(head, rows),
            "",
            "the intervals overlap" if outcome.same else "THE INTERVALS DO NOT OVERLAP",
            "the orphans ended by themselves, and left no socket"
            if outcome.ended
            else "THE ORPHANS DID NOT END IN TIME, OR LEFT SOCKETS",
            "their journals are complete, and their accounts balance"
            if outcome.valid
            else "THEIR ACCOUNTS DO NOT BALANCE",
            f"everything is in {outcome.run_dir}",
        ]
    )


def as_plain(outcome: Outcome) -> dict[str, Any]:
    """For JSON."""
    return {**outcome._asdict(), "before": outcome.before._asdict(), "after": outcome.after._asdict()}
