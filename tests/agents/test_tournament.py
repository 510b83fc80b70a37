"""The tournament: its winner is the least key, whatever came before; with it GMSR chooses as it does without."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmsr.agents.policies import POLICIES
from gmsr.agents.policies.gmsr import Gmsr
from gmsr.agents.policies.tournament import Tournament
from gmsr.agents.spec import load
from gmsr.agents.view import View

KEY = st.tuples(st.sampled_from([0.0, 1.0, 2.0, float("inf")]), st.integers(0, 2))
VARIANTS = [
    ("gmsr", {"ties": "inflight"}),
    ("gmsr", {"ties": "order"}),
    ("gmsr", {"ties": "random"}),
    ("gmsr-derivative", {}),
    ("gmsr-fewest", {}),
    ("gmsr-delay", {}),
    ("gmsr-delay", {"ties": "order"}),
]


@settings(deadline=None)
@given(st.lists(KEY, min_size=1, max_size=9), st.lists(st.tuples(st.integers(0, 8), KEY), max_size=20))
def test_the_winner_is_the_least_after_every_change(
    keys: list[tuple[float, int]], changes: list[tuple[int, tuple[float, int]]]
) -> None:
    tree, random = Tournament(keys), Random(1)
    for place, key in [(0, keys[0]), *changes]:
        keys[place % len(keys)] = key
        tree.put(place % len(keys), key)
        assert tree.best == min(keys)
        assert keys[tree.draw(random)] == min(keys)


def test_each_of_the_tied_is_drawn_as_often() -> None:
    tree, random = Tournament([(1.0,), (0.0,), (0.0,), (2.0,), (0.0,), (0.0,), (0.0,)]), Random(1)
    drawn = Counter(tree.draw(random) for _ in range(5000))
    assert sorted(drawn) == [1, 2, 4, 5, 6]
    assert all(900 < count < 1100 for count in drawn.values())


def pair(name: str, options: dict[str, str], count: int) -> list[tuple[Any, View]]:
    """The same rule on equal views: with the tournament, and without."""
    made = []
    for few in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            rule = load(POLICIES[name])
            patch.setattr(rule, "few", few)
            ids = [f"s{(7 * number) % count}" for number in range(count)]  # the order is not that of places
            view = View(ids, rule.reads, [1.0] * count, [0.25 * (number % 3) for number in range(count)])
            policy = rule(view, Random(1), **options)
            view.touched = policy.touched
            made.append((policy, view))
    assert made[0][0]._many
    assert not made[1][0]._many
    return made


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@settings(deadline=None)
@given(data=st.data())
def test_gmsr_chooses_by_the_same_rule_with_it(
    name: str, options: dict[str, str], data: st.DataObject
) -> None:
    count = data.draw(st.sampled_from([1, 2, 3, 5, 8, 11]))
    both = pair(name, options, count)
    marginal = st.sampled_from([0.0, 0.25, 0.5, 1.0, float("inf")])
    for _ in range(data.draw(st.integers(1, 25))):
        number = data.draw(st.integers(0, count - 1))
        kind = data.draw(st.sampled_from(["report", "report", "send", "end", "leave", "enter"]))
        values = data.draw(st.tuples(marginal, st.sampled_from([0.0, 1.0, 2.0])))
        for policy, view in both:
            if kind == "report":
                view.reported(number, values[: len(view.reads)])
            elif kind == "send":
                view.add(number, 1)
            elif kind == "end" and view.inflight_at(number):
                view.add(number, -1)
            elif kind == "leave" and len(view.numbers) > 1:
                view.leave(number)
                policy.changed()
            elif kind == "enter":
                view.enter(number)
                policy.changed()
        (with_it, view), (without, _) = both
        chosen, plain = with_it.choose(), without.choose()
        if options.get("ties") == "random":
            assert view.column("marginal")[chosen] == max(view.column("marginal"))
        else:
            assert chosen == plain


def test_ties_at_random_give_each_its_chance_with_it() -> None:
    (rule, view), _ = pair("gmsr", {"ties": "random"}, 5)
    for number, marginal in enumerate((0.5, 0.7, 0.7, 0.1, 0.7)):
        view.reported(number, (marginal,))
    drawn = Counter(rule.choose() for _ in range(3000))
    assert sorted(drawn) == [1, 2, 4]
    assert all(880 < count < 1120 for count in drawn.values())


def test_many_servers_have_the_tournament_and_few_have_none() -> None:
    for count, played in ((Gmsr.few, False), (Gmsr.few + 1, True)):
        view = View([f"s{number}" for number in range(count)], ("marginal",), [1.0] * count)
        assert bool(Gmsr(view, Random(1)).touched) is played


@pytest.mark.parametrize("name", ["jsq", "fastest", "least-inflight"])
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_the_best_by_one_number_is_one_of_the_best_with_it(name: str, data: st.DataObject) -> None:
    rule = load(POLICIES[name])
    count = data.draw(st.sampled_from([1, 2, 5, 8]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rule, "few", 0)
        view = View([f"s{number}" for number in range(count)], rule.reads, [1.0] * count)
        policy = rule(view, Random(1))
        view.touched = policy.touched
    values: Any = view.column(rule.reads[0]) if rule.reads else view.inflight
    for _ in range(data.draw(st.integers(1, 20))):
        number = data.draw(st.integers(0, count - 1))
        kind = data.draw(st.sampled_from(["report", "send", "leave", "enter"]))
        if kind == "report":
            view.reported(number, (data.draw(st.sampled_from([0.0, 1.0, 2.0])),) * len(rule.reads))
        elif kind == "send":
            view.add(number, 1)
        elif kind == "leave" and len(view.numbers) > 1:
            view.leave(number)
            policy.changed()
        elif kind == "enter":
            view.enter(number)
            policy.changed()
        assert values[policy.choose()] == (max if name == "fastest" else min)(values)
