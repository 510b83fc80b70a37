"""The contract of a feed: it decides when a server reports to whom, and nothing else."""

from typing import Protocol

from ..machine import Message, Outbox


class Feed(Protocol):
    """One server's feed."""

    def joined(self, dispatcher: str, report: Message, outbox: Outbox) -> None:
        """A dispatcher's edge came up: it needs a first report."""

    def left(self, dispatcher: str) -> None:
        """A dispatcher closed its edge: nothing may be sent to it any more."""

    def tell(self, report: Message, outbox: Outbox) -> None:
        """The turn is over and ``report`` is what the server has to say of itself now."""
