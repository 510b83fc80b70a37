"""``none``: servers report nothing. A policy has only what its dispatcher's own jobs tell."""

from ..gauge import Gauge
from ..machine import Outbox
from .base import Feed


class Silent(Feed):
    """Says nothing, not even when it is asked."""

    __slots__ = ()

    reports = False

    def asked(self, dispatcher: str, gauge: Gauge, jobs: int, outbox: Outbox, now: float) -> None:
        """It has nothing to say."""
