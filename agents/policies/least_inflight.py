"""``least-inflight``: the server that holds the fewest of this dispatcher's own jobs.

What proxies call least connections or least request; it needs no report at all. Ties at random.
"""

from random import Random
from typing import ClassVar

from ..view import View
from .ranked import Ranked


class LeastInflight(Ranked):
    """Fewest own jobs in flight; reads nothing."""

    reads: ClassVar[tuple[str, ...]] = ()

    def __init__(self, view: View, random: Random) -> None:
        super().__init__(view, random, view.inflight)
