"""``on-change:by=0.3``: a server tells a dispatcher once a value has moved by more than such a share.

Moved from what that dispatcher believes: what it was told last, or, with local correction, what it makes of that for
its own jobs, which the server works out as the dispatcher does. The share is of the larger of the two values. Cost: 1
report for each time that a value leaves that band, by dispatcher.

Sending on the difference from what the receiver predicts is send-on-delta with linear prediction (Miskowicz,
"Send-on-delta concept: an event-based data reporting strategy", Sensors 6, 2006; Suh, Sensors 7, 2007).
"""

from collections.abc import Sequence
from random import Random

from ..gauge import SLOPES, Gauge
from ..machine import Outbox
from .base import Feed, Values, number
from .correction import SLOPED, moved

BY = "0.3"


def off(value: float, believed: float, by: float) -> bool:
    """Whether a belief is wrong by more than such a share."""
    return value != believed and not abs(value - believed) <= by * max(abs(value), abs(believed))


class OnChange(Feed):
    """Remembers by dispatcher what it was told last."""

    __slots__ = ("_by", "_sloped", "_told")

    def __init__(self, reads: Sequence[str], corrected: bool, random: Random, by: str = BY) -> None:
        super().__init__(reads, corrected, random)
        self._by = number("by", by, 0.0, 1.0)
        self._sloped = [quantity in SLOPED for quantity in reads if quantity not in SLOPES]
        self._told: dict[str, Values] = {}

    def tell(self, gauge: Gauge, jobs: int, came: int, outbox: Outbox, now: float) -> None:
        """Tell those whose belief is too far off."""
        values = gauge.values(jobs)
        for dispatcher in self.dispatchers:
            if self._off(dispatcher, values):
                self._say(dispatcher, gauge, jobs, outbox, now)

    def _off(self, dispatcher: str, values: Values) -> bool:
        told, own = self._told[dispatcher], self.own.get(dispatcher, 0)
        fall, rise = told[-2:] if self.corrected and len(told) > len(values) else (0.0, 0.0)
        for index, value in enumerate(values):
            believed = told[index]
            if own:
                believed = moved(self._sloped[index], believed, fall, rise, own)
            if off(value, believed, self._by):
                return True
        return False

    def _say(self, dispatcher: str, gauge: Gauge, jobs: int, outbox: Outbox, now: float) -> None:
        self._told[dispatcher] = self._content(gauge, jobs)
        super()._say(dispatcher, gauge, jobs, outbox, now)
