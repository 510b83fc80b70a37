"""Waiting for a long compiled loop so that Ctrl-C ends the wait: Python hears signals between its own steps only."""

from collections.abc import Callable
from threading import Thread
from typing import TypeVar

LOOK_S = 0.05

Answer = TypeVar("Answer")


def interruptible(call: Callable[[], Answer]) -> Answer:
    """What ``call`` returns or raises; it runs in a thread of its own, which an interrupted program leaves behind."""
    answers: list[Answer] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            answers.append(call())
        except BaseException as error:  # handed over
            failures.append(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(LOOK_S)
    if failures:
        raise failures[0]
    return answers[0]
