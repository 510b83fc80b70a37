"""Small runs to be shown, made in the deterministic world, and a real browser to look at them with."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gmsr.launch import packaged, plan
from gmsr.launch.world.simulate import simulate
from gmsr.topology.faults import make
from gmsr.topology.files import load

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), shutil.which("chromedriver")
SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def simulated(folder: Path, policy: str, faults: bool = False) -> Path:
    topology, _ = load(str(packaged.path("two-regions")))
    if faults:
        plain: list[dict[str, Any]] = [
            {"kind": "crash", "at": 20.0, "agent": "s1", "restart": 10.0},
            {"kind": "slow", "at": 35.0, "server": "s2", "factor": 0.5, "for": 10.0},
        ]
        topology = topology._replace(faults=tuple(make(each, topology.edges) for each in plain))
    simulate(topology, plan.options(topology, policy=policy, duration=60.0, scale=4.0), folder)
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which nothing befell."""
    return simulated(tmp_path_factory.mktemp("shown") / "calm", "gmsr")


@pytest.fixture(scope="session")
def hurt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which a server was dead for a while, and another slow."""
    return simulated(tmp_path_factory.mktemp("shown") / "hurt", "gmsr", faults=True)


@pytest.fixture(scope="session")
def rival(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same load under another policy."""
    return simulated(tmp_path_factory.mktemp("shown") / "rival", "round-robin")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium that tells what it asks of the network. Skips where there is none."""
    if not (CHROMIUM.exists() and DRIVER):
        reason = "needs Debian's chromium and chromium-driver"
        if os.environ.get("GMSR_FORBID_SKIPS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()
