"""``fastest``: the server with the largest service rate μ(N) at present. Ties at random.

It looks at the rate where GMSR looks at the rate's rise, and so feeds whoever is ahead (MODEL section 10).
"""

from random import Random
from typing import ClassVar

from ..view import View
from .base import pick


class Fastest:
    """Largest μ(N) reported."""

    reads: ClassVar[tuple[str, ...]] = ("rate",)

    def __init__(self, view: View, random: Random) -> None:
        self._rates = view.column("rate")
        self._random = random

    def choose(self) -> int:
        """The largest rate."""
        best = max(self._rates)
        return pick([index for index, rate in enumerate(self._rates) if rate == best], self._random)
