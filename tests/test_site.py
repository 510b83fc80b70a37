"""The documentation site: it builds without a warning, fetches nothing, has every command; its commands run."""

import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from gmsr.launch.cli import COMMANDS, gmsr

ROOT = Path(__file__).resolve().parent.parent
RUN = ("tutorial", "running", "traces", "policies")
"""Pages whose commands are run as they stand, one after the other, with the files that they show."""
SHOWN = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "object": "data"}

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]


class Loads(HTMLParser):
    """What a page asks for when it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value for name, value in attrs if value and LOADED.get(tag) == name]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as ``make docs`` does: any warning fails it."""
    out = tmp_path_factory.mktemp("docs") / "site"
    line = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-c",
        "docs",
        ".",
        str(out),
    ]
    built = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return out


def test_no_page_fetches_anything(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert loads.addresses, page
        assert not [each for each in loads.addresses if "//" in each], page
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style.read_text(encoding="utf-8")), (
            style
        )


def test_the_reference_has_every_command(site: Path) -> None:
    text = (site / "docs" / "commands.html").read_text(encoding="utf-8")
    for name in (*COMMANDS, "inject policy", "topology new", "hosts check"):
        assert re.search(rf"<h\d>gmsr {name}|<h\d>{name.rpartition(' ')[2]}<", text), name
    assert "--policies" in text


@pytest.mark.live
@pytest.mark.parametrize("name", RUN)
def test_what_a_page_shows_can_be_done(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = 0
    for language, block in SHOWN.findall((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")):
        if file := re.match(r"# (\w+\.(?:yaml|py))\n", block):
            (tmp_path / file[1]).write_text(block, encoding="utf-8")
        for line in block.splitlines() if not language else ():
            result = CliRunner().invoke(gmsr, shlex.split(line)[1:])
            assert result.exception is None, f"{line}: {result.exception!r}"
            done += 1
    assert done >= 3
