"""Sleeping until a deadline or a message. How exact it is, ``gmsr bench`` measures; no test asserts speed."""

import os
import time
from collections.abc import Iterator

import pytest

from gmsr.broker.wait import Waiter, set_timer_slack


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_deadline_is_never_early(pipe: tuple[int, int]) -> None:
    set_timer_slack()
    began = time.monotonic()
    assert Waiter([pipe[0]]).wait(0.002) == []
    assert time.monotonic() - began >= 0.002


def test_a_message_ends_the_wait(pipe: tuple[int, int]) -> None:
    other = os.pipe()
    try:
        waiter = Waiter([pipe[0], other[0]])
        os.write(other[1], b"x")
        assert waiter.wait(60.0) == [other[0]]
        os.write(pipe[1], b"x")
        assert sorted(waiter.wait(60.0)) == sorted([pipe[0], other[0]])
    finally:
        for end in other:
            os.close(end)


def test_timer_slack_is_what_was_asked_for() -> None:
    set_timer_slack(1234)
    with open("/proc/self/timerslack_ns", encoding="ascii") as file:  # noqa: PTH123
        assert int(file.read()) == 1234
    set_timer_slack()
