"""The journal: nothing is lost, though the agent is killed; everything is counted that a full disk costs."""

import errno
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gmsr.agents.journal import (
    CAUSES,
    COMPLETED,
    HELD,
    IN_FLIGHT,
    JOB_DTYPE,
    JOB_ROW,
    SEGMENT_ROWS,
    VISIT_DTYPE,
    VISIT_ROW,
    MappedRows,
)
from gmsr.launch.record.collect import JOB_STATES, VISIT_STATES, collect
from gmsr.launch.record.folder import Happening, open_run, tell, write_json
from gmsr.topology import files

NAN = float("nan")


def made(folder: Path) -> MappedRows:
    return MappedRows(str(folder / "rows"), JOB_ROW)


def write(rows: MappedRows, number: int) -> int:
    return rows.open(number, 0, IN_FLIGHT, float(number), 0.0, NAN, 1.0)


def settle(rows: MappedRows, place: int, number: int) -> None:
    rows.settle(place, number, 0, COMPLETED, float(number), 0.0, 9.0, 1.0)


def mapped(rows: MappedRows) -> int:
    return sum(segment is not None for segment in rows._segments)


@pytest.mark.parametrize(("row", "dtype"), [(JOB_ROW, JOB_DTYPE), (VISIT_ROW, VISIT_DTYPE)])
def test_rows_are_what_numpy_reads(tmp_path: Path, row: struct.Struct, dtype: list[tuple[str, str]]) -> None:
    assert np.dtype(dtype).itemsize == row.size
    rows = MappedRows(str(tmp_path / "rows"), row)
    count = 2 * SEGMENT_ROWS + 17
    for number in range(count):
        place = rows.open(number, number % 7, 1, 0.5 * number, NAN, NAN, 3.0)
        if number % 2:
            rows.settle(place, number, number % 7, 2, 0.5 * number, 1.0, NAN, 3.0)
    rows.close()
    read = np.fromfile(tmp_path / "rows", dtype=dtype)
    assert rows.dropped == 0
    assert np.array_equal(read["job"], np.arange(count)), "the room that is left is cut off"
    assert np.array_equal(read[dtype[3][0]], 0.5 * np.arange(count))
    assert np.array_equal(read["state"], 1 + np.arange(count) % 2)
    assert np.isnan(read[dtype[5][0]]).all()


def test_segments_are_whole_pages() -> None:
    """Or they could not be mapped."""
    assert SEGMENT_ROWS * JOB_ROW.size % os.sysconf("SC_PAGE_SIZE") == 0
    assert JOB_ROW.size == VISIT_ROW.size


def test_rows_are_settled_in_any_order(tmp_path: Path) -> None:
    rows = made(tmp_path)
    count = 3 * SEGMENT_ROWS
    places = [write(rows, number) for number in range(count)]
    for number in reversed(range(count)):
        settle(rows, places[number], number)
    rows.close()
    read = np.fromfile(tmp_path / "rows", dtype=JOB_DTYPE)
    assert np.array_equal(read["job"], np.arange(count))
    assert set(read["state"]) == {COMPLETED}


def test_an_empty_journal_is_an_empty_file(tmp_path: Path) -> None:
    made(tmp_path).close()
    assert (tmp_path / "rows").stat().st_size == 0


def test_an_existing_journal_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("precious")
    with pytest.raises(FileExistsError):
        made(tmp_path)
    assert (tmp_path / "rows").read_text() == "precious"


def test_what_is_settled_is_let_go(tmp_path: Path) -> None:
    """A run of any length holds as many segments as its open jobs need, and one to write into."""
    rows = made(tmp_path)
    open_rows: list[tuple[int, int]] = []
    for number in range(20 * SEGMENT_ROWS):
        open_rows.append((write(rows, number), number))
        if len(open_rows) > 100:
            settle(rows, *open_rows.pop(0))
        assert mapped(rows) <= 2
    rows.close()


def test_one_open_row_holds_one_segment(tmp_path: Path) -> None:
    rows = made(tmp_path)
    oldest = write(rows, 0)
    for number in range(1, 6 * SEGMENT_ROWS):
        settle(rows, write(rows, number), number)
    assert mapped(rows) == 2
    settle(rows, oldest, 0)
    assert mapped(rows) == 1, "the one that is written into"
    settle(rows, write(rows, 6 * SEGMENT_ROWS), 6 * SEGMENT_ROWS)
    rows.close()
    read = np.fromfile(tmp_path / "rows", dtype=JOB_DTYPE)
    assert set(read["state"]) == {COMPLETED}
    assert len(read) == 6 * SEGMENT_ROWS + 1


def test_a_full_disk_costs_rows_that_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = made(tmp_path)
    first = write(rows, 0)

    def full(_fd: int, _offset: int, _length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    places = [write(rows, number) for number in range(1, SEGMENT_ROWS + 50)]
    assert places[SEGMENT_ROWS - 1 :] == [-1] * 50
    assert rows.dropped == 50
    settle(rows, places[-1], SEGMENT_ROWS + 49)  # nothing to settle, and nothing breaks
    settle(rows, first, 0)
    monkeypatch.undo()
    assert write(rows, 9) == -1, "there is room again, but a row would be out of its place"
    rows.close()
    read = np.fromfile(tmp_path / "rows", dtype=JOB_DTYPE)
    assert np.array_equal(read["job"], np.arange(SEGMENT_ROWS))
    assert read["state"][0] == COMPLETED


def test_a_disk_that_is_full_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, _offset: int, _length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    rows = made(tmp_path)
    settle(rows, write(rows, 0), 0)
    rows.close()
    assert rows.dropped == 1
    assert (tmp_path / "rows").stat().st_size == 0


AGENT = """
import sys
from gmsr.agents.journal import *
path, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
rows = MappedRows(path, JOB_ROW if kind == "job" else VISIT_ROW)
nan = float("nan")
for number in range(count):
    place = rows.open(number, 0, 1, 0.5 * number, number + 0.25 if kind == "job" else nan, nan, 1.0)
    if number % 3:
        rows.settle(place, number, 0, 0, 0.5 * number, number + 0.25, number + 1.0, 1.0)
print("written", flush=True)
sys.stdin.read()
"""
"""Writes rows, of which every third stays open, and waits to be killed."""


def killed(path: Path, kind: str, count: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", AGENT, str(path), kind, str(count)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as agent:  # fmt: skip
        assert agent.stdout is not None
        assert agent.stdout.readline() == "written\n"
        agent.kill()
        assert agent.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, SEGMENT_ROWS - 1, SEGMENT_ROWS, 2 * SEGMENT_ROWS + 5])
def test_an_agent_that_is_killed_leaves_every_row(tmp_path: Path, count: int) -> None:
    """Those of open jobs too; what the launcher collects are these rows and no others."""
    (tmp_path / "agents").mkdir()
    plain = {
        "dispatchers": [{"id": "d1", "rate": 0.5}],
        "servers": [{"id": "s1", "curve": {"kind": "multicore", "m": 1.0, "k": 1}}],
        "edges": [["d1", "s1"]],
    }  # fmt: skip
    write_json(tmp_path / "topology.json", files.resolve(plain, tmp_path / "t.json").topology.to_dict())
    agents = [
        {"id": "s1", "role": "server", "peers": ["d1"]},
        {"id": "d1", "role": "dispatcher", "peers": ["s1"]},
    ]
    plan = {
        "policy": "gmsr", "reads": ["marginal"], "carries": ["time", "marginal"],
        "feed": "every-change", "seed": 1, "scale": 1.0, "pace": 1.0,
        "duration": 100.0, "warmup": 1.0, "mean_size": 1.0, "agents": agents,
    }  # fmt: skip
    write_json(tmp_path / "plan.json", plan)
    killed(tmp_path / "agents/d1.rows", "job", count)
    killed(tmp_path / "agents/s1.rows", "visit", count)
    for name in ("d1", "s1"):
        assert (tmp_path / f"agents/{name}.rows").stat().st_size % (SEGMENT_ROWS * JOB_ROW.size) == 0
        tell(tmp_path, Happening(t=70.0, event="died", agents=[name]))
    run = collect(open_run(tmp_path))
    numbers = np.arange(count)
    open_rows = numbers % 3 == 0
    assert run.torn == []
    assert np.array_equal(run.jobs["job"], numbers)
    assert np.array_equal(run.jobs["arrival"], 0.5 * numbers)
    lost = JOB_STATES.index("lost: dispatcher")
    assert np.array_equal(run.jobs["state"], np.where(open_rows, lost, COMPLETED))
    assert np.array_equal(run.visits["job"], numbers)
    assert np.array_equal(run.visits["state"], np.where(open_rows, VISIT_STATES.index("died"), 0))
    assert np.isnan(run.visits["departed"][open_rows]).all()
    assert set(run.visits["noticed"][open_rows]) == {70.0}
    kept = pd.read_parquet(tmp_path / "visits.parquet")
    assert list(kept["state"]) == ["died" if each else "departed" for each in open_rows]
    assert not (tmp_path / "agents/d1.rows").exists(), "both are known to have ended"


def test_states_have_names() -> None:
    assert (HELD, IN_FLIGHT) == (1, 1)
    assert JOB_STATES[-1] == f"lost: {CAUSES[-1]}"
