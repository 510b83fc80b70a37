"""Summaries of a directory whose figures are known: M/M/1-PS at load 0.7, made by an exact simulation."""

import json
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gmsr.agents.journal import JOB_ROW, VISIT_ROW
from gmsr.launch.record.summary import summarise
from gmsr.launch.record.text import text
from gmsr.topology.curves import Multicore
from gmsr.topology.errors import UserError
from gmsr.topology.theory.chains import chain

Change = Callable[..., None]
WIDTH = JOB_ROW.size


def test_the_figures_are_those_of_the_queue(run_dir: Path) -> None:
    summary = summarise(run_dir)
    assert summary["valid"]
    exact = chain(Multicore(1.0, 1), 0.7)
    error = 4.0 * sqrt(exact.asymptotic_variance / 3600)
    assert summary["workload"]["mean"] == pytest.approx(exact.jobs, abs=error)
    assert summary["latency"]["mean"] == pytest.approx(exact.latency, abs=error / 0.7)
    assert summary["throughput"] == pytest.approx(0.7, abs=0.06)
    assert summary["by_server"]["s1"]["utilisation"] == pytest.approx(0.7, abs=0.06)
    # Little's law on the very figures: they come from two journals.
    offered_rate = summary["by_server"]["s1"]["completed"] / 3600
    assert summary["workload"]["mean"] == pytest.approx(offered_rate * summary["latency"]["mean"], rel=0.02)
    assert summary["fidelity"]["lateness"]["p50"] == pytest.approx(1.5e-4, rel=0.5)
    assert summary["fidelity"]["lateness"]["max"] == pytest.approx(2e-4, rel=1e-3)
    assert summary["messages"]["per_job"] == 4.0
    assert summary["by_dispatcher"]["d1"]["split"] == {"s1": 1.0}
    assert summary["ratio"] == pytest.approx(summary["latency"]["mean"] / 1.0, rel=1e-4)


def test_fields_are_those_of_the_interface(run_dir: Path) -> None:
    summary = summarise(run_dir)
    assert {
        "policy", "feed", "seed", "scale", "duration", "warmup", "run_dir", "valid", "warnings", "jobs", "latency",
        "workload", "throughput", "by_dispatcher", "by_server", "messages", "fidelity", "optimum", "ratio",
    } <= summary.keys()  # fmt: skip
    assert set(summary["jobs"]) == {"offered", "completed", "in_flight", "lost"}
    assert set(summary["latency"]) == {"mean", "ci95", "p50", "p90", "p99", "p999"}
    assert {"job", "completion", "report"} <= summary["messages"]["by_kind"].keys()
    assert json.loads((run_dir / "summary.json").read_text()) == json.loads(json.dumps(summary))


def test_cool_down_jobs_are_in_no_figure(run_dir: Path) -> None:
    summary = summarise(run_dir)
    jobs = pd.read_parquet(run_dir / "jobs.parquet")
    assert summary["jobs"]["offered"] == (jobs["arrival"] < 4000).sum() < len(jobs)
    measured = jobs[(jobs["arrival"] >= 400) & (jobs["arrival"] < 4000)]
    assert summary["latency"]["mean"] == pytest.approx(measured["latency"].mean())
    assert summary["latency"]["p99"] == pytest.approx(measured["latency"].quantile(0.99))


def test_journals_load_in_one_line(run_dir: Path) -> None:
    summarise(run_dir)
    jobs = pd.read_parquet(run_dir / "jobs.parquet")
    assert set(jobs["server"]) == {"s1"}
    assert set(jobs["state"]) == {"completed"}
    assert np.allclose(jobs["latency"], jobs["done"] - jobs["arrival"])
    assert not (run_dir / "agents" / "d1.rows").exists()


def test_a_summary_made_again_is_the_same(run_dir: Path) -> None:
    assert summarise(run_dir) == summarise(run_dir)


def test_the_text_says_it_all(run_dir: Path, change: Change) -> None:
    change(run_dir / "launch.json", failure="server s1 was killed by SIGKILL")
    told = text(summarise(run_dir))
    for part in ("NOT VALID", "killed by SIGKILL", "optimum", "s1", "d1", str(run_dir)):
        assert part in told


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
    names = ("number", "peer", "state", "first", "second", "third", "size")

    def edit(data: bytearray) -> None:
        values = dict(zip(names, JOB_ROW.unpack_from(data, row * WIDTH), strict=True)) | fields
        JOB_ROW.pack_into(data, row * WIDTH, *(values[name] for name in names))

    return edit


def test_every_broken_rule_is_found(run_dir: Path) -> None:
    assert JOB_ROW.format == VISIT_ROW.format, "the helper above edits both"


def test_a_job_booked_twice(run_dir: Path) -> None:
    rewrite(run_dir / "agents/d1.rows", replace(5, number=4))
    assert "job numbers are not 0 to" in complaints(run_dir)


def test_a_job_that_no_server_saw(run_dir: Path) -> None:
    def forget(data: bytearray) -> None:
        del data[7 * WIDTH : 8 * WIDTH]

    rewrite(run_dir / "agents/s1.rows", forget)
    assert "1 completions and 0 departures have no counterpart" in complaints(run_dir)


def test_a_size_that_changed_on_its_way(run_dir: Path) -> None:
    rewrite(run_dir / "agents/s1.rows", replace(7, size=123.0))
    assert "1 completions and 1 departures have no counterpart" in complaints(run_dir)


def test_a_job_in_flight_that_no_server_holds(run_dir: Path, change: Change) -> None:
    rewrite(run_dir / "agents/d1.rows", replace(7, state=1, third=float("nan")))
    told = complaints(run_dir)
    assert "d1 has 1 jobs in flight at s1, which holds 0 of its" in told
    assert "its journal holds" in told


def test_an_account_that_does_not_balance(run_dir: Path, change: Change) -> None:
    change(run_dir / "agents/d1.json", in_flight=3)
    assert "d1: its account does not balance" in complaints(run_dir)


def test_a_message_that_got_lost(run_dir: Path, change: Change) -> None:
    def lose(statement: dict[str, Any]) -> None:
        statement["census"]["received"]["d1"]["job"][0] -= 1

    change(run_dir / "agents/s1.json", edit=lose)
    assert "of kind job" in complaints(run_dir)


def test_a_missing_statement_and_a_torn_journal(run_dir: Path) -> None:
    (run_dir / "agents/s1.json").unlink()
    rewrite(run_dir / "agents/s1.rows", lambda data: data.__delitem__(slice(-3, None)))
    told = complaints(run_dir)
    assert "s1 left no statement" in told
    assert "the journal of s1 ends in half a row" in told


def test_dropped_rows(run_dir: Path, change: Change) -> None:
    change(run_dir / "agents/d1.json", dropped_rows=1024)
    assert "d1 dropped 1024 rows" in complaints(run_dir)


def test_an_interrupted_run_is_summed_up_to_its_end(run_dir: Path, change: Change) -> None:
    change(run_dir / "launch.json", interrupted=True, ended_at=2000.0)
    assert "interrupted after 2e+03 of 4000 s" in complaints(run_dir)
    summary = json.loads((run_dir / "summary.json").read_text())
    assert summary["jobs"]["offered"] == pytest.approx(0.7 * 2000, rel=0.1)


def test_a_launcher_that_died(run_dir: Path) -> None:
    (run_dir / "launch.json").unlink()
    assert "the launcher did not live to see the end" in complaints(run_dir)


def test_jobs_lost_are_told_by_cause(run_dir: Path, change: Change) -> None:
    rewrite(run_dir / "agents/d1.rows", replace(7, state=2, third=float("nan")))

    def forget(data: bytearray) -> None:
        del data[7 * WIDTH : 8 * WIDTH]

    rewrite(run_dir / "agents/s1.rows", forget)
    count = json.loads((run_dir / "agents/d1.json").read_text())["offered"]
    change(run_dir / "agents/d1.json", completed=count - 1, lost={"unroutable": 1})
    summary = summarise(run_dir)
    assert summary["valid"], summary["warnings"]
    assert summary["jobs"]["lost"] == {"unroutable": 1}


@pytest.mark.parametrize("name", ["plan.json", "topology.json"])
def test_what_is_no_run(run_dir: Path, name: str) -> None:
    (run_dir / name).write_text("[]")
    with pytest.raises(UserError, match="directory of a run"):
        summarise(run_dir)
    (run_dir / name).write_text("{")
    with pytest.raises(UserError, match="no JSON"):
        summarise(run_dir)
    (run_dir / name).unlink()
    with pytest.raises(UserError, match="No such file"):
        summarise(run_dir)
