"""Run directories that are not whole: what can be shown is shown, and what cannot is said in a line."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from gmsr.launch.cli import gmsr
from gmsr.launch.record.load import load
from gmsr.topology.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("shown")]


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def reported(run: Path) -> tuple[str, str]:
    """The page, and what went to standard error."""
    out = run.parent / "out.html"
    result = CliRunner().invoke(gmsr, ["report", str(run), "--out", str(out)])
    assert result.exception is None, result.output
    return out.read_text(encoding="utf-8"), result.stderr


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    for command in ("report", "plot"):
        result = CliRunner().invoke(gmsr, [command, str(tmp_path)])
        assert isinstance(result.exception, UserError)
        assert "name the directory of a run" in str(result.exception)
    (tmp_path / "plan.json").write_text('{"colour": "red"}')
    with pytest.raises(UserError, match="name the directory of a run"):
        load(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_the_launcher_was_killed(copy: Path) -> None:
    (copy / "launch.json").unlink()
    (copy / "summary.json").unlink()
    for statement in (copy / "agents").glob("*.json"):
        statement.unlink()
    html, _ = reported(copy)
    assert "left no statement" in html
    assert "Graph" in html
    assert "ΣN(t)" in html


def test_its_journals_are_gone(copy: Path) -> None:
    (copy / "jobs.parquet").unlink()
    html, told = reported(copy)
    assert "holds no journals" in told
    assert "holds no journals" in html
    assert "Splits by dispatcher" in html  # of the summary
    assert "ΣN(t)" not in html


def test_nothing_but_what_was_planned_is_left(copy: Path) -> None:
    for name in ("jobs.parquet", "visits.parquet", "summary.json", "launch.json"):
        (copy / name).unlink()
    html, told = reported(copy)
    assert "holds no journals" in told
    assert "Graph" in html
    assert "gmsr" in html


def test_it_is_of_an_older_version(copy: Path) -> None:
    plan = json.loads((copy / "plan.json").read_text())
    del plan["reads"]
    (copy / "plan.json").write_text(json.dumps(plan))
    summary = json.loads((copy / "summary.json").read_text())
    del summary["views"]
    (copy / "summary.json").write_text(json.dumps(summary))
    html, told = reported(copy)
    assert "reads" in told
    assert "mean latency" in html
    assert "Splits by dispatcher" in html
    assert "of another version: KeyError(&#39;views&#39;)" in html  # the section that needs it


def test_nothing_is_overwritten_and_too_many_are_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "there.html").write_text("mine")
    result = CliRunner().invoke(gmsr, ["report", str(run), "--out", str(tmp_path / "there.html")])
    assert "exists" in str(result.exception)
    assert (tmp_path / "there.html").read_text() == "mine"
    result = CliRunner().invoke(gmsr, ["report", *[str(run)] * 9, "--out", str(tmp_path / "new.html")])
    assert "at most 8" in str(result.exception)
    result = CliRunner().invoke(gmsr, ["plot", str(run), "--what", "colour"])
    assert "'colour' is unknown" in str(result.exception)
