"""The contract of a feed: it decides when a server reports to whom, and nothing else.

A report is ``(REPORT, time, value, …)``: when it was true, on the server's clock, then what the policy reads. With
local correction (``correction.py``) the slopes that it needs follow, and last the number of the newest job of that
dispatcher that the server had taken in. Its sequence is the frame's: ``broker.inlet`` drops what was overtaken, so
that a late report never overwrites a newer one.

Each feed's file says what it costs, in reports and questions a job with D dispatchers a server; beside the count
``launch.record.feeding`` works that out from a run's journals.
"""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from gmsr.broker.wire import REPORT

from ..gauge import Gauge
from ..machine import NEVER, Message, Outbox

Values = tuple[float, ...]
REMEMBERED = 0.1
"""Weight of the last interval in the mean number of jobs that come between two reports."""


class Feed:
    """One server's feed, and what all feeds share. ``reads``: the policy's quantities, in order.

    ``corrected``: reports allow for local correction; then ``own`` is, by dispatcher, how many more of its jobs are
    here than when it was told last, and ``seen`` the newest of them. Options are strings, from
    ``--feed name:key=value``; a feed raises ValueError, with a message for the user, on what it does not know.
    """

    __slots__ = (
        "_last_came",
        "_random",
        "_typical",
        "corrected",
        "dispatchers",
        "own",
        "seen",
    )

    reports = True
    """Whether servers report at all."""
    asks = False
    """Whether dispatchers ask: then the options are theirs (``asking``)."""
    wants: ClassVar[tuple[str, ...] | None] = None
    """What the policy must read, if not anything will do."""

    def __init__(self, reads: Sequence[str], corrected: bool, random: Random) -> None:
        self.corrected = corrected
        self._random = random
        self.dispatchers: list[str] = []
        self.own: dict[str, int] = {}
        self.seen: dict[str, int] = {}
        self._last_came = -1  # jobs that had come when all were told last
        self._typical = -1.0  # jobs between two reports to all

    def joined(self, dispatcher: str, gauge: Gauge, jobs: int, outbox: Outbox, now: float) -> None:
        """A dispatcher's edge came up, or may have missed something: it is told how things stand."""
        if dispatcher not in self.dispatchers:
            self.dispatchers.append(dispatcher)
        self._say(dispatcher, gauge, jobs, outbox, now)

    def left(self, dispatcher: str) -> None:
        """A dispatcher closed its edge: nothing may be sent to it any more."""
        if dispatcher in self.dispatchers:
            self.dispatchers.remove(dispatcher)

    def asked(self, dispatcher: str, gauge: Gauge, jobs: int, outbox: Outbox, now: float) -> None:
        """A dispatcher wants to know, and is told."""
        self._say(dispatcher, gauge, jobs, outbox, now)

    def tell(self, gauge: Gauge, jobs: int, came: int, outbox: Outbox, now: float) -> None:
        """The turn is over, ``jobs`` jobs are here, and so many came in all: whoever should know is told."""

    def deadline(self) -> float:
        """When ``tell`` has something to say though nothing happens."""
        return NEVER

    def counted(self, dispatcher: str, change: int) -> None:
        """One job of a dispatcher has come or gone (with local correction)."""
        self.own[dispatcher] = self.own.get(dispatcher, 0) + change

    def _say(self, dispatcher: str, gauge: Gauge, jobs: int, outbox: Outbox, now: float) -> None:
        message: Message = (REPORT, now, *self._content(gauge, jobs))
        if self.corrected:
            self.own[dispatcher] = 0
            message = (*message, float(self.seen.get(dispatcher, -1)))
        outbox.setdefault(dispatcher, []).append(message)

    def _say_all(self, gauge: Gauge, jobs: int, came: int, outbox: Outbox, now: float) -> None:
        self._measure(came)
        if self.corrected:
            for dispatcher in self.dispatchers:
                self._say(dispatcher, gauge, jobs, outbox, now)
            return
        message = (REPORT, now, *self._content(gauge, jobs))
        for dispatcher in self.dispatchers:
            if dispatcher in outbox:
                outbox[dispatcher].append(message)
            else:
                outbox[dispatcher] = [message]

    def _content(self, gauge: Gauge, jobs: int) -> Values:
        if not gauge.slopes:
            return gauge.values(jobs)
        # Slopes for correction are those of one job; a policy that reads them wants those of a typical interval.
        ahead = 1.0 if self.corrected else max(self._typical - 1.0, 0.0)
        return (*gauge.values(jobs), *gauge.slope(jobs, ahead))

    def _measure(self, came: int) -> None:
        since = came - self._last_came
        if self._last_came >= 0:
            self._typical = (
                since if self._typical < 0.0 else self._typical + REMEMBERED * (since - self._typical)
            )
        self._last_came = came


def number(name: str, text: str, least: float, most: float, open_below: bool = True) -> float:
    """An option's value. Raises ValueError unless it is in (least, most], or [least, most]."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (least < value or (value == least and not open_below)) or not value <= most:
        bounds = f"above {least:g}" if open_below else f"{least:g} or more"
        raise ValueError(f"{name}={text} must be a number {bounds}, {most:g} at most")
    return value
