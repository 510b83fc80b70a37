"""How far another host's monotonic clock is ahead of ours: round trips over its nursery's channel, best of many.

A host that answers with the time t of its clock, between our sending at a and our hearing at b, was at t when our
clock was somewhere in [a, b]. So its clock is ahead by t − (a + b) / 2, give or take (b − a) / 2, however the way there
and the way back share the time (Cristian, "Probabilistic clock synchronization", 1989). The quickest trip says it best.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

ROUND_TRIPS = 50


class Offset(NamedTuple):
    """Of a host's clock: its time minus ours, in seconds, and how far off that may be at most."""

    ahead_ns: int
    error_ns: int

    @property
    def ahead_s(self) -> float:
        """In seconds."""
        return self.ahead_ns * 1e-9

    @property
    def error_s(self) -> float:
        """In seconds."""
        return self.error_ns * 1e-9


def offset(sent_ns: int, theirs_ns: int, heard_ns: int) -> Offset:
    """What one round trip says."""
    return Offset(theirs_ns - (sent_ns + heard_ns) // 2, (heard_ns - sent_ns + 1) // 2)


def best(ask: Callable[[], int | None], clock: Callable[[], int] = time.monotonic_ns) -> Offset | None:
    """Of ``ROUND_TRIPS``; ``ask`` returns the other clock's time, None if it does not answer."""
    found: list[Offset] = []
    for _ in range(ROUND_TRIPS):
        sent = clock()
        theirs = ask()
        if theirs is None:
            break
        found.append(offset(sent, theirs, clock()))
    return min(found, key=lambda each: each.error_ns, default=None)
