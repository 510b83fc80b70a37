"""One set of agents, two worlds: the deterministic one and real processes tell the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gmsr.launch import plan
from gmsr.launch.packaged import path as example
from gmsr.launch.record.collect import collect
from gmsr.launch.record.folder import open_run
from gmsr.launch.run import run
from gmsr.launch.world.simulate import simulate
from gmsr.topology.files import load

pytestmark = [pytest.mark.live, pytest.mark.slow]
Z = 3.6
"""Standard errors of the difference: a correct program fails once in three thousand runs."""


def figures(summary: dict[str, Any]) -> tuple[float, float]:
    """Mean latency and its standard error, from the 95 % interval of 20 batches."""
    low, high = summary["latency"]["ci95"]
    return summary["latency"]["mean"], (high - low) / 2.0 / 2.093


@pytest.mark.parametrize("policy", ["gmsr", "random"])
def test_both_worlds_agree(policy: str, tmp_path: Path) -> None:
    topology = load(example("two-regions")).topology
    options = plan.Options(policy=policy, duration=150.0, warmup=15.0, seed=4, scale=4.0, pace=20.0)
    real = run(topology, options, tmp_path / "real")
    virtual = simulate(topology, options, tmp_path / "virtual")
    assert real["valid"]
    assert virtual["valid"]
    assert set(virtual) == set(real), "the same summary"
    ours, theirs = (collect(open_run(tmp_path / name)).jobs for name in ("real", "virtual"))
    for dispatcher in (0, 1):
        one, other = (
            np.sort(jobs["arrival"][(jobs["dispatcher"] == dispatcher) & (jobs["arrival"] < 150.0)])
            for jobs in (ours, theirs)
        )
        assert np.array_equal(one, other), "the seed fixes arrivals, whoever plays them"
    (mean, error), (other_mean, other_error) = figures(real), figures(virtual)
    # Arrivals and sizes are the same, so the errors are not independent: the true one is smaller.
    late = real["fidelity"]["lateness"]["p99"]
    assert abs(mean - other_mean) <= Z * (error**2 + other_error**2) ** 0.5 + late
