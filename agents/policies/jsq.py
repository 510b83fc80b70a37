"""``jsq``: join the shortest queue, the server that reports the fewest jobs.

Winston, "Optimality of the shortest line discipline", J. Appl. Prob. 14 (1977). Ties at random.
"""

from random import Random
from typing import ClassVar

from ..view import View
from .ranked import Ranked


class JoinShortestQueue(Ranked):
    """Fewest jobs reported."""

    reads: ClassVar[tuple[str, ...]] = ("jobs",)

    def __init__(self, view: View, random: Random) -> None:
        super().__init__(view, random, view.column("jobs"))
