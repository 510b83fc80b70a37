"""The command line: exit codes, one line for what is wrong, and nothing loaded that is not called."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from gmsr.launch import cli
from gmsr.topology.errors import RunError, UserError

SOUND = """
dispatchers: [{id: d1, rate: 1}]
servers: [{id: s1, curve: {kind: hyperbolic, a: 4, b: 2}}]
edges: complete
"""


def code_of(*arguments: str) -> Any:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    return ended.value.code


@pytest.fixture
def topology(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sound file in an otherwise empty working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sound.yaml").write_text(SOUND)
    return "sound.yaml"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_tells_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(name, "--help") == 0
    assert f"Usage: gmsr {name}" in capsys.readouterr().out


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of() == 2
    told = capsys.readouterr()
    assert all(name in told.err for name in cli.COMMANDS)
    assert not told.out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("--version") == 0
    assert capsys.readouterr().out.startswith("gmsr, version ")


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (UserError("a.yaml: servers: none;\nadd one"), 2, "error: a.yaml: servers: none; add one\n"),
        (RunError("server s3 crashed: no memory"), 1, "error: server s3 crashed: no memory\n"),
        (
            RunError("d1: failed;\tsee x\n  its own\n  lines\n"),
            1,
            "error: d1: failed; see x\n  its own\n  lines\n",
        ),
        (KeyboardInterrupt(), 130, "\n"),
        (BrokenPipeError(), 1, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failures_become_exit_codes_and_one_line(
    raised: BaseException,
    code: int,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @click.command()
    def failing() -> None:
        raise raised

    monkeypatch.setattr(cli.Lazy, "get_command", lambda *_: failing)
    monkeypatch.setattr(sys.stderr, "close", lambda: None)  # the capture's own
    assert code_of("anything") == code
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fly"], "fly"),
        (["run"], "FILE"),
        (["run", "none.yaml"], "none.yaml"),
        (["run", "sound.yaml", "--duration", "0"], "--duration"),
        (["run", "sound.yaml", "--duration", "x"], "--duration"),
        (["run", "sound.yaml", "--warmup", "60"], "--warmup"),
        (["run", "sound.yaml", "--pace", "quick"], "--pace"),
        (["run", "sound.yaml", "--policy", "fifo"], "--policy"),
        (["run", "sound.yaml", "--feed", "gossip"], "--feed"),
        (["run", "sound.yaml", "--scale", "-1"], "--scale"),
        (["run", "sound.yaml", "--out", "sound.yaml"], "--out"),
        (["run", "sound.yaml", "--out", "."], "--out"),
        (["compare", "sound.yaml", "--policies", "gmsr,fifo"], "--policy"),
        (["compare", "sound.yaml", "--policies", "gmsr,gmsr"], "--policies"),
        (["compare", "sound.yaml", "--policies", "gmsr", "--repeats", "0"], "--repeats"),
    ],
    ids=" ".join,
)
def test_bad_input_starts_nothing_and_says_in_one_line_what_to_mend(
    arguments: list[str],
    told: str,
    topology: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(*_: object, **__: object) -> None:
        pytest.fail("something was started")

    monkeypatch.setattr(subprocess, "Popen", start)
    assert code_of(*arguments) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("error: ")
    assert told in err
    assert err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == [topology]
    assert Path(topology).read_text() == SOUND


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("completion", shell) == 0
    assert "_GMSR_COMPLETE" in capsys.readouterr().out


def test_completion_knows_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_GMSR_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "gmsr comp")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert code_of() == 0
    assert capsys.readouterr().out.split() == ["plain,compare", "plain,completion"]


@pytest.mark.slow
def test_the_command_line_itself_is_light() -> None:
    program = "import sys, json, gmsr.launch.cli; json.dump(sorted(sys.modules), sys.stdout)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(ended.stdout))
    heavy = {
        "numpy",
        "scipy",
        "pyarrow",
        "cvxpy",
        "networkx",
        "matplotlib",
        "yaml",
        "msgspec",
        "psutil",
        "zmq",
    }
    assert not loaded & heavy
    assert not [module for module in loaded if module.startswith("gmsr.launch.commands.")]
