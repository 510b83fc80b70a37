"""A kinetic tournament: of n values that move in lines, the greatest is at hand as time goes on.

Basch, Guibas, Hershberger, "Data structures for mobile data", Journal of Algorithms 31 (1999): a tree of winners
(``tournament.py``) in which each match also knows until when its winner is ahead. A changed line costs log₂ n matches;
time that passes costs only the matches that it has decided anew.
"""

from collections.abc import Sequence

from ..machine import NEVER

Line = tuple[float, float, float, float]
"""It bends once: its value there, when that is, and its slopes before and after."""


class KineticTournament:
    """Of at least one line, by place. Ties go to who has the fewest (``fewest``: the caller's), then to the first."""

    __slots__ = ("_due", "_fewest", "_lines", "_parts", "_size", "_who")

    def __init__(self, lines: Sequence[Line], fewest: Sequence[float], now: float) -> None:
        self._size = size = len(lines)
        self._lines = list(lines)
        self._parts = [
            (0.0, 0.0)
        ] * size  # by place: the straight part of now: its value at time 0, and its slope
        self._fewest = fewest
        self._who = [0] * size + list(range(size))
        self._due = [NEVER] * (2 * size)  # until when a node and all below it are right
        for place in range(size):
            self._straighten(place, now)
        for node in range(size - 1, 0, -1):
            self._match(node, now)

    def best(self, now: float) -> int:
        """The place that is ahead. Time does not go back."""
        if now >= self._due[1]:
            self._mend(1, now)
        return self._who[1]

    def put(self, place: int, line: Line, now: float) -> None:
        """A line is this from now on. Nobody is told above the first match that ends as it did before."""
        self._lines[place] = line
        self._straighten(place, now)
        who, due, match = self._who, self._due, self._match
        node = self._size + place >> 1
        while node:
            winner, until = who[node], due[node]
            match(node, now)
            if winner != place and who[node] == winner and due[node] == until:
                return
            node >>= 1

    def _straighten(self, place: int, now: float) -> None:
        value, bend, before, after = self._lines[place]
        slope = before if now < bend else after
        self._parts[place] = value - slope * bend, slope
        self._due[self._size + place] = bend if now < bend else NEVER

    def _mend(self, node: int, now: float) -> None:
        if node >= self._size:
            self._straighten(node - self._size, now)
            return
        for child in (2 * node, 2 * node + 1):
            if now >= self._due[child]:
                self._mend(child, now)
        self._match(node, now)

    def _match(self, node: int, now: float) -> None:
        who, due, parts = self._who, self._due, self._parts
        child = 2 * node
        left, right = who[child], who[child + 1]
        level, slope = parts[left]
        other, steeper = parts[right]
        level -= other
        steeper -= slope
        ahead = level - steeper * now
        until, also = due[child], due[child + 1]
        until = until if until < also else also
        if ahead > 0.0 or (ahead == 0.0 and self._fewest[left] <= self._fewest[right]):
            who[node] = left
            if steeper > 0.0 and level < steeper * until:
                until = level / steeper
        else:
            who[node] = right
            if steeper < 0.0 and level > steeper * until:
                until = level / steeper
        due[node] = until
