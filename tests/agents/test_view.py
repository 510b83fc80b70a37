"""The view: servers leave and enter, and nothing that is known of them gets lost or mixed up."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gmsr.agents.view import View

READS = ("marginal", "jobs")
numbers = st.integers(0, 30)
values = st.tuples(st.floats(0.0, 9.0), st.floats(0.0, 9.0))


class Servers(RuleBasedStateMachine):
    """A view beside plain dictionaries by server."""

    @initialize(count=st.integers(1, 5))
    def begin(self, count: int) -> None:
        names = [f"s{number}" for number in range(count)]
        self.view = View(names, READS, [1.0 + number for number in range(count)])
        self.names = names
        self.inflight = [0] * count
        self.reports = [(0.0, 0.0)] * count
        self.candidates = set(range(count))
        self.lists = (self.view.servers, self.view.inflight, self.view.weights, self.view.numbers)
        self.columns = [self.view.column(name) for name in READS]

    def one(self, number: int) -> int:
        return number % len(self.names)

    @rule(number=numbers)
    def leave(self, number: int) -> None:
        self.view.leave(self.one(number))
        self.candidates.discard(self.one(number))

    @rule(number=numbers)
    def enter(self, number: int) -> None:
        self.view.enter(self.one(number))
        self.candidates.add(self.one(number))

    @precondition(lambda self: len(self.names) < 9)
    @rule()
    def meet(self) -> None:
        name = f"s{len(self.names)}"
        assert self.view.meet(name, 1.0 + len(self.names)) == len(self.names)
        self.names.append(name)
        self.inflight.append(0)
        self.reports.append((0.0, 0.0))

    @rule(number=numbers, change=st.sampled_from((1, 1, -1)))
    def add(self, number: int, change: int) -> None:
        server = self.one(number)
        if self.inflight[server] + change >= 0:
            self.view.add(server, change)
            self.inflight[server] += change

    @rule(number=numbers, told=values)
    def reported(self, number: int, told: tuple[float, float]) -> None:
        self.view.reported(self.one(number), told)
        self.reports[self.one(number)] = told

    @invariant()
    def all_is_known(self) -> None:
        view = self.view
        view.validate()
        assert view.names == self.names
        assert set(view.numbers) == self.candidates
        for number, name in enumerate(self.names):
            assert view.inflight_at(number) == self.inflight[number]
            place = view.place[number]
            assert (place >= 0) == (number in self.candidates)
            if place >= 0:
                assert view.servers[place] == name
                assert view.inflight[place] == self.inflight[number]
                assert view.weights[place] == 1.0 + number
                assert tuple(column[place] for column in self.columns) == self.reports[number]

    @invariant()
    def what_a_policy_holds_is_the_same_for_good(self) -> None:
        view = self.view
        assert self.lists == (view.servers, view.inflight, view.weights, view.numbers)
        assert all(
            mine is its
            for mine, its in zip(
                self.lists, (view.servers, view.inflight, view.weights, view.numbers), strict=True
            )
        )
        assert all(mine is view.column(name) for mine, name in zip(self.columns, READS, strict=True))


test_servers_come_and_go = Servers.TestCase


def test_who_comes_back_is_as_it_last_reported() -> None:
    view = View(["a", "b", "c"], ("jobs",), [1.0, 2.0, 3.0])
    view.reported(1, (5.0,))
    view.add(1, 2)
    view.leave(1)
    assert (view.servers, view.weights) == (["a", "c"], [1.0, 3.0])
    view.add(1, -1)
    view.reported(1, (7.0,))
    view.enter(1)
    assert (view.servers, view.inflight, view.column("jobs")) == (["a", "c", "b"], [0, 0, 1], [0.0, 0.0, 7.0])
    assert view.weights == [1.0, 3.0, 2.0]


def test_when_all_weight_is_away_the_others_are_alike() -> None:
    view = View(["a", "b", "c"], (), [0.0, 0.0, 1.0])
    view.leave(2)
    assert view.weights == [1.0, 1.0]
    view.enter(2)
    assert view.weights == [0.0, 0.0, 1.0]


def test_leaving_twice_is_leaving_once() -> None:
    view = View(["a"], (), [1.0])
    view.leave(0)
    view.leave(0)
    view.enter(0)
    view.enter(0)
    view.validate()
    assert view.servers == ["a"]


def test_a_report_must_have_all_that_is_read() -> None:
    view = View(["a"], READS, [1.0])
    with pytest.raises(IndexError):
        view.reported(0, (1.0,))
