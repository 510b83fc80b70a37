"""``random``: each of the dispatcher's servers is as likely as the others."""

from random import Random
from typing import ClassVar

from ..view import View


class Uniform:
    """Uniform random choice; reads nothing."""

    reads: ClassVar[tuple[str, ...]] = ()

    def __init__(self, view: View, random: Random) -> None:
        self._count = len(view.servers)
        self._random = random.random

    def choose(self) -> int:
        """Any server."""
        return int(self._random() * self._count)
