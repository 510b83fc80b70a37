"""What feeds cost: the count beside the formula, which is worked out from the journals alone."""

from pathlib import Path
from typing import Any

import pytest

from gmsr.launch import overhead, plan
from gmsr.launch.world.simulate import simulate
from gmsr.topology import curves
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology

CURVE = curves.make({"kind": "hyperbolic", "a": 30.0, "b": 4.0})
NAMES = ("s1", "s2", "s3")
TOPOLOGY = Topology(
    "two by three",
    (Dispatcher("d1", 30.0), Dispatcher("d2", 20.0)),
    tuple(Server(name, CURVE) for name in NAMES),
    tuple(Edge(dispatcher, server) for dispatcher in ("d1", "d2") for server in NAMES),
)


@pytest.mark.parametrize(
    ("policy", "feed"),
    [
        ("gmsr", "every-change"),
        ("gmsr", "every-change:correct=yes"),
        ("gmsr", "on-change:by=0.1"),
        ("gmsr", "on-change:by=0.3,correct=yes"),
        ("p2c", "on-change:by=0.3,correct=yes"),
        ("gmsr", "periodic:every=0.1"),
        ("gmsr-damped", "periodic:every=0.5"),
        ("gmsr", "piggyback"),
        ("gmsr", "probe:d=2"),
        ("prequal", "probe:pool=16"),
        ("jiq", "tokens"),
        ("random", "none"),
    ],
)
def test_the_count_is_what_the_formula_says(policy: str, feed: str, tmp_path: Path) -> None:
    options = plan.Options(policy=policy, feed=feed, duration=60.0, warmup=5.0)
    summary = simulate(TOPOLOGY, options, tmp_path / "run")
    assert summary["valid"], summary["warnings"]
    messages = summary["messages"]
    assert messages["told_per_job"] == pytest.approx(messages["told_per_job_by_formula"], rel=0.05, abs=0.001)
    assert (messages["told_per_job"] > 0.0) == (feed != "none")


def test_a_larger_testbed_has_the_same_load() -> None:
    grown = overhead.multiplied(TOPOLOGY, dispatchers=2, servers=3)
    assert len(grown.dispatchers) == 4
    assert len(grown.servers) == 9
    assert len(grown.edges) == 36
    assert sum(each.rate for each in grown.dispatchers) == pytest.approx(3 * 50.0)


def test_pairs_that_do_not_fit_are_told_and_left_out() -> None:
    fit, left_out = overhead.pairs(["gmsr", "random"], ["piggyback", "none"])
    assert fit == [("gmsr", "piggyback"), ("random", "piggyback")]
    assert len(left_out) == 1
    with pytest.raises(UserError, match="--feeds: no policy"):
        overhead.pairs(["gmsr"], ["none"])
    for feed in ("perodic", "periodic:every=0", "probe:d=0", "every-change:correct=maybe"):
        with pytest.raises(UserError, match=r"^--feed: "):
            overhead.pairs(["gmsr"], ["piggyback", feed])


@pytest.mark.parametrize(
    ("proofs", "told"),
    [([True, True], "nowhere else"), ([True, False], "NOT CLEAN"), ([True, None], "no sockets to look at")],
)
def test_the_census_claims_no_more_than_was_seen(proofs: list[bool | None], told: str) -> None:
    costs: list[dict[str, Any]] = [{"decentralised": proof} for proof in proofs]
    assert told in overhead.census(costs)
