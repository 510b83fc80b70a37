"""The overload field of a summary: what was worked off, who grew, beside the prediction."""

import numpy as np
import pytest

from gmsr.launch.record import overload
from gmsr.topology import curves
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology

NAN = float("nan")
PAIR = Topology(
    "pair",
    (Dispatcher("d1", 3.0), Dispatcher("d2", 1.0)),
    (Server("s1", curves.Hyperbolic(2.0, 1.0)), Server("s2", curves.Hyperbolic(3.0, 1.0))),
    (Edge("d1", "s1"), Edge("d2", "s1"), Edge("d2", "s2")),
    scale=100.0,
)


def test_what_was_worked_off_is_the_integral_of_the_rate() -> None:
    """One job from 0 to 4, one from 1 on, another from 2 to 3, seen in [1, 5): N is 2, 3, 2, 1 for a second each."""
    curve = curves.Multicore(0.5, 2)
    arrived, departed = np.array([0.0, 1.0, 2.0]), np.array([4.0, NAN, 3.0])
    assert overload.served(curve, 1.0, arrived, departed, 1.0, 5.0) == pytest.approx(
        (1.0 + 1.0 + 1.0 + 0.5) / 4.0
    )
    assert overload.served(curve, 1.0, arrived[:0], departed[:0], 1.0, 5.0) == 0.0


def test_a_growing_server_is_told_from_a_stable_one() -> None:
    """s1 grows at rate 1, its share of what does not fit; s2 wanders about its workload."""

    def workloads(begin: float, end: float) -> dict[str, float]:
        middle = 0.5 * (begin + end)
        return {"s1": middle, "s2": 0.5 + 0.01 * float(np.sin(middle))}

    found = overload.compare(PAIR, {"d1": 3.0, "d2": 1.0}, {"s1": 1.99, "s2": 1.0}, workloads, 10.0, 110.0)
    assert found["throughput"] == {"measured": pytest.approx(2.99), "predicted": pytest.approx(3.0)}
    assert found["stable"] == {"measured": ["s2"], "predicted": ["s2"]}
    assert found["growth"]["s1"] == {"measured": pytest.approx(1.0), "predicted": pytest.approx(1.0)}
    assert found["stable_workload"]["predicted"] == pytest.approx(0.5)
    assert found["stable_workload"]["measured"] == pytest.approx(0.5, abs=0.01)
    assert (found["unstable"], found["grown"], found["held"]) == (["s1"], ["s1"], [])
