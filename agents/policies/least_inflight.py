"""``least-inflight``: the server that holds the fewest of this dispatcher's own jobs.

What proxies call least connections or least request; it needs no report at all. Ties at random.
"""

from random import Random
from typing import ClassVar

from ..view import View
from .base import least


class LeastInflight:
    """Fewest own jobs in flight; reads nothing."""

    reads: ClassVar[tuple[str, ...]] = ()

    def __init__(self, view: View, random: Random) -> None:
        self._inflight = view.inflight
        self._random = random

    def choose(self) -> int:
        """The server that owes us least."""
        return least(self._inflight, self._random)
