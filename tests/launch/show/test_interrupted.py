"""Ctrl-C in the middle of it: 130, no traceback, and no half of a file."""

import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from gmsr.launch.cli import main
from gmsr.launch.show import figure
from gmsr.topology.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("shown")]


def ended(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main([*words])
    assert isinstance(end.value.code, int)
    return end.value.code


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_half_a_file_is_never_left(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    with pytest.raises(KeyboardInterrupt), figure.whole(out, "--out") as file:
        file.write(b"half")
        interrupt()
    assert not out.exists()
    out.write_text("mine")
    with pytest.raises(UserError, match="nothing is overwritten"), figure.whole(out, "--out"):
        pass
    assert out.read_text() == "mine"


def test_a_plot_is_interrupted(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Figure, "savefig", interrupt)
    out = tmp_path / "plot.pdf"
    assert ended("plot", str(run), "--out", str(out)) == 130
    assert not out.exists()
    assert "Traceback" not in capsys.readouterr().err


def test_a_watcher_is_interrupted(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gmsr.launch.commands.watch.time.sleep", interrupt)
    assert ended("watch", str(run)) == 130
    told = capsys.readouterr()
    assert "playing back" in told.out
    assert told.err == ""


@pytest.mark.parametrize(
    "words",
    [
        ("report",), ("report", "nowhere"), ("report", "nowhere", "--colour"), ("plot", "nowhere", "--out", "a.gif"),
        ("plot", "nowhere", "--what", "dreams"), ("watch",), ("watch", "nowhere"),
        ("watch", "nowhere", "--port", "70000"),
    ],
)  # fmt: skip
def test_wrong_words_are_answered_in_a_line(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(*words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1, json.dumps(told.err)
