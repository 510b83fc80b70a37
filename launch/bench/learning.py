"""``gmsr bench learning``: how soon GMSR on learned curves is as good as GMSR on true ones, also when a curve changes.

The main demo's fleet at load 0.8. In mid-run the server that carries most becomes half as fast; later it is as fast as
before. Two runs have the same arrivals and sizes: in one servers know their curves, and of each change at once; in
the other they begin with nothing and learn. Beside each other stand the mean latencies of jobs that arrived in the
same slice of time.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmsr.agents.journal import COMPLETED
from gmsr.topology.faults import Fault
from gmsr.topology.files import load
from gmsr.topology.graph import Topology

from .. import plan
from ..demand import learning
from ..packaged import path as example
from ..record.collect import collect
from ..record.folder import open_run
from ..record.intervals import half_width
from ..record.text import number, seconds, table
from ..run import run
from ..show.progress import Progress
from ..world.simulate import simulate
from ..world.spread import spread

SERVER, FACTOR = "h100-tp2", 0.5
PHASE_S = 120.0
"""Of each of three: all as it was, one server slower, all as it was."""
SLICE_S = 10.0
AS_GOOD = 1.05
PACE = 4.0
"""Of live runs."""


class _Run(NamedTuple):
    learns: bool
    seed: int
    live: bool


def measure(seeds: int, live: bool) -> dict[str, Any]:
    """``slices``: a row for each; ``phases``: what they say of each phase."""
    runs = [_Run(learns, seed, live) for seed in range(1, seeds + 1) for learns in (False, True)]
    found = np.array(list(map(_latencies, runs) if live else spread(_latencies, runs, None)))
    known, learned = found[::2], found[1::2]  # (seeds, slices)
    ratios = learned / known
    rows = [
        {
            "from_s": SLICE_S * place,
            "known_s": float(known[:, place].mean()),
            "learned_s": float(learned[:, place].mean()),
            "ratio": float(ratios[:, place].mean()),
            "half_ci95": half_width(ratios[:, place]) if seeds > 1 else None,
        }
        for place in range(ratios.shape[1])
    ]
    return {"slices": rows}


def _topology(learns: bool) -> Topology:
    fleet = load(example("llm-fleet")).topology
    slow = Fault("slow", PHASE_S, 2.0 * PHASE_S, (SERVER,), factor=FACTOR)
    fleet = fleet._replace(faults=(slow,))
    return learning(fleet) if learns else fleet


def _latencies(case: _Run) -> NDArray[np.float64]:
    """Mean latency by slice (slices,), in emulated seconds."""
    options = plan.Options(duration=3.0 * PHASE_S, warmup=0.0, seed=case.seed)
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        out = Path(folder) / "run"
        if case.live:
            label = "learned curves" if case.learns else "true curves"
            run(_topology(case.learns), options._replace(pace=PACE), out, Progress(label=label))
        else:
            simulate(_topology(case.learns), options, out)
        jobs = collect(open_run(out)).jobs
    done = (jobs["state"] == COMPLETED) & (jobs["arrival"] < options.duration)
    place = (jobs["arrival"][done] / SLICE_S).astype(np.int64)
    return np.bincount(place, jobs["latency"][done]) / np.bincount(place)
