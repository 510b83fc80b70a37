"""Run directories that are unfinished, cut short, damaged, or none."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from gmsr.agents.journal import JOB_ROW
from gmsr.launch.record.summary import summarise
from gmsr.launch.record.text import text
from gmsr.topology.errors import UserError

Change = Callable[..., None]
ROWS = ("agents/d1.rows", "agents/s1.rows")


def test_a_summary_in_mid_run_costs_the_run_nothing(run_dir: Path) -> None:
    """Agents are still writing: half of their rows are there, no statement, nothing from the launcher."""
    whole = {name: (run_dir / name).read_bytes() for name in ROWS}
    kept = {
        name: (run_dir / name).read_text() for name in ("launch.json", "agents/d1.json", "agents/s1.json")
    }
    for name, data in whole.items():
        (run_dir / name).write_bytes(data[: len(data) // 2])
    for name in kept:
        (run_dir / name).unlink()
    early = summarise(run_dir)
    assert not early["valid"]
    assert "may still be running" in " ".join(early["warnings"])
    for name, data in whole.items():  # the agents write on, and end
        with (run_dir / name).open("ab") as file:
            file.write(data[len(data) // 2 :])
    for name, content in kept.items():
        (run_dir / name).write_text(content)
    late = summarise(run_dir)
    assert late["valid"]
    assert late["jobs"]["offered"] > early["jobs"]["offered"]
    assert len(pd.read_parquet(run_dir / "jobs.parquet")) == len(whole[ROWS[0]]) // JOB_ROW.size
    assert not (run_dir / ROWS[0]).exists()


def test_rows_that_a_crash_left_beside_final_files(run_dir: Path) -> None:
    before = (run_dir / ROWS[0]).read_bytes()
    first = summarise(run_dir)
    (run_dir / ROWS[0]).write_bytes(before)  # the other journal is gone: only the Parquet files are whole
    assert summarise(run_dir) == first
    assert not (run_dir / ROWS[0]).exists()


def test_errors_that_an_agent_wrote_are_kept(run_dir: Path) -> None:
    (run_dir / "agents/d1.err").write_text("Traceback …\n")
    (run_dir / "agents/s1.err").write_text("")
    summarise(run_dir)
    assert (run_dir / "agents/d1.err").exists()
    assert not (run_dir / "agents/s1.err").exists()


def test_a_launcher_that_died_while_its_agents_finished(run_dir: Path) -> None:
    """Nothing is missing but the CPU use: the agents' own accounts balance."""
    (run_dir / "launch.json").unlink()
    summary = summarise(run_dir)
    assert summary["valid"]
    assert "the launcher did not live to see the end" in " ".join(summary["warnings"])
    assert "CPU use not known" in text(summary)


def test_a_launcher_that_died_and_agents_that_were_stopped(run_dir: Path, change: Change) -> None:
    (run_dir / "launch.json").unlink()
    change(run_dir / "agents/d1.json", end="stopped")
    summary = summarise(run_dir)
    assert not summary["valid"]
    assert "not all agents finished" in " ".join(summary["warnings"])


def test_an_interrupted_run_is_summed_up_to_its_end(run_dir: Path, change: Change) -> None:
    change(run_dir / "launch.json", interrupted=True, ended_at=2000.0)
    summary = summarise(run_dir)
    assert not summary["valid"]
    assert "interrupted after 2e+03 of 4000 s" in " ".join(summary["warnings"])
    assert summary["jobs"]["offered"] == pytest.approx(0.7 * 2000, rel=0.1)
    assert summary["measured"] == [400.0, 2000.0]


def test_time_in_which_nothing_was_offered_is_not_measured(run_dir: Path, change: Change) -> None:
    """After a death the launcher waits a while for goodbyes; that must not thin time averages."""
    for name in ROWS:
        data = (run_dir / name).read_bytes()
        (run_dir / name).write_bytes(data[: 1400 * JOB_ROW.size])
    change(run_dir / "launch.json", failure="server s1 was killed by SIGKILL", ended_at=3500.0)
    summary = summarise(run_dir)
    last = pd.read_parquet(run_dir / "jobs.parquet")["arrival"].max()
    assert last < summary["measured"][1] < last + 1e-9 < 2200, "the last job is among the measured"
    assert summary["throughput"] == pytest.approx(0.7, abs=0.1)


def test_a_run_cut_short_in_its_warm_up(run_dir: Path, change: Change) -> None:
    change(run_dir / "launch.json", interrupted=True, ended_at=10.0)
    summary = summarise(run_dir)
    assert summary["latency"]["mean"] is None
    assert summary["throughput"] == summary["workload"]["mean"] == 0.0
    assert "NOT VALID" in text(summary)


def test_sizes_of_a_trace_that_is_gone(run_dir: Path, change: Change) -> None:
    """The run directory is enough, also on another machine."""
    change(
        run_dir / "topology.json",
        workload={"arrivals": "poisson", "sizes": {"kind": "trace", "trace": "/gone"}},
    )
    assert summarise(run_dir)["ratio"] is not None


@pytest.mark.parametrize("name", ["plan.json", "topology.json"])
def test_what_is_no_run(run_dir: Path, name: str) -> None:
    for content, told in (("[]", "directory of a run"), ("{", "no JSON")):
        (run_dir / name).write_text(content)
        with pytest.raises(UserError, match=told):
            summarise(run_dir)
    (run_dir / name).unlink()
    with pytest.raises(UserError, match="No such file"):
        summarise(run_dir)


@pytest.mark.parametrize(
    ("name", "fields", "told"),
    [
        ("plan.json", {"duration": "long"}, r"expected `float`, got `str` - at `\$.duration`"),
        ("plan.json", {"agents": []}, "agents: are not those of topology.json"),
        ("plan.json", {"agents": [{"id": "d1", "role": "king", "peers": []}]}, r"'king'.*\$.agents"),
        ("launch.json", {"cpu": None}, r"at `\$.cpu`"),
    ],
)
def test_fields_of_no_run(
    run_dir: Path, change: Change, name: str, fields: dict[str, object], told: str
) -> None:
    change(run_dir / name, **fields)
    with pytest.raises(UserError, match=told) as caught:
        summarise(run_dir)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("; name the directory of a run")


def test_a_field_that_is_missing(run_dir: Path) -> None:
    plan = json.loads((run_dir / "plan.json").read_text())
    del plan["mean_size"]
    (run_dir / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(UserError, match="missing required field `mean_size`"):
        summarise(run_dir)


def test_a_peer_of_the_same_role(wide_dir: Path, change: Change) -> None:
    change(wide_dir / "plan.json", edit=lambda plan: plan["agents"][0]["peers"].append("s2"))
    with pytest.raises(UserError, match="s2 has a peer of no such role"):
        summarise(wide_dir)


@pytest.mark.parametrize("place", [4, 6])
def test_a_row_that_is_damaged(run_dir: Path, place: int) -> None:
    data = bytearray((run_dir / ROWS[0]).read_bytes())
    data[3 * JOB_ROW.size + place] = 99
    (run_dir / ROWS[0]).write_bytes(data)
    with pytest.raises(UserError, match=r"d1.rows: row 3 is damaged"):
        summarise(run_dir)
    assert (run_dir / ROWS[0]).exists()


def test_journals_that_are_gone(run_dir: Path) -> None:
    for name in ROWS:
        (run_dir / name).unlink()
    with pytest.raises(UserError, match="holds no journals"):
        summarise(run_dir)


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more"])
def test_parquet_that_is_damaged(run_dir: Path, content: bytes) -> None:
    summarise(run_dir)
    (run_dir / "jobs.parquet").write_bytes(content)
    with pytest.raises(UserError, match=r"jobs.parquet"):
        summarise(run_dir)


def test_parquet_of_another_run(run_dir: Path, wide_dir: Path) -> None:
    summarise(run_dir)
    summarise(wide_dir)
    (run_dir / "visits.parquet").write_bytes((wide_dir / "visits.parquet").read_bytes())
    with pytest.raises(UserError, match="is not this run's"):
        summarise(run_dir)
