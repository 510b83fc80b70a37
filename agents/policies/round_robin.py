"""``round-robin``: the dispatcher's servers in turn, from a random first one."""

from random import Random
from typing import ClassVar

from ..view import View


class RoundRobin:
    """Cyclic choice; reads nothing."""

    reads: ClassVar[tuple[str, ...]] = ()

    def __init__(self, view: View, random: Random) -> None:
        self._count = len(view.servers)
        self._turn = int(random.random() * self._count)  # dispatchers do not march in step

    def choose(self) -> int:
        """The next server."""
        self._turn = (self._turn + 1) % self._count
        return self._turn
