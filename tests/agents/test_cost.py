"""What a report and a choice cost, counted and not timed: no more than the logarithm of the number of servers.

Counted are bytecodes of Python code, and comparisons of reported numbers, which ``min`` and its like do out of sight.
"""

import sys
from random import Random
from types import FrameType
from typing import Any

import pytest

from gmsr.agents.policies import POLICIES
from gmsr.agents.policies.gmsr import Gmsr
from gmsr.agents.spec import load
from gmsr.agents.view import View

FEW, MANY = 128, 2048
"""Doubled four times: what is logarithmic grows to 11/7, what is linear to 16."""
WATCHED = 40
LOOK_AT_ALL = ("prequal",)
"""Candidates are others with each job, but no more than the pool has."""


class Meter:
    """Counts while it is entered."""

    count = 0

    def __enter__(self) -> None:
        self._before = sys.gettrace()
        sys.settrace(self._trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes = True
        Meter.count += event == "opcode"
        return self._trace


class Counted(float):
    """A number whose comparisons are counted, and those of what is made of it."""

    __hash__ = float.__hash__

    def __lt__(self, other: float) -> bool:
        Meter.count += 1
        return float.__lt__(self, other)

    def __gt__(self, other: float) -> bool:
        Meter.count += 1
        return float.__gt__(self, other)

    def __eq__(self, other: object) -> bool:
        Meter.count += 1
        return float.__eq__(self, other)

    def __neg__(self) -> float:
        return Counted(float.__neg__(self))

    def __add__(self, other: float) -> float:
        return Counted(float.__add__(self, other))

    def __mul__(self, other: float) -> float:
        return Counted(float.__mul__(self, other))

    __rmul__ = __mul__

    def __rtruediv__(self, other: float) -> float:
        return Counted(float.__rtruediv__(self, other))


def cost(name: str, servers: int) -> int:
    """The dearest of some reports, each with a choice and a job that is sent. Time stands still for the policy."""
    rule, random = load(POLICIES[name]), Random(1)
    view = View([f"s{number}" for number in range(servers)], rule.reads, [1.0] * servers)
    for number in range(servers):
        view.reported(number, [Counted(random.random()) for _ in rule.reads])
    policy = rule(view, random)
    view.touched = getattr(policy, "touched", None)
    policy.choose()
    dearest = 0
    for turn in range(WATCHED):
        report = [Counted(random.choice((0.25, 2.0 * random.random()))) for _ in rule.reads]
        number = random.randrange(servers)
        before = Meter.count
        with Meter():
            view.reported(number, report, time=float(turn))
            view.add(policy.choose(), 1)
        dearest = max(dearest, Meter.count - before)
    return dearest


@pytest.mark.parametrize("name", [name for name in POLICIES if name not in LOOK_AT_ALL])
def test_a_report_and_a_choice_cost_no_more_than_the_logarithm(name: str) -> None:
    assert cost(name, MANY) < 2.5 * cost(name, FEW)


def test_a_look_at_all_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gmsr, "few", MANY)
    assert cost("gmsr", 4 * FEW) > 3.0 * cost("gmsr", FEW)


def test_what_min_compares_out_of_sight_is_counted() -> None:
    numbers = [Counted(value) for value in range(1000, 0, -1)]
    before = Meter.count
    with Meter():
        min(numbers)
    assert Meter.count - before > 999
