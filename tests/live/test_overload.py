"""Overload on real processes: the paper's three statements (MODEL section 7), and what tie-breaks do."""

from pathlib import Path

import pytest

from gmsr.launch import packaged
from gmsr.launch.plan import Options
from gmsr.launch.run import run
from gmsr.topology.files import load

from .faithful import faithful

pytestmark = [pytest.mark.slow, pytest.mark.live]


def test_throughput_the_stable_set_and_its_workload(tmp_path: Path) -> None:
    """Strictly increasing curves: all three within 5 % of the prediction."""
    topology = load(packaged.path("overloaded")).topology
    options = Options("gmsr", "every-change", 80.0, 30.0, 3, scale=50.0)
    _, summary = faithful(topology, options, tmp_path, (4.0, 1.5), 0.01)
    found = summary["overload"]
    assert summary["optimum"] is None
    assert found["throughput"]["measured"] == pytest.approx(found["throughput"]["predicted"], rel=0.05)
    assert found["stable"]["measured"] == found["stable"]["predicted"] == ["s4", "s5", "s6"]
    assert found["stable_workload"]["measured"] == pytest.approx(
        found["stable_workload"]["predicted"], rel=0.05
    )
    for each in found[
        "growth"
    ].values():  # a hyperbolic server nears its long-run rate like one over its workload
        assert each["measured"] == pytest.approx(each["predicted"], abs=0.3)


def test_one_common_order_holds_more_servers_than_other_tie_breaks(tmp_path: Path) -> None:
    topology = load(packaged.path("overloaded-multicore")).topology
    grown = {}
    for policy in ("gmsr:ties=order", "gmsr"):
        options = Options(policy, "every-change", 160.0, 40.0, 3, scale=20.0, pace=16.0)
        summary = run(topology, options, tmp_path / policy.replace(":", "-"))
        assert summary["valid"], summary["warnings"]
        assert summary["overload"]["throughput"]["measured"] == pytest.approx(12.0, rel=0.05)
        grown[policy] = summary["overload"]["grown"]
    assert len(grown["gmsr:ties=order"]) <= 3 < len(grown["gmsr"])


def test_the_oracle_routes_by_the_optimal_split(tmp_path: Path) -> None:
    topology = load(packaged.path("n-shaped")).topology
    summary = run(
        topology, Options("oracle", "every-change", 120.0, 10.0, 2, scale=20.0, pace=16.0), tmp_path / "run"
    )
    assert summary["valid"], summary["warnings"]
    # d1 sends 1.275 of its 2 to s1 in the optimum; 4,400 jobs of d1 are measured.
    assert summary["by_dispatcher"]["d1"]["split"]["s1"] == pytest.approx(0.6375, abs=0.03)
    assert summary["by_dispatcher"]["d2"]["split"] == {"s2": 1.0}
