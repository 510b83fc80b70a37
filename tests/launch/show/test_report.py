"""Reports in a real browser: nothing is asked of the network, every chart is there, its numbers are the journals'."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib import pyplot as plt

from gmsr.launch.cli import gmsr
from gmsr.launch.record.load import load
from gmsr.launch.show.census import by_edge
from gmsr.launch.show.report import page, write
from gmsr.launch.show.shown import labelled

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("shown")]

SHOWN = {
    "Graph", "Jobs in the system, ΣN(t)", "Gap to the optimum", "Distribution", "Tail", "Latency over time",
    "Marginal service rates", "Workload of each server", "Splits by dispatcher", "Census by kind",
    "Census by edge",
}  # fmt: skip
"""What issue and docs promise of every run."""


@pytest.fixture(scope="session")
def report(run: Path) -> Path:
    out = run.parent / "run.html"
    write(page([load(run)]), out)
    return out


@pytest.fixture(scope="session")
def compared(run: Path, rival: Path, hurt: Path) -> Path:
    out = run.parent / "compared.html"
    write(page([load(each) for each in (run, rival, hurt)]), out)
    return out


def shown(browser: Any, file: Path, ground: str = "light", width: int = 1200) -> None:
    """Open a page in a window so high that every chart is in it, and wait until all are drawn."""
    browser.get_log("browser")
    browser.get_log("performance")
    media = {"features": [{"name": "prefers-color-scheme", "value": ground}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    size = {"width": width, "height": 20_000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(file.as_uri())
    drawn(browser, ground)


def drawn(browser: Any, ground: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    missing = f"return document.querySelectorAll('figure:not([data-drawn=\"{ground}\"])').length"
    WebDriverWait(browser, 60).until(lambda it: it.execute_script(missing) == 0)


def requests(browser: Any) -> set[str]:
    """What the page asked for since it was opened."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {
        each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"
    }


def pictures(browser: Any) -> dict[str, Any]:
    """Each figure's title and the pixels of its chart, shape (height, width, channels)."""
    return {
        figure.find_element("tag name", "h4").text: plt.imread(
            io.BytesIO(figure.find_element("css selector", ".chart").screenshot_as_png)
        )
        for figure in browser.find_elements("tag name", "figure")
    }


def test_it_fetches_nothing_and_complains_of_nothing(browser: Any, report: Path, compared: Path) -> None:
    for file in (report, compared):
        shown(browser, file)
        asked = requests(browser)
        assert file.as_uri() in asked  # or the log would not have been listening
        assert {url for url in asked if not url.startswith("data:")} == {file.as_uri()}
        assert browser.get_log("browser") == []


def test_every_chart_is_there(browser: Any, report: Path) -> None:
    shown(browser, report)
    seen = pictures(browser)
    assert seen.keys() >= SHOWN
    for title, pixels in seen.items():
        ground = pixels[2, 2]
        painted = (np.abs(pixels - ground) > 0.1).any(axis=2)
        assert painted.mean() > 0.005, f"{title} is blank"
        rows, columns = painted.any(axis=1), painted.any(axis=0)
        assert rows.mean() > 0.3, f"{title} has a part of its height"
        assert columns.mean() > 0.3, f"{title} has a part of its width"
    edges = browser.find_elements("css selector", "#figure-run1-edges .mark-rule line")
    assert len(edges) == 2 * 8  # each edge, and where it runs if nothing flows


def test_what_faults_did_is_on_the_time_axis(browser: Any, compared: Path) -> None:
    shown(browser, compared)
    titles = [each.text for each in browser.find_elements("tag name", "h4")]
    assert titles.count("Graph") == 3
    assert titles.count("Faults in time") == 1
    bars = browser.find_elements("css selector", "#figure-run3-faults-in-time .mark-rect path")
    assert len(bars) == 2
    assert "crash s1" in browser.find_element("id", "figure-run3-faults-in-time").text


def test_light_and_dark_are_both_legible(browser: Any, report: Path) -> None:
    colours = """return [...document.querySelectorAll("figure .role-axis-label text, figcaption, p, td, th, a, button")]
      .filter((it) => it.textContent)
      .map((it) => [getComputedStyle(it)[it.closest("svg") ? "fill" : "color"],
                    getComputedStyle(it.closest("figure") ?? document.body).backgroundColor])"""
    grounds = set()
    for ground in ("light", "dark"):
        shown(browser, report, ground)
        found = {tuple(pair) for pair in browser.execute_script(colours)}
        assert len(found) > 2
        for ink, paper in found:
            assert contrast(ink, paper) >= 4.5, (ground, ink, paper)
            grounds.add(paper)
    assert len(grounds) == 4  # page and figure, on either
    media = {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    drawn(browser, "light")  # the reader's choice while it is open


def contrast(one: str, other: str) -> float:
    """WCAG 2.1's contrast of two colours as CSS tells them."""

    def luminance(colour: str) -> float:
        channels = np.array([float(each) for each in colour[colour.index("(") + 1 : -1].split(",")[:3]]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("width", [360, 1600])
def test_narrow_and_wide_windows_hold_all_of_it(browser: Any, compared: Path, width: int) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    shown(browser, compared, width=width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    widths = """return [...document.querySelectorAll('.chart svg')].map(
      (it) => [it.getBoundingClientRect().width, it.closest('.chart').clientWidth])"""

    def fitted(_: Any) -> bool:
        """Once the page has its scroll bar, the charts are drawn anew beside it."""
        return all(0.9 * room <= own <= room + 1 for own, room in browser.execute_script(widths))

    WebDriverWait(browser, 30).until(fitted)
    outside = """return [...document.querySelectorAll('.chart svg .role-legend-label text')].filter((it) => {
      const [own, all] = [it.getBoundingClientRect(), it.closest('svg').getBoundingClientRect()];
      return own.top < all.top || own.left < all.left || own.right > all.right + 1; }).length"""
    assert browser.execute_script(outside) == 0


def test_keyboards_and_screen_readers_get_everything(browser: Any, report: Path) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    shown(browser, report)
    assert browser.find_element("tag name", "html").get_attribute("lang") == "en"
    assert len(browser.find_elements("tag name", "h1")) == 1
    for figure in browser.find_elements("tag name", "figure"):
        chart = figure.find_element("css selector", ".chart")
        title = figure.find_element("tag name", "h4").text
        assert chart.aria_role in ("img", "image")  # one role, by its older and its newer name
        assert chart.accessible_name.startswith(title)
        figure.find_element("tag name", "summary").send_keys(Keys.ENTER)
        WebDriverWait(figure, 30).until(
            lambda it: it.find_elements("css selector", "details table tbody tr"), title
        )
    assert all(each.accessible_name for each in browser.find_elements("tag name", "button"))
    links = browser.find_elements("css selector", "nav a, .skip")
    targets = [each.get_attribute("href").partition("#")[2] for each in links]
    assert targets
    assert all(browser.find_elements("id", target) for target in targets)


def test_tables_come_as_csv_with_the_journals_numbers(
    browser: Any, report: Path, run: Path, tmp_path: Path
) -> None:
    shown(browser, report)
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    button = browser.find_element("css selector", "button[data-table='run1-dispatchers']")
    button.click()
    rows = downloaded(browser, tmp_path / "run1-dispatchers.csv")
    jobs = pd.read_parquet(run / "jobs.parquet")
    jobs = jobs[jobs["arrival"] < 60.0]
    for row in rows:
        own = jobs[jobs["dispatcher"] == row["dispatcher"]]
        assert int(row["offered"]) == len(own)
        late = own[(own["arrival"] >= 10.0) & (own["state"] == "completed")]["latency"].mean()
        assert float(row["mean latency, s"]) == pytest.approx(late, rel=1e-3)
    browser.find_element("css selector", "#figure-run1-splits summary").click()
    browser.find_element("css selector", "#figure-run1-splits button.csv").click()
    shares = downloaded(browser, tmp_path / "run1-splits.csv")
    assert len(shares) == 8
    measured = jobs[jobs["arrival"] >= 10.0]
    for row in shares:
        own = measured[measured["dispatcher"] == row["dispatcher"]]
        assert float(row["share of its jobs"]) == pytest.approx(
            (own["server"] == row["server"]).mean(), abs=1e-3
        )


def downloaded(browser: Any, file: Path) -> list[dict[str, str]]:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 30).until(lambda _: file.exists())
    return list(csv.DictReader(file.read_text().splitlines()))


def test_the_topology_can_be_had_again(browser: Any, report: Path, run: Path, tmp_path: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    shown(browser, report)
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    browser.find_element("css selector", "button.file").click()
    file = tmp_path / "run1-topology.json"
    WebDriverWait(browser, 30).until(lambda _: file.exists())
    assert json.loads(file.read_text()) == json.loads((run / "topology.json").read_text())
    assert CliRunner().invoke(gmsr, ["topology", "check", str(file)]).exit_code == 0


def test_the_census_by_edge_is_the_agents_own(run: Path) -> None:
    (figure,) = by_edge(labelled([load(run)])[0]).figures
    (table,) = figure.tables
    counts = json.loads((run / "messages.json").read_text())["agents"]
    total = sum(
        count
        for each in counts.values()
        for kinds in each["sent"].values()
        for kind, (count, _) in kinds.items()
        if kind != "sent"  # the emulated network's stamps
    )
    rows = [dict(zip(table.heads, row, strict=True)) for row in table.rows]
    assert sum(row["messages"] for row in rows) == total
    assert all(row["messages"] == row["messages to the server"] + row["messages back"] for row in rows)
    assert all(row["bytes"] > row["messages"] for row in rows)


def test_the_command_as_json(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    told = json.loads(CliRunner().invoke(gmsr, ["report", str(run), "--out", str(out), "--json"]).stdout)
    assert told == {"file": str(out), "bytes": out.stat().st_size, "runs": [str(run)], "warnings": []}
