"""``gmsr bench chaos``: live runs under random faults, in a row; each must end valid and leave nothing behind."""

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from gmsr.topology.errors import RunError
from gmsr.topology.files import load

from .. import plan
from ..control import RUN_LINK
from ..demand import at_load
from ..packaged import path as example
from ..place.nursery import home
from ..record.text import table
from ..run import run
from ..show.progress import Progress

LOAD, PACE = 0.6, 2.0
WARMUP_SHARE = 0.1


def measure(runs: int, seconds: float, first: int) -> list[dict[str, Any]]:
    """A row for each run of ``seconds`` real seconds: seeds ``first`` and on, deliveries in turn."""
    topology = at_load(load(example("llm-fleet")).topology, LOAD)
    rows = []
    for seed in range(first, first + runs):
        options = plan.Options(
            duration=seconds * PACE,
            warmup=WARMUP_SHARE * seconds * PACE,
            seed=seed,
            pace=PACE,
            chaos=seed,
            again=bool(seed % 2),
            drop=seed % 3 == 0,
        )
        with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
            rows.append(_one(topology, options, Path(folder) / "run", seed))
            rows[-1]["left_behind"] = left_behind(Path(folder))
    return rows


def _one(topology: Any, options: plan.Options, out: Path, seed: int) -> dict[str, Any]:
    began = time.monotonic()
    try:
        summary = run(topology, options, out, Progress(label=f"chaos {seed}"))
    except RunError as error:
        return {"seed": seed, "valid": False, "why": [str(error)]}
    return {
        "seed": seed,
        "valid": summary["valid"],
        "why": [line for line in summary["warnings"] if line.startswith("not valid")],
        "faults": len(summary["faults"]),
        "offered": summary["jobs"]["offered"],
        "lost": sum(summary["jobs"]["lost"].values()),
        "resent": summary["resent"],
        "real_s": time.monotonic() - began,
    }


def left_behind(folder: Path) -> list[str]:
    """Processes of ours that still live, waited for or not; folders of sockets of runs in ``folder``."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has just ended, or is another user's
            ours = process.ppid() == os.getpid() or (process.ppid() == 1 and process.cwd() == str(Path.cwd()))
            if ours and "gmsr.launch.place.nursery" in process.cmdline():
                found.append(f"process {process.pid}")
    links = [path for path in Path(home() or "/tmp").glob(f"gmsr-*/{RUN_LINK}") if path.is_file()]
    return found + [
        str(path.parent) for path in links if Path(path.read_text(encoding="utf-8")).is_relative_to(folder)
    ]


def text(rows: list[dict[str, Any]]) -> str:
    """A table, and what is wrong."""
    shown = [
        [
            str(row["seed"]),
            "yes" if row["valid"] else "NO",
            *(str(row.get(key, "–")) for key in ("faults", "offered", "lost", "resent")),
            "nothing" if not row["left_behind"] else f"{len(row['left_behind'])} things",
        ]
        for row in rows
    ]
    lines = table(["seed", "valid", "faults", "offered", "lost", "sent again", "left behind"], shown)
    for row in rows:
        lines += [f"seed {row['seed']}: {line}" for line in [*row["why"], *row["left_behind"]]]
    good = sum(row["valid"] and not row["left_behind"] for row in rows)
    return "\n".join([*lines, "", f"{good} of {len(rows)} runs ended valid and left nothing behind"])
