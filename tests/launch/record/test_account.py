"""Every rule of the account of jobs: planted, and found."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gmsr.agents.journal import JOB_ROW, VISIT_ROW
from gmsr.launch.record.summary import summarise

Change = Callable[..., None]
WIDTH = JOB_ROW.size
NAN = float("nan")


def complaints(run_dir: Path) -> str:
    summary = summarise(run_dir)
    assert not summary["valid"]
    return " | ".join(summary["warnings"])


def rewrite(path: Path, edit: Callable[[bytearray], None]) -> None:
    data = bytearray(path.read_bytes())
    edit(data)
    path.write_bytes(data)


def replace(row: int, **fields: Any) -> Callable[[bytearray], None]:
    """Change a job's or visit's fields by position."""
    assert JOB_ROW.format == VISIT_ROW.format, "this edits both"
    names = ("number", "peer", "state", "first", "second", "third", "size")

    def edit(data: bytearray) -> None:
        values = dict(zip(names, JOB_ROW.unpack_from(data, row * WIDTH), strict=True)) | fields
        JOB_ROW.pack_into(data, row * WIDTH, *(values[name] for name in names))

    return edit


def forget(row: int) -> Callable[[bytearray], None]:
    def edit(data: bytearray) -> None:
        del data[row * WIDTH : (row + 1) * WIDTH]

    return edit


def test_a_job_booked_twice(run_dir: Path) -> None:
    rewrite(run_dir / "agents/d1.rows", replace(5, number=4))
    assert "job numbers are not 0 to" in complaints(run_dir)


def test_a_job_that_no_server_saw(run_dir: Path) -> None:
    rewrite(run_dir / "agents/s1.rows", forget(7))
    told = complaints(run_dir)
    assert "1 completions and 0 departures have no counterpart" in told
    assert "s1: its journal holds" in told
    assert "s1 counted" in told


def test_a_job_served_twice(run_dir: Path) -> None:
    rewrite(run_dir / "agents/s1.rows", lambda data: data.extend(data[:WIDTH]))
    assert "departed (1 of them again); 0 completions and 0 departures" in complaints(run_dir)


def test_a_size_that_changed_on_its_way(run_dir: Path) -> None:
    rewrite(run_dir / "agents/s1.rows", replace(7, size=123.0))
    assert "1 jobs had another size at their server" in complaints(run_dir)


def test_a_job_served_elsewhere(wide_dir: Path) -> None:
    rewrite(wide_dir / "agents/d1.rows", lambda data: replace(3, peer=1 - data[3 * WIDTH + 4])(data))
    told = complaints(wide_dir)
    assert "1 completions and 1 departures have no counterpart" in told
    assert "d1 counted" in told


def test_a_job_in_flight_that_no_server_holds(run_dir: Path) -> None:
    rewrite(run_dir / "agents/d1.rows", replace(7, state=1, third=NAN))
    told = complaints(run_dir)
    assert "d1 has 1 jobs in flight at s1, which holds 0 of its" in told
    assert "its journal holds" in told


def test_an_account_that_does_not_balance(run_dir: Path, change: Change) -> None:
    change(run_dir / "agents/d1.json", in_flight=3)
    assert "d1: its account does not balance" in complaints(run_dir)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"arrived": 1}, "s1: its journal holds {'arrived'"),
        ({"departed": 1}, "s1: its journal holds {'arrived'"),
        ({"held": {"d1": 2}}, "s1: its journal holds 0 open jobs of d1, its account 2"),
    ],
)
def test_a_servers_account_that_is_not_its_journals(
    run_dir: Path, change: Change, fields: dict[str, Any], words: str
) -> None:
    change(run_dir / "agents/s1.json", **fields)
    assert words in complaints(run_dir)


def test_a_message_that_got_lost(run_dir: Path, change: Change) -> None:
    def lose(statement: dict[str, Any]) -> None:
        statement["census"]["received"]["d1"]["job"][0] -= 1

    change(run_dir / "agents/s1.json", edit=lose)
    told = complaints(run_dir)
    assert "d1 sent s1" in told
    assert "of kind job from d1, its journal holds" in told
    assert "d1 sent s1" in json.loads((run_dir / "messages.json").read_text())["differences"][0]


def test_counts_that_agree_and_journals_that_do_not(run_dir: Path, change: Change) -> None:
    """Both ends counted a job too many: only the journals tell."""
    for agent, way, peer in (("d1", "sent", "s1"), ("s1", "received", "d1")):

        def add(statement: dict[str, Any], way: str = way, peer: str = peer) -> None:
            statement["census"][way][peer]["job"][0] += 1

        change(run_dir / f"agents/{agent}.json", edit=add)
    told = complaints(run_dir)
    assert "d1 counted" in told
    assert "s1 counted" in told
    assert "d1 sent s1" not in told


def test_a_missing_statement_and_a_torn_journal(run_dir: Path) -> None:
    (run_dir / "agents/s1.json").unlink()
    rewrite(run_dir / "agents/s1.rows", lambda data: data.__delitem__(slice(-3, None)))
    told = complaints(run_dir)
    assert "s1 left no statement" in told
    assert "the journal of s1 ends in half a row" in told
    assert complaints(run_dir) == told, "made again, from the Parquet files"


def test_dropped_rows(run_dir: Path, change: Change) -> None:
    change(run_dir / "agents/d1.json", dropped_rows=1024)
    assert "d1 dropped 1024 rows" in complaints(run_dir)


def test_of_many_violations_a_few_are_told(wide_dir: Path, change: Change) -> None:
    for path in (wide_dir / "agents").glob("*.json"):
        path.unlink()
    told = complaints(wide_dir)
    assert told.count("left no statement") == 5
    assert "and 1 more of this kind" in told


def test_jobs_lost_are_told_by_cause(run_dir: Path, change: Change) -> None:
    """A job that could not be sent: no message was counted, and its server never saw it."""
    rewrite(run_dir / "agents/d1.rows", replace(7, state=2, third=NAN))
    rewrite(run_dir / "agents/s1.rows", forget(7))
    count = json.loads((run_dir / "agents/d1.json").read_text())["offered"]

    def one_less(statement: dict[str, Any]) -> None:
        for way in ("sent", "received"):
            for kinds in statement["census"][way].values():
                for kind in {"job", "completion"} & kinds.keys():
                    kinds[kind][0] -= 1

    change(run_dir / "agents/d1.json", edit=one_less, completed=count - 1, lost={"unroutable": 1})
    change(run_dir / "agents/s1.json", edit=one_less, arrived=count - 1, departed=count - 1)
    summary = summarise(run_dir)
    assert summary["valid"], summary["warnings"]
    assert summary["jobs"]["lost"] == {"unroutable": 1}
