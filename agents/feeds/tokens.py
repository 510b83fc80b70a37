"""``tokens``: a server that has become idle tells one of its dispatchers, at random, and nobody else.

The idle tokens of join-idle-queue (Lu, Xie, Kliot, Geller, Larus, Greenberg, "Join-Idle-Queue", Performance Evaluation
68, 2011, JIQ-Random): the report is the token, and the policy spends it with the next job that it sends there. A
dispatcher never learns that a server has ceased to be idle by others' jobs. Cost: 1 report each time that
a server falls idle, 1 a job at most.
"""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from ..gauge import Gauge
from ..machine import Outbox
from .base import Feed


class Tokens(Feed):
    """Remembers whether it has handed one out."""

    __slots__ = ("_idle",)

    wants: ClassVar[tuple[str, ...] | None] = ("idle",)

    def __init__(self, reads: Sequence[str], corrected: bool, random: Random) -> None:
        super().__init__(reads, corrected, random)
        self._idle = True

    def tell(self, gauge: Gauge, jobs: int, came: int, outbox: Outbox, now: float) -> None:
        """Hand out the token."""
        idle = not jobs
        if idle and not self._idle and self.dispatchers:
            chosen = self.dispatchers[int(self._random.random() * len(self.dispatchers))]
            self._say(chosen, gauge, jobs, outbox, now)
        self._idle = idle
