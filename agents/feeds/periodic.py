"""``periodic:every=0.1``: a server tells all its dispatchers every so many emulated seconds, changed or not.

Servers begin at a random instant of the first period, so that they do not report in step. Cost: D/every reports a
second from each server, whatever the load.
"""

from collections.abc import Sequence
from random import Random

from ..gauge import Gauge
from ..machine import Outbox
from .base import Feed, number

EVERY = "0.1"


class Periodic(Feed):
    """Knows when it is due."""

    __slots__ = ("_due", "_every")

    def __init__(self, reads: Sequence[str], corrected: bool, random: Random, every: str = EVERY) -> None:
        super().__init__(reads, corrected, random)
        self._every = number("every", every, 1e-4, 1e6, open_below=False)
        self._due = self._every * random.random()

    def tell(self, gauge: Gauge, jobs: int, came: int, outbox: Outbox, now: float) -> None:
        """Tell everybody, if it is time; who wakes late does not catch up."""
        if now >= self._due:
            self._due += self._every * (1 + (now - self._due) // self._every)
            self._say_all(gauge, jobs, came, outbox, now)

    def deadline(self) -> float:
        """The next report."""
        return self._due
