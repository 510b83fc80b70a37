"""Shared kinks: plain GMSR settles away from the optimum, smoothed GMSR at it (MODEL section 5)."""

from collections.abc import Callable
from typing import Any

import pytest

from gmsr.agents.journal import COMPLETED
from gmsr.launch import packaged
from gmsr.topology.files import load

pytestmark = pytest.mark.slow

SCALE, DURATION, WARMUP = 50.0, 120.0, 40.0
OPTIMUM = 18.0 / 13.0
"""N = (6, 8, 4, 0) at rates 6, 4, 3, by Little's law."""


def mean_latency(fabric: Callable[..., Any], smoothed: bool, policy: str = "gmsr", **options: str) -> float:
    topology = load(packaged.path("kinked")).topology
    world = fabric(
        {server.id: server.curve.describe() for server in topology.servers},
        {each.id: [edge.server for edge in topology.servers_of(each.id)] for each in topology.dispatchers},
        {each.id: each.rate for each in topology.dispatchers},
        policy=policy, options=options, scale=SCALE, duration=DURATION, seed=3, validating=False,
        widths={server.id: server.width if smoothed else 0.0 for server in topology.servers},
    )  # fmt: skip
    world.run()
    latencies = [
        row[5] - row[3]
        for dispatcher in topology.dispatchers
        for row in world.journals[dispatcher.id].rows
        if row[2] == COMPLETED and WARMUP <= row[3] < DURATION
    ]
    assert len(latencies) > 40_000
    return float(sum(latencies) / len(latencies))


def test_plain_gmsr_settles_away_from_the_optimum(fabric: Callable[..., Any]) -> None:
    for ties in ("inflight", "order", "random"):
        assert mean_latency(fabric, smoothed=False, ties=ties) > 1.3 * OPTIMUM


def test_the_default_smoothing_mends_it(fabric: Callable[..., Any]) -> None:
    assert mean_latency(fabric, smoothed=True) < 1.05 * OPTIMUM
    assert mean_latency(fabric, smoothed=True, policy="gmsr-derivative") < 1.05 * OPTIMUM
