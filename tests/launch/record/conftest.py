"""Run directories made without processes: exact M/M/1-PS simulations write what agents would have written."""

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
Edges = dict[str, list[str]]
"""Dispatcher → its servers."""


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


def write_run(path: Path, edges: Edges, seed: int = 1) -> None:
    """A complete run directory, as the launcher and its agents leave it; each server is at load ``RATE``."""
    (path / "agents").mkdir(parents=True)
    back: Edges = {}
    for dispatcher, servers in edges.items():
        for server in servers:
            back.setdefault(server, []).append(dispatcher)
    rates = {name: sum(RATE / len(back[server]) for server in edges[name]) for name in edges}
    plain = {
        "dispatchers": [{"id": name, "rate": rate} for name, rate in rates.items()],
        "servers": [{"id": name, "curve": {"kind": "multicore", "m": 1.0, "k": 1}} for name in back],
        "edges": [[dispatcher, server] for dispatcher in edges for server in edges[dispatcher]],
    }  # fmt: skip
    topology = files.resolve(plain, path / "topology.json").topology
    write_json(path / "topology.json", topology.to_dict())
    agents = [{"id": name, "role": "server", "peers": back[name]} for name in back]
    agents += [{"id": name, "role": "dispatcher", "peers": edges[name]} for name in edges]
    plan = {
        "policy": "gmsr", "reads": ["marginal"], "carries": ["time", "marginal"],
        "feed": "every-change", "seed": seed, "scale": 1.0, "pace": 1.0,
        "duration": DURATION, "warmup": WARMUP, "cooldown": 0.1 * DURATION, "mean_size": 1.0, "agents": agents,
    }  # fmt: skip
    write_json(path / "plan.json", plan)
    launch = {
        "interrupted": False, "failure": "", "ended_at": DURATION, "cpu": {agent["id"]: 0.1 for agent in agents},
        "ready_real_s": 0.1, "machine": {"cores": 2},
    }  # fmt: skip
    write_json(path / "launch.json", launch)
    jobs = sorted(
        (arrival, end, size, server)
        for index, server in enumerate(back)
        for arrival, end, size in simulate(seed + index)
    )
    write_journals(path, edges, back, jobs, Random(seed))


def write_journals(
    path: Path, edges: Edges, back: Edges, jobs: list[tuple[float, float, float, str]], random: Random
) -> None:
    """Rows and statements of all agents; each job belongs to one of its server's dispatchers at random."""
    rows = {name: bytearray() for name in (*edges, *back)}
    counts = {(dispatcher, server): 0 for dispatcher in edges for server in edges[dispatcher]}
    for arrival, end, size, server in jobs:
        owner = random.choice(back[server])
        job = sum(counts[owner, other] for other in edges[owner])
        counts[owner, server] += 1
        rows[owner] += JOB_ROW.pack(job, edges[owner].index(server), 0, arrival, arrival + 1e-4, end, size)
        rows[server] += VISIT_ROW.pack(job, back[server].index(owner), 0, arrival, end, end + 2e-4, size)
    for name, data in rows.items():
        (path / f"agents/{name}.rows").write_bytes(data)
    for name, servers in edges.items():
        sent = {peer: {"job": [counts[name, peer], 15 * counts[name, peer]]} for peer in servers}
        count = sum(counts[name, peer] for peer in servers)
        statement = {
            "id": name, "role": "dispatcher", "end": "finished", "offered": count, "completed": count,
            "in_flight": 0, "lost": {}, "strays": 0, "refused": 0, "dropped_rows": 0,
            "census": census(sent, {peer: told(counts[name, peer]) for peer in servers}),
        }  # fmt: skip
        write_json(path / f"agents/{name}.json", statement)
    for name, dispatchers in back.items():
        heard = {peer: {"job": [counts[peer, name], 15 * counts[peer, name]]} for peer in dispatchers}
        count = sum(counts[peer, name] for peer in dispatchers)
        statement = {
            "id": name, "role": "server", "end": "finished", "arrived": count, "departed": count, "refused": 0,
            "held": dict.fromkeys(dispatchers, 0), "dropped_rows": 0,
            "census": census({peer: told(counts[peer, name]) for peer in dispatchers}, heard),
        }  # fmt: skip
        write_json(path / f"agents/{name}.json", statement)


def told(jobs: int) -> dict[str, list[int]]:
    """What a server tells a dispatcher about so many jobs."""
    return {"completion": [jobs, 6 * jobs], "report": [2 * jobs, 22 * jobs]}


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("record") / "run"
    write_run(path, {"d1": ["s1"]})
    return path


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph that is not complete, with dispatchers whose servers have other places than in the whole run."""
    path = tmp_path_factory.mktemp("record") / "wide"
    write_run(path, {"d1": ["s2", "s1"], "d2": ["s3", "s2"], "d3": ["s1", "s3"]})
    return path


@pytest.fixture
def run_dir(pristine: Path, tmp_path: Path) -> Path:
    """A fresh copy, to be spoilt."""
    shutil.copytree(pristine, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def wide_dir(wide: Path, tmp_path: Path) -> Path:
    shutil.copytree(wide, tmp_path / "wide")
    return tmp_path / "wide"


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
