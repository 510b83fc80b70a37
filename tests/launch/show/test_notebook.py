"""The example notebook does what its pages say."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from gmsr.launch import packaged

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("shown")]


def test_it_runs_to_its_end_and_says_what_it_shows(tmp_path: Path) -> None:
    shown = nbformat.read(packaged.folder() / "explore-a-run.ipynb", as_version=4)
    again = NotebookClient(
        nbformat.from_dict(shown), timeout=120, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    pictures = 0
    for before, after in zip(shown.cells, again.cells, strict=True):
        if before.cell_type == "code":
            assert texts(before) == texts(after)
            pictures += sum("image/png" in each.get("data", {}) for each in after.outputs)
    assert pictures == 1


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell says, but for its digits, which change with gmsr; pictures' words are left out."""
    return [
        re.sub(r"[\d ]+", "0", each.get("text") or each["data"]["text/plain"])
        for each in cell.outputs
        if "image/png" not in each.get("data", {})
    ]
