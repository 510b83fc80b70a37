"""A run directory made without processes: an exact M/M/1-PS simulation writes what agents would have written."""

import heapq
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gmsr.agents.journal import JOB_ROW, VISIT_ROW
from gmsr.launch.record.folder import write_json
from gmsr.topology import files

NAN = float("nan")
DURATION, WARMUP = 4000.0, 400.0
RATE = 0.7
TOPOLOGY = {
    "dispatchers": [{"id": "d1", "rate": RATE}],
    "servers": [{"id": "s1", "curve": {"kind": "multicore", "m": 1.0, "k": 1}}],
    "edges": [["d1", "s1"]],
}


def simulate(seed: int) -> list[tuple[float, float, float]]:
    """(arrival, departure, size) of processor sharing at rate 1, in the order of arrival."""
    random = Random(seed)
    clock = virtual = 0.0
    present: list[tuple[float, int]] = []
    jobs: list[list[float]] = []
    arrival = random.expovariate(RATE)
    while arrival < 1.1 * DURATION or present:
        end = clock + (present[0][0] - virtual) * len(present) if present else float("inf")
        if arrival < 1.1 * DURATION and arrival <= end:
            virtual += (arrival - clock) / len(present) if present else 0.0
            clock = arrival
            size = random.expovariate(1.0)
            heapq.heappush(present, (virtual + size, len(jobs)))
            jobs.append([clock, NAN, size])
            arrival = clock + random.expovariate(RATE)
        else:
            virtual, index = heapq.heappop(present)
            clock = jobs[index][1] = end
    return [(start, end, size) for start, end, size in jobs]


def census(
    sent: dict[str, dict[str, list[int]]], received: dict[str, dict[str, list[int]]]
) -> dict[str, Any]:
    both = {"sent": sent, "received": received}
    frames = {
        way: {peer: sum(n for n, _ in kinds.values()) for peer, kinds in of.items()}
        for way, of in both.items()
    }
    sizes = {
        way: {peer: sum(b for _, b in kinds.values()) for peer, kinds in of.items()}
        for way, of in both.items()
    }
    return {**both, "frames": frames, "frame_bytes": sizes, "dropped": {}, "unsent": {}}


def write_run(path: Path, seed: int = 1) -> None:
    """A complete run directory, as the launcher and its agents leave it."""
    (path / "agents").mkdir(parents=True)
    topology = files.resolve(TOPOLOGY, path / "topology.json").topology
    write_json(path / "topology.json", topology.to_dict())
    agents = [
        {"id": "s1", "role": "server", "peers": ["d1"]},
        {"id": "d1", "role": "dispatcher", "peers": ["s1"]},
    ]
    plan = {
        "policy": "gmsr", "feed": "every-change", "seed": seed, "scale": 1.0, "pace": 1.0, "duration": DURATION,
        "warmup": WARMUP, "cooldown": 0.1 * DURATION, "mean_size": 1.0, "agents": agents,
    }  # fmt: skip
    write_json(path / "plan.json", plan)
    launch = {
        "interrupted": False, "failure": "", "ended_at": DURATION, "cpu": {"d1": 0.1, "s1": 0.2},
        "ready_real_s": 0.1, "machine": {"cores": 2},
    }  # fmt: skip
    write_json(path / "launch.json", launch)
    jobs = simulate(seed)
    with (path / "agents/d1.rows").open("wb") as file:
        for number, (arrival, end, size) in enumerate(jobs):
            file.write(JOB_ROW.pack(number, 0, 0, arrival, arrival + 1e-4, end, size))
    with (path / "agents/s1.rows").open("wb") as file:
        for number, (arrival, end, size) in enumerate(jobs):
            file.write(VISIT_ROW.pack(number, 0, 0, arrival, end, end + 2e-4, size))
    count = len(jobs)
    out, back = (
        {"job": [count, 15 * count]},
        {"completion": [count, 6 * count], "report": [2 * count, 22 * count]},
    )
    dispatcher = {
        "id": "d1", "role": "dispatcher", "end": "finished", "offered": count, "completed": count, "in_flight": 0,
        "lost": {}, "dropped_rows": 0, "census": census({"s1": out}, {"s1": back}),
    }  # fmt: skip
    server = {
        "id": "s1", "role": "server", "end": "finished", "dropped_rows": 0, "held": {"d1": 0},
        "census": census({"d1": back}, {"d1": out}),
    }  # fmt: skip
    write_json(path / "agents/d1.json", dispatcher)
    write_json(path / "agents/s1.json", server)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("record") / "run"
    write_run(path)
    return path


@pytest.fixture
def run_dir(pristine: Path, tmp_path: Path) -> Path:
    """A fresh copy, to be spoilt."""
    shutil.copytree(pristine, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def change() -> Callable[..., None]:
    """Change fields of a JSON file: change(path, field=value) or change(path, edit=function)."""

    def apply(path: Path, edit: Callable[[dict[str, Any]], None] | None = None, **fields: Any) -> None:
        content = json.loads(path.read_text())
        content.update(fields)
        if edit is not None:
            edit(content)
        write_json(path, content)

    return apply
