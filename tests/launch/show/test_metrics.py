"""Prometheus metrics: what is exposed, by Prometheus's own parser; that the dashboard asks for nothing else."""

import json
import re
import socket
import urllib.request
from importlib.resources import files

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gmsr.launch import packaged, plan
from gmsr.launch.show.metrics import Metrics
from gmsr.topology.errors import UserError
from gmsr.topology.files import load

STATUSES = (
    {"id": "d1", "say": "status", "t": 3.5, "offered": 70, "completed": 60, "in_flight": 8, "lost": 2},
    {
        "id": "s1",
        "say": "status",
        "t": 3.4,
        "arrived": 40,
        "departed": 36,
        "held": 4,
        "rate": 1.0,
        "marginal": 0.2,
    },
)


def served() -> Metrics:
    topology, _ = load(str(packaged.path("two-regions")))
    return Metrics(topology, plan.options(topology, scale=2.0), 0)


def scraped(address: str) -> dict[tuple[str, str], float]:
    with urllib.request.urlopen(address, timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_it_tells_what_telemetry_said() -> None:
    with served() as metrics:
        assert metrics.address.startswith("http://127.0.0.1:")
        for status in STATUSES:
            metrics.heard(status)
        found = scraped(metrics.address)
    assert found["gmsr_jobs_offered_total", "d1"] == 70
    assert found["gmsr_jobs_lost_total", "d1"] == 2
    assert found["gmsr_server_jobs", "s1"] == 4
    assert found["gmsr_server_workload", "s1"] == 2.0
    # as it says itself: at N = 2 its curve has 2 and 0.44, which a fault has slowed down
    assert (found["gmsr_server_rate", "s1"], found["gmsr_server_marginal_rate", "s1"]) == (1.0, 0.2)
    assert found["gmsr_time_seconds", ""] == 3.5


def test_a_port_that_is_taken_is_told_in_a_line() -> None:
    topology, _ = load(str(packaged.path("two-regions")))
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="--metrics: port"):
        Metrics(topology, plan.options(topology), taken.getsockname()[1])


def test_the_dashboard_asks_for_what_there_is() -> None:
    dashboard = json.loads(files("gmsr.launch.show").joinpath("grafana.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"gmsr_\w+", target["expr"])
    }
    with served() as metrics:
        for status in STATUSES:
            metrics.heard(status)
        there = {name for name, _ in scraped(metrics.address)}
    assert asked
    assert asked <= there
