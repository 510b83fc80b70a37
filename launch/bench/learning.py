"""``gmsr bench learning``: how soon GMSR on learned curves is as good as GMSR on true ones, also when a curve changes.

The main demo's fleet at load 0.8. In mid-run the server that carries most becomes half as fast; later it is as fast as
before. All runs of a seed have the same arrivals and sizes: in one servers know their curves, and each change at once;
in one they begin with nothing and learn; and one goes by ``jsq``, which needs no curves. Beside each other stand the
mean latencies of jobs that arrived in the same slice of time.
"""

import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmsr.agents.journal import COMPLETED
from gmsr.topology.faults import Fault
from gmsr.topology.files import load

from .. import plan
from ..demand import learning
from ..packaged import path as example
from ..record.collect import collect
from ..record.folder import open_run
from ..record.intervals import half_width
from ..record.text import seconds, table
from ..run import run
from ..show.progress import Progress
from ..world.simulate import simulate
from ..world.spread import spread

SERVER, FACTOR = "h100-tp2", 0.5
SLICES_S = (0.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 120.0)
"""Of each phase."""
PHASE_S = SLICES_S[-1]
PHASES = ("from nothing", f"{SERVER} is {FACTOR:g} times as fast", "as fast as before")
AS_GOOD = 1.05
PACE = 4.0
"""Of live runs."""
ENTRANTS = (("gmsr", False), ("gmsr", True), ("jsq", False))
"""Policy, and whether servers learn. The first is what the others are held against."""


class _Run(NamedTuple):
    policy: str
    learns: bool
    seed: int
    live: bool


def measure(seeds: int, live: bool) -> dict[str, Any]:
    """``slices``: a row for each; ``as_good_after_s``: by phase when learned curves were as good for the rest of it."""
    runs = [_Run(*entrant, seed, live) for seed in range(1, seeds + 1) for entrant in ENTRANTS]
    found = np.array(list(map(_latencies, runs) if live else spread(_latencies, runs, None)))
    known, learned, jsq = (found[place :: len(ENTRANTS)] for place in range(len(ENTRANTS)))  # (seeds, slices)
    bounds = _bounds()
    rows = [
        {
            "phase": PHASES[place // (len(SLICES_S) - 1)],
            "from_s": bounds[place],
            "until_s": bounds[place + 1],
            "known_s": float(known[:, place].mean()),
            **_ratio("learned", learned[:, place] / known[:, place]),
            **_ratio("jsq", jsq[:, place] / known[:, place]),
        }
        for place in range(len(bounds) - 1)
    ]
    return {"slices": rows, "as_good_after_s": {phase: _as_good(rows, phase) for phase in PHASES}}


def text(found: Mapping[str, Any]) -> str:
    """A row a slice."""
    head = ["phase", "from", "until", "true curves", "learned, over that", "jsq, over that"]
    body = [
        [
            row["phase"],
            f"{row['from_s']:g} s",
            f"{row['until_s']:g} s",
            seconds(row["known_s"]),
            _shown(row["learned"], row["learned_half"]),
            _shown(row["jsq"], row["jsq_half"]),
        ]
        for row in found["slices"]
    ]
    lines = [*table(head, body), "", "mean latency of jobs that arrived then; llm-fleet at load 0.8, n = 1"]
    for phase, after in found["as_good_after_s"].items():
        when = "not" if after is None else f"from {after:g} s on"
        lines.append(f"within {AS_GOOD - 1.0:.0%} of true curves, {phase}: {when}")
    return "\n".join(lines)


def _bounds() -> list[float]:
    """Of all slices, one more than there are."""
    starts = [PHASE_S * number + at for number in range(len(PHASES)) for at in SLICES_S[:-1]]
    return [*starts, PHASE_S * len(PHASES)]


def _latencies(case: _Run) -> NDArray[np.float64]:
    """Mean latency by slice (slices,), in emulated seconds."""
    slow = Fault("slow", PHASE_S, 2.0 * PHASE_S, (SERVER,), factor=FACTOR)
    fleet = load(example("llm-fleet")).topology._replace(faults=(slow,))
    topology = learning(fleet) if case.learns else fleet
    options = plan.Options(case.policy, duration=PHASE_S * len(PHASES), warmup=0.0, seed=case.seed)
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        out = Path(folder) / "run"
        if case.live:
            label = f"{case.policy}, {'learned' if case.learns else 'true'} curves, seed {case.seed}"
            run(topology, options._replace(pace=PACE), out, Progress(label=label))
        else:
            simulate(topology, options, out)
        jobs = collect(open_run(out)).jobs
    done = jobs["state"] == COMPLETED
    arrival, latency = jobs["arrival"][done], jobs["latency"][done]
    return np.array(
        [latency[(arrival >= begin) & (arrival < end)].mean() for begin, end in pairwise(_bounds())]
    )


def _ratio(name: str, ratios: NDArray[np.float64]) -> dict[str, float | None]:
    """Mean over seeds, and half its 95 % interval."""
    return {name: float(ratios.mean()), f"{name}_half": half_width(ratios) if len(ratios) > 1 else None}


def _as_good(rows: Sequence[Mapping[str, Any]], phase: str) -> float | None:
    own = [row for row in rows if row["phase"] == phase]
    good = None
    for row in reversed(own):
        if row["learned"] > AS_GOOD:
            break
        good = row["from_s"] - own[0]["from_s"]
    return good


def _shown(ratio: float, half: float | None) -> str:
    return f"{ratio:.3f}" if half is None else f"{ratio:.3f} ± {half:.3f}"
