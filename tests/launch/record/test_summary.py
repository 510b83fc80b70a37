"""Summaries of a directory whose figures are known: M/M/1-PS at load 0.7, made by an exact simulation."""

import json
from collections.abc import Callable
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gmsr.agents.journal import JOB_ROW
from gmsr.launch.record.summary import summarise
from gmsr.launch.record.text import text
from gmsr.topology.curves import Multicore
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


def test_a_launch_that_failed(run_dir: Path, change: Change) -> None:
    change(run_dir / "launch.json", failure="server s1 was killed by SIGKILL")
    summary = summarise(run_dir)
    assert not summary["valid"]
    assert "not valid: server s1 was killed by SIGKILL" in summary["warnings"]


def test_a_graph_that_is_not_complete(wide_dir: Path) -> None:
    """Every figure by agent, from the tables by plain means."""
    summary = summarise(wide_dir)
    assert summary["valid"], summary["warnings"]
    jobs, visits = (pd.read_parquet(wide_dir / f"{name}.parquet") for name in ("jobs", "visits"))
    measured = jobs[jobs["arrival"].between(400, 4000, inclusive="left")]
    for name, mine in measured.groupby("dispatcher", observed=True):
        told = summary["by_dispatcher"][name]
        assert told["latency"]["mean"] == pytest.approx(mine["latency"].mean())
        assert told["latency"]["p999"] == pytest.approx(mine["latency"].quantile(0.999))
        assert told["split"] == pytest.approx(
            mine["server"].value_counts(normalize=True)[list(told["split"])].to_dict()
        )
        offered = ((jobs["dispatcher"] == name) & (jobs["arrival"] < 4000)).sum()
        assert told["offered"] == told["completed"] == offered
    gone = visits[visits["departed"].between(400, 4000, inclusive="left")]
    for server, mine in gone.groupby("server", observed=True):
        told = summary["by_server"][server]
        assert told["completed"] == len(mine)
        assert told["throughput"] == told["utilisation"] == pytest.approx(mine["size"].sum() / 3600)
    stay = visits["departed"].clip(upper=4000) - visits["arrived"].clip(lower=400)
    area = stay.clip(lower=0).groupby(visits["server"], observed=True).sum() / 3600
    assert summary["workload"]["by_server"] == pytest.approx(area.to_dict())
    assert summary["throughput"] == pytest.approx(
        sum(each["throughput"] for each in summary["by_server"].values())
    )
    assert summarise(wide_dir) == summary, "made again, from the Parquet files"
    assert list(summary["by_dispatcher"]["d2"]["split"]) == ["s3", "s2"]


def test_messages_are_told_by_agent(wide_dir: Path) -> None:
    summary = summarise(wide_dir)
    messages = json.loads((wide_dir / "messages.json").read_text())
    assert set(messages["agents"]) == {"d1", "d2", "d3", "s1", "s2", "s3"}
    assert messages["differences"] == []
    assert summary["messages"]["by_kind"]["job"]["count"] == len(pd.read_parquet(wide_dir / "jobs.parquet"))
