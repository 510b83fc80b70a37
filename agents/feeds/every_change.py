"""``every-change``: whenever what it reports has changed, a server tells all its dispatchers.

Changes of one wake-up are told together, and a value that came out the same is no change. A report due to a
dispatcher together with a completion shares its frame. Cost: 2·D reports a job at most, D when it comes and D when it
goes.
"""

from collections.abc import Sequence
from random import Random

from ..gauge import Gauge
from ..machine import Outbox
from .base import Feed, Values


class EveryChange(Feed):
    """Remembers what was told last; all connected dispatchers know the same."""

    __slots__ = ("_last",)

    def __init__(self, reads: Sequence[str], corrected: bool, random: Random) -> None:
        super().__init__(reads, corrected, random)
        self._last: Values = ()

    def joined(self, dispatcher: str, gauge: Gauge, jobs: int, outbox: Outbox, now: float) -> None:
        """Told at once; the others hear of a change at the end of the turn."""
        self._last = self._last or gauge.values(jobs)
        super().joined(dispatcher, gauge, jobs, outbox, now)

    def tell(self, gauge: Gauge, jobs: int, came: int, outbox: Outbox, now: float) -> None:
        """Tell everybody, if there is news."""
        values = gauge.values(jobs)
        if values != self._last:
            self._last = values
            self._say_all(gauge, jobs, came, outbox, now)
