"""Inventories in parts: which list counts, and what makes it void."""

from hypothesis import given
from hypothesis import strategies as st

from gmsr.agents.inventory import Inventories
from gmsr.broker.wire import HELD, MAX_HELD, Message


def parts(question: int, jobs: list[int]) -> list[Message]:
    """As a server tells it."""
    cuts = range(0, max(len(jobs), 1), MAX_HELD)
    return [
        (HELD, question, int(start + MAX_HELD < len(jobs)), *jobs[start : start + MAX_HELD]) for start in cuts
    ]


@given(st.lists(st.integers(0, 2**32 - 1), unique=True, max_size=100))
def test_the_last_part_brings_all(jobs: list[int]) -> None:
    made = Inventories()
    made.ask(3, 7, before=11)
    *early, last = parts(7, jobs)
    assert [made.part(3, part) for part in early] == [None] * len(early)
    assert made.part(3, last) == (11, set(jobs))
    assert made.part(3, last) is None, "it is not taken twice"


def test_who_was_not_asked_says_nothing() -> None:
    made = Inventories()
    assert made.part(0, (HELD, 1, 0)) is None
    made.ask(0, 1, before=5)
    assert made.part(1, (HELD, 1, 0)) is None
    assert made.part(0, (HELD, 2, 0, 9)) is None
    assert made.part(0, (HELD, 1, 0)) == (5, set())


def test_a_loss_makes_what_came_void() -> None:
    made = Inventories()
    made.ask(0, 1, before=5)
    made.part(0, (HELD, 1, 1, 9))
    made.spoil(0)
    assert made.part(0, (HELD, 1, 0, 10)) is None
    made.ask(0, 2, before=6)
    assert made.part(0, (HELD, 2, 0, 9, 10)) == (6, {9, 10})


def test_an_answer_that_takes_longer_than_until_the_next_question_counts() -> None:
    """A dispatcher asks every heartbeat; over a slow edge the answer to the first comes after the third."""
    made = Inventories()
    for question in (1, 2, 3):
        made.ask(0, question, before=10 + question)
    assert made.part(0, (HELD, 1, 1, 4)) is None
    assert made.part(0, (HELD, 1, 0, 5)) == (11, {4, 5})
    assert made.part(0, (HELD, 2, 0, 4, 5)) is None, "one answer is enough"


def test_a_loss_makes_all_answers_void_that_are_under_way() -> None:
    made = Inventories()
    made.ask(0, 1, before=5)
    made.ask(0, 2, before=6)
    made.ask(1, 1, before=7)
    made.spoil(0)
    assert made.part(0, (HELD, 1, 0)) is None
    assert made.part(0, (HELD, 2, 0)) is None
    assert made.part(1, (HELD, 1, 0)) == (7, set()), "another server's is whole"
