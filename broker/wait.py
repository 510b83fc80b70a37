"""Sleeping until a deadline or a message, to about 0.1 ms.

libzmq's own poll takes whole milliseconds and errs by 0.8 ms on average. select takes microseconds; what
remains is the kernel's timer slack (50 µs unless told otherwise) and the scheduler.
"""

import select
from collections.abc import Sequence
from ctypes import CDLL, c_int, c_ulong

_PR_SET_TIMERSLACK = 29


class Waiter:
    """Waits for any of a few descriptors (numbers below 1,024: select's own limit)."""

    __slots__ = ("_fds",)

    def __init__(self, fds: Sequence[int]) -> None:
        self._fds = list(fds)

    def wait(self, timeout_real_s: float) -> list[int]:
        """The descriptors that can be read, none if the time is over."""
        return select.select(self._fds, (), (), timeout_real_s)[0]


def set_timer_slack(nanoseconds: int = 1) -> None:
    """Let this process's timers be as exact as the kernel can make them (prctl(2))."""
    CDLL(None).prctl(c_int(_PR_SET_TIMERSLACK), c_ulong(nanoseconds), 0, 0, 0)
