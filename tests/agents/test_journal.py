"""The journal: nothing is lost while the disk keeps up, everything is counted when it does not."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from gmsr.agents import journal
from gmsr.agents.journal import CHUNK_ROWS, JOB_DTYPE, JOB_ROW, VISIT_DTYPE, VISIT_ROW, Rows


@pytest.mark.parametrize(("row", "dtype"), [(JOB_ROW, JOB_DTYPE), (VISIT_ROW, VISIT_DTYPE)])
def test_rows_are_what_numpy_reads(tmp_path: Path, row: struct.Struct, dtype: list[tuple[str, str]]) -> None:
    assert np.dtype(dtype).itemsize == row.size
    rows = Rows(str(tmp_path / "rows"), row)
    count = 2 * CHUNK_ROWS + 17
    for number in range(count):
        rows.write(number, number % 7, 1, 0.5 * number, 1.0, float("nan"), 3.0)
    rows.close()
    read = np.fromfile(tmp_path / "rows", dtype=dtype)
    assert rows.dropped == 0
    assert np.array_equal(read["job"], np.arange(count))
    assert np.array_equal(read[dtype[3][0]], 0.5 * np.arange(count))
    assert np.isnan(read[dtype[5][0]]).all()


def test_an_existing_journal_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("precious")
    with pytest.raises(FileExistsError):
        Rows(str(tmp_path / "rows"), JOB_ROW)


def test_a_disk_that_stands_still_costs_rows_and_never_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is a pipe that nobody reads: writes block for ever once it is full."""
    monkeypatch.setattr(journal, "CHUNKS", 4)
    os.mkfifo(tmp_path / "rows")
    reader = os.open(tmp_path / "rows", os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setattr(
        "builtins.open", lambda path, mode, buffering: os.fdopen(os.open(path, os.O_WRONLY), "wb", 0)
    )
    rows = Rows(str(tmp_path / "rows"), JOB_ROW)
    total = 40 * CHUNK_ROWS
    for number in range(total):
        rows.write(number, 0, 0, 0.0, 0.0, 0.0, 1.0)
    assert rows.dropped >= 30 * CHUNK_ROWS
    os.set_blocking(reader, True)
    kept = 0
    while kept < (total - rows.dropped) * JOB_ROW.size:
        kept += len(os.read(reader, 1 << 20))
    rows.close()
    os.close(reader)
    assert kept == (total - rows.dropped) * JOB_ROW.size


def test_a_full_disk_is_counted(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.fail("this test needs /dev/full, which every Linux has")
    rows = Rows(str(tmp_path / "rows"), JOB_ROW)
    os.dup2(os.open("/dev/full", os.O_WRONLY), rows._file.fileno())
    for number in range(CHUNK_ROWS + 1):
        rows.write(number, 0, 0, 0.0, 0.0, 0.0, 1.0)
    rows.close()
    assert rows.dropped == CHUNK_ROWS + 1
