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
from ..machine import NEVER, Outbox
from .base import Feed, number
from .correction import SLOPED, moved

BY = "0.3"


def band(believed: float, by: float) -> tuple[float, float]:
    """Between which values a belief is right to such a share of the larger of the two; values are 0 or more."""
    return ((1.0 - by) * believed, believed / (1.0 - by)) if by < 1.0 else (0.0, NEVER)


def off(value: float, believed: float, by: float) -> bool:
    """Whether a belief is wrong by more than such a share."""
    low, high = band(believed, by)
    return not low <= value <= high


class _Belief:
    """What one dispatcher believes of one value, and the band within which it may stay."""

    __slots__ = ("_by", "_fall", "_rise", "_sloped", "_told", "high", "low")

    def __init__(self, sloped: bool, by: float) -> None:
        self._sloped = sloped
        self._by = by
        self._told = self._fall = self._rise = self.low = self.high = 0.0

    def tell(self, value: float, fall: float, rise: float) -> None:
        """It is told."""
        self._told, self._fall, self._rise = value, fall, rise
        self.low, self.high = band(value, self._by)

    def move(self, own: int) -> None:
        """So many more of its own jobs are here than when it was told."""
        believed = moved(self._sloped, self._told, self._fall, self._rise, own) if own else self._told
        self.low, self.high = band(believed, self._by)


class OnChange(Feed):
    """Knows by dispatcher what it believes of each value."""

    __slots__ = ("_beliefs", "_by", "_sloped")

    def __init__(self, reads: Sequence[str], corrected: bool, random: Random, by: str = BY) -> None:
        super().__init__(reads, corrected, random)
        self._by = number("by", by, 0.0, 1.0)
        self._sloped = [quantity in SLOPED for quantity in reads if quantity not in SLOPES]
        self._beliefs: dict[str, list[_Belief]] = {}

    def counted(self, dispatcher: str, change: int) -> None:
        """One more job of a dispatcher's, or one fewer, moves what it believes."""
        super().counted(dispatcher, change)
        own = self.own[dispatcher]
        for belief in self._beliefs.get(dispatcher, ()):
            belief.move(own)

    def tell(self, gauge: Gauge, jobs: int, came: int, outbox: Outbox, now: float) -> None:
        """Tell those whose belief is too far off."""
        values, beliefs = gauge.values(jobs), self._beliefs
        for dispatcher in self.dispatchers:
            for value, belief in zip(values, beliefs[dispatcher]):  # noqa: B905  # each turn; as many
                if not belief.low <= value <= belief.high:
                    self._say(dispatcher, gauge, jobs, outbox, now)
                    break

    def _say(self, dispatcher: str, gauge: Gauge, jobs: int, outbox: Outbox, now: float) -> None:
        beliefs = self._beliefs.get(dispatcher)
        if beliefs is None:
            beliefs = self._beliefs[dispatcher] = [_Belief(sloped, self._by) for sloped in self._sloped]
        super()._say(dispatcher, gauge, jobs, outbox, now)
        _, _, *told = outbox[dispatcher][-1]
        width = len(beliefs)
        fall, rise = told[width : width + 2] if self.corrected and gauge.slopes else (0.0, 0.0)
        for value, belief in zip(told[:width], beliefs, strict=True):
            belief.tell(value, fall, rise)
