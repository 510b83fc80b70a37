"""``static``: fixed probabilities, in proportion to the weights of the dispatcher's edges.

An edge's ``weight`` in the topology file is 1 unless it says otherwise. With Poisson arrivals every server
is then an independent birth-death chain: the exact yardstick of MODEL section 8.
"""

from bisect import bisect_right
from itertools import accumulate
from random import Random
from typing import ClassVar

from ..view import View


class Static:
    """Random choice with the edges' weights; reads nothing."""

    reads: ClassVar[tuple[str, ...]] = ()

    def __init__(self, view: View, random: Random) -> None:
        self._cumulated = list(accumulate(view.weights))
        if not self._cumulated[-1] > 0.0:
            raise ValueError("all weights of a dispatcher's edges are 0; give one of them a positive weight")
        self._random = random.random

    def choose(self) -> int:
        """A server, by weight."""
        return bisect_right(self._cumulated, self._random() * self._cumulated[-1])
