"""``piggyback``: a dispatcher hears how a server stands when a job of its own comes back, in the same frame.

Who sends nothing to a server learns nothing of it; what it knew stays as it was. Cost: 1 report a frame of
completions, 1 a job where each comes alone.
"""

from gmsr.broker.wire import COMPLETION

from ..gauge import Gauge
from ..machine import Outbox
from .base import Feed


class Piggyback(Feed):
    """Rides on completions."""

    __slots__ = ()

    def tell(self, gauge: Gauge, jobs: int, came: int, outbox: Outbox, now: float) -> None:
        """Tell those who are told of a completion now."""
        for dispatcher in self.dispatchers:
            if dispatcher in outbox and any(message[0] == COMPLETION for message in outbox[dispatcher]):
                self._say(dispatcher, gauge, jobs, outbox, now)
