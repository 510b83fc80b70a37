"""The documents: every command they show exists with these options, every link leads somewhere, code runs."""

import re
import shlex
from pathlib import Path

import click
import pytest

from gmsr.launch.choices import choose
from gmsr.launch.cli import gmsr

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    path for path in sorted(ROOT.rglob("*.md")) if not {".venv", ".package", "node_modules"} & set(path.parts)
]
COMMANDS = [
    (path, line.partition("#")[0].strip())
    for path in DOCUMENTS
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if not language and line.startswith("gmsr ")
]


def parse(command: click.Command, words: list[str], parent: click.Context | None = None) -> None:
    """As click would, down to the command that would be called, and no further."""
    context = command.make_context(command.name, words, parent=parent)
    if isinstance(command, click.Group):
        # click moves what is left for the subcommand here
        rest = [*context._protected_args, *context.args]
        if rest:
            _, inner, inner_words = command.resolve_command(context, rest)
            assert inner is not None
            parse(inner, inner_words, context)


@pytest.mark.parametrize(("path", "line"), COMMANDS, ids=[line for _, line in COMMANDS])
def test_every_command_shown_is_one(path: Path, line: str) -> None:
    parse(gmsr, shlex.split(line)[1:])


def test_commands_were_found() -> None:
    assert len(COMMANDS) > 15


def test_a_command_that_is_none_would_be_found() -> None:
    with pytest.raises(click.UsageError):
        parse(gmsr, ["run", "x.yaml", "--colour", "red"])
    with pytest.raises(click.UsageError):
        parse(gmsr, ["topology", "paint"])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_the_ten_line_policy_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "agents" / "README.md").read_text()
    code = next(
        block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "class Sampled" in block
    )
    (tmp_path / "sampled.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    choice = choose("sampled:Sampled")
    assert choice.reads == ("marginal",)


def test_no_placeholder_is_left() -> None:
    for path in DOCUMENTS:
        assert not re.search(r"@[A-Z]+@", path.read_text()), path
