"""Plots for papers: each is made in each format, of one run and of several, and shows something."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib import pyplot as plt

from gmsr.launch.cli import gmsr
from gmsr.launch.commands.plot import WHAT
from gmsr.launch.show.plots import PANELS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("shown")]


def plotted(*words: object) -> str:
    result = CliRunner().invoke(gmsr, ["plot", *map(str, words)])
    return str(result.exception or "")


def test_the_names_are_those_of_the_panels() -> None:
    assert tuple(PANELS) == WHAT


@pytest.mark.parametrize("what", WHAT)
def test_each_panel_shows_something(hurt: Path, tmp_path: Path, what: str) -> None:
    out = tmp_path / "plot.png"
    assert plotted(hurt, "--what", what, "--out", out) == ""
    pixels = plt.imread(out)
    inner = pixels[pixels.shape[0] // 5 : -pixels.shape[0] // 5, pixels.shape[1] // 5 : -pixels.shape[1] // 5]
    assert len(np.unique(inner.reshape(-1, pixels.shape[2]), axis=0)) > 3


@pytest.mark.parametrize(("ending", "magic"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_several_runs_in_each_format_always_the_same(
    run: Path, rival: Path, tmp_path: Path, ending: str, magic: bytes
) -> None:
    made = []
    for name in ("a", "b"):
        out = tmp_path / f"{name}.{ending}"
        assert plotted(run, rival, "--what", "latency,tail,workload,over-time", "--out", out) == ""
        made.append(out.read_bytes())
    assert made[0].startswith(magic)
    assert made[0] == made[1]


def test_axes_have_words_units_and_every_run_its_name(run: Path, rival: Path, tmp_path: Path) -> None:
    out = tmp_path / "plot.svg"
    plt.rcParams["svg.fonttype"] = "none"
    try:
        assert plotted(run, rival, "--what", "workload,tail", "--out", out) == ""
    finally:
        plt.rcdefaults()
    text = out.read_text()
    for words in ("time in s", "workload ΣN", "latency in s", "gmsr", "round-robin", "optimum"):
        assert words in text


def test_what_is_of_one_run_refuses_several(run: Path, rival: Path, tmp_path: Path) -> None:
    assert "name one RUN" in plotted(run, rival, "--what", "splits", "--out", tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
