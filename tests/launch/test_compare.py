"""Policies side by side: who runs when, and what the figures are made of. No process is started."""

from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from gmsr.launch import compare, plan
from gmsr.launch.compare import Outcome
from gmsr.launch.show.progress import Progress
from gmsr.topology import curves
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology

TOPOLOGY = Topology(
    "pair",
    (Dispatcher("d1", 1.0),),
    (Server("s1", curves.make({"kind": "hyperbolic", "a": 4.0, "b": 2.0})),),
    (Edge("d1", "s1"),),
)
T_95_ONE_DEGREE = 12.706204736


def summary(
    mean: float | None, optimum: float | None = 0.5, p99: float | None = 9.0, **more: Any
) -> dict[str, Any]:
    return {
        "latency": {"mean": mean, "ci95": [0.8, 1.2], "p99": p99},
        "optimum": None if optimum is None else {"latency": optimum},
        "valid": True,
        "warnings": [],
        "run_dir": "x",
        **more,
    }


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Policy and seed of every run, in order."""
    order: list[tuple[str, int]] = []

    def run(
        _topology: Topology, options: plan.Options, _out: Path | None, _progress: Progress
    ) -> dict[str, Any]:
        order.append((options.policy, options.seed))
        return summary(1.0)

    monkeypatch.setattr(compare, "run", run)
    return order


def quiet(_label: str) -> Progress:
    return Progress(quiet=True)


def test_repeats_are_interleaved_with_seeds_that_count_up(played: list[tuple[str, int]]) -> None:
    options = plan.options(TOPOLOGY, seed=5)
    outcomes = compare.compare(TOPOLOGY, options, ["gmsr", "jsq"], 2, None, quiet)
    assert played == [("gmsr", 5), ("jsq", 5), ("gmsr", 6), ("jsq", 6)]
    assert [(outcome.policy, len(outcome.summaries)) for outcome in outcomes] == [("gmsr", 2), ("jsq", 2)]


@pytest.mark.parametrize(
    ("policies", "repeats", "field"),
    [(["gmsr", "fifo"], 1, "--policy"), ([], 1, "--policies"), (["jsq", "jsq"], 1, "--policies"),
     (["jsq"], 0, "--repeats")],
)  # fmt: skip
def test_nothing_is_run_where_something_is_wrong(
    policies: list[str], repeats: int, field: str, played: list[tuple[str, int]]
) -> None:
    with pytest.raises(UserError, match=f"^{field}: "):
        compare.compare(TOPOLOGY, plan.options(TOPOLOGY), policies, repeats, None, quiet)
    assert played == []


def test_a_feed_that_does_not_fit_the_last_policy_stops_the_first(played: list[tuple[str, int]]) -> None:
    options = plan.options(TOPOLOGY, feed="none")
    with pytest.raises(UserError, match=r"^--feed: gmsr reads marginal"):
        compare.compare(TOPOLOGY, options, ["random", "gmsr"], 1, None, quiet)
    assert played == []


def test_a_folder_that_exists_is_left_alone(tmp_path: Path, played: list[tuple[str, int]]) -> None:
    with pytest.raises(UserError, match=r"^--out: "):
        compare.compare(TOPOLOGY, plan.options(TOPOLOGY), ["jsq"], 1, tmp_path, quiet)
    assert played == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gmsr", ["gmsr"]),
        ("gmsr, jsq,p2c", ["gmsr", "jsq", "p2c"]),
        ("gmsr:ties=random,p2c", ["gmsr:ties=random", "p2c"]),
        ("m:C:a=1,b=2,jsq,gmsr:ties=order", ["m:C:a=1,b=2", "jsq", "gmsr:ties=order"]),
        ("", []),
    ],
)
def test_commas_separate_policies_and_their_options(text: str, names: list[str]) -> None:
    assert compare.split(text) == names


def test_one_repeat_has_the_intervals_of_its_own_batch_means() -> None:
    made = compare.figures([Outcome("gmsr", [summary(1.0)]), Outcome("jsq", [summary(1.5, p99=3.0)])])
    assert made["jsq"]["mean"] == 1.5
    assert made["jsq"]["ci95"] == [0.8, 1.2]
    assert made["jsq"]["p99"] == 3.0
    assert made["jsq"]["ratio_to_first"] == 1.5
    assert made["jsq"]["ratio_to_optimum"] == 3.0
    assert made["gmsr"]["ratio_to_first"] == 1.0


def test_repeats_have_student_s_interval_and_ratios_within_pairs() -> None:
    first = Outcome("gmsr", [summary(1.0), summary(2.0)])
    other = Outcome("jsq", [summary(1.1), summary(2.2)])
    made = compare.figures([first, other])
    half = T_95_ONE_DEGREE * (1.1 / sqrt(2.0)) / sqrt(2.0)
    assert made["jsq"]["mean"] == pytest.approx(1.65)
    assert made["jsq"]["ci95"] == pytest.approx([1.65 - half, 1.65 + half])
    assert made["jsq"]["ratio_to_first"] == pytest.approx(1.1)
    assert made["jsq"]["ratio_to_first_half"] == pytest.approx(0.0, abs=1e-9), "seeds differ, pairs do not"


def test_what_cannot_be_said_is_none_and_can_be_shown() -> None:
    made = compare.figures(
        [Outcome("gmsr", [summary(1.0, None)]), Outcome("random", [summary(None, None, None)])]
    )
    assert made["gmsr"]["ratio_to_optimum"] is None
    assert made["random"]["ratio_to_first"] is None
    assert "random" in compare.text(made)


def test_a_run_that_is_not_valid_is_marked_and_its_warnings_shown() -> None:
    made = compare.figures(
        [Outcome("gmsr", [summary(1.0), summary(1.0, valid=False, warnings=["torn journal"])])]
    )
    assert made["gmsr"]["valid"] is False
    shown = compare.text(made)
    assert "NOT VALID" in shown
    assert "warning: gmsr: torn journal" in shown
