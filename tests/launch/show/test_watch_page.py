"""The page of gmsr watch in a real browser: a finished run played back, a live one, and a button that does harm."""

import io
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot as plt

from gmsr.launch import packaged
from gmsr.launch.record.folder import happenings
from gmsr.launch.record.load import load
from gmsr.launch.watch.serving import Site
from gmsr.launch.watch.source import Replay

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

DRAWN = {"graph", "workload", "latency", "marginals", "rates"}


@pytest.fixture(scope="module")
def site(hurt: Path) -> Iterator[Site]:
    made = Site(Replay(load(hurt)), {})
    yield made
    made.close()


def opened(browser: Any, address: str, ground: str = "light", width: int = 1200, figures: int = 5) -> None:
    """Open a page in a window that holds all of it, and wait until its charts are drawn."""
    browser.get_log("browser")
    media = {"features": [{"name": "prefers-color-scheme", "value": ground}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    size = {"width": width, "height": 5000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)
    count = f"return document.querySelectorAll('figure[data-drawn=\"{ground}\"]').length"
    until(browser, lambda: browser.execute_script(count) >= figures)


def until(browser: Any, holds: Callable[[], bool]) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 60).until(lambda _: holds())


def pictures(browser: Any) -> dict[str, Any]:
    """Pixels of each chart that is shown."""
    return {
        figure.get_attribute("data-chart"): plt.imread(
            io.BytesIO(figure.find_element("css selector", ".chart").screenshot_as_png)
        )
        for figure in browser.find_elements("tag name", "figure")
        if figure.is_displayed()
    }


def test_a_finished_run_is_played_back(browser: Any, site: Site) -> None:
    opened(browser, site.address)
    assert browser.get_log("browser") == []
    seen = pictures(browser)
    assert seen.keys() == DRAWN
    for name, pixels in seen.items():
        painted = (np.abs(pixels - pixels[2, 2]) > 0.1).any(axis=2)
        assert painted.mean() > 0.005, f"{name} is blank"
        assert painted.any(axis=1).mean() > 0.3, f"{name} has a part of its height"
    assert len(browser.find_elements("css selector", "#faults li")) == 2
    assert not browser.find_element("id", "hands").is_displayed(), "nothing can be done to what is over"
    before = browser.find_element("id", "tiles").text
    assert "× the optimum" in before or "optimum" in before
    from selenium.webdriver.common.keys import Keys

    slider = browser.find_element("id", "time")
    assert slider.accessible_name == "Time"
    slider.send_keys(Keys.HOME)
    until(browser, lambda: browser.find_element("id", "tiles").text != before)
    assert float(browser.find_element("id", "clock").text.removesuffix(" s")) < 1.0
    browser.find_element("id", "play").click()
    until(browser, lambda: int(slider.get_property("value")) >= 3)
    browser.find_element("id", "play").click()
    assert browser.find_element("id", "play").text == "Play"
    assert browser.get_log("browser") == []


def test_light_and_dark_narrow_and_wide(browser: Any, site: Site) -> None:
    inks = """return [...document.querySelectorAll("figure .role-axis-label text, figcaption, p, td, th, dd *, button")]
      .filter((it) => it.textContent && it.getClientRects().length)
      .map((it) => [getComputedStyle(it)[it.closest("svg") ? "fill" : "color"],
                    getComputedStyle(it.closest("figure, .tiles > div, button") ?? document.body).backgroundColor])"""
    for ground, width in (("light", 360), ("dark", 1600)):
        opened(browser, site.address, ground, width)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        found = {tuple(pair) for pair in browser.execute_script(inks)}
        assert len(found) > 2
        for ink, paper in found:
            assert contrast(ink, paper) >= 4.5, (ground, ink, paper)


def contrast(one: str, other: str) -> float:
    """WCAG 2.1's contrast of two colours as CSS tells them."""

    def luminance(colour: str) -> float:
        channels = np.array([float(each) for each in colour[colour.index("(") + 1 : -1].split(",")[:3]]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_labels_for_screen_readers(browser: Any, site: Site) -> None:
    opened(browser, site.address)
    assert browser.find_element("tag name", "html").get_attribute("lang") == "en"
    assert len(browser.find_elements("tag name", "h1")) == 1
    for figure in browser.find_elements("tag name", "figure"):
        if figure.is_displayed():
            chart = figure.find_element("css selector", ".chart")
            assert chart.accessible_name.startswith(figure.find_element("tag name", "h2").text)
    for each in browser.find_elements("css selector", "button, input, select"):
        assert not each.is_displayed() or each.accessible_name


@pytest.mark.live
def test_a_button_on_the_live_page_does_harm(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.support.ui import Select

    out, example = tmp_path / "run", str(packaged.path("two-regions"))
    chosen = ["--duration", "600", "--scale", "4", "--watch", "--json", "--out", str(out)]
    command = [sys.executable, "-m", "gmsr", "run", example, *chosen]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        address = next(line for line in process.stderr if "http://" in line).split()[-1]
        try:
            opened(browser, address, figures=6)
            form = browser.find_element("id", "inject")
            until(browser, form.is_displayed)
            assert all(each.accessible_name for each in form.find_elements("css selector", "select, button"))
            Select(form.find_element("name", "kind")).select_by_value("slow")
            Select(form.find_element("name", "target")).select_by_value("s1")
            form.find_element("css selector", "button").click()
            until(browser, lambda: " at " in browser.find_element("id", "done").text)
            until(browser, lambda: "s1" in browser.find_element("id", "faults").text)
            Select(form.find_element("name", "kind")).select_by_value("policy")
            field = form.find_element("name", "policy")
            assert field.accessible_name == "Policy"
            offered = "return [...document.querySelectorAll('#policies option')].map((it) => it.value)"
            assert {"random", "gmsr"} <= {*browser.execute_script(offered)}
            assert "jsq" not in browser.execute_script(offered), "reports do not carry what it reads"
            field.send_keys("random")
            form.find_element("css selector", "button").click()
            until(browser, lambda: "to random" in browser.find_element("id", "faults").text)
            assert pictures(browser).keys() == DRAWN | {"messages"}
            assert browser.get_log("browser") == []
            told = json.load(urllib.request.urlopen(f"{address}news?after=0", timeout=10))
            assert told["frames"][-1]["completed"] > 0.0
            assert told["frames"][-1]["flows"]
            process.send_signal(signal.SIGINT)
            results, _ = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130
    begun = [each for each in happenings(out) if each.event == "begin"]
    assert [(each.kind, each.agents, each.by) for each in begun] == [
        ("slow", ["s1"], "hand"), ("policy", ["d1", "d2"], "hand")
    ]  # fmt: skip
    assert json.loads(results)["faults"][0]["kind"] == "slow"
    gone = "return document.getElementById('status').textContent"
    until(browser, lambda: "ended" in browser.execute_script(gone))
