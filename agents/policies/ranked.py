"""The place with the least value of a list, or with the largest; equal ones are as likely as each other.

With up to ``few`` servers a choice looks at each of them; with more it asks a tournament, which each change brings up
to date (``tournament.py``).
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import ClassVar

from ..view import View
from .base import any_of
from .tournament import Tournament


class Ranked:
    """What policies share that send to the best by one number. ``values``: by place, a list of the view."""

    few: ClassVar[int] = 64

    def __init__(self, view: View, random: Random, values: Sequence[float], largest: bool = False) -> None:
        self._values = values
        self._random = random
        self._best = max if largest else min
        self._sign = -1.0 if largest else 1.0
        self.touched: Callable[[int], None] | None = self._play if len(view.names) > self.few else None
        self.changed()

    def changed(self) -> None:
        """Places are others' now."""
        self._tournament: Tournament | None = None

    def choose(self) -> int:
        """The best place."""
        values = self._values
        if self.touched:
            if self._tournament is None:
                self._tournament = Tournament([(self._sign * value,) for value in values])
            return self._tournament.draw(self._random)
        return any_of(values, self._best(values), self._random)

    def _play(self, place: int) -> None:
        if self._tournament is not None:
            self._tournament.put(place, (self._sign * self._values[place],))
