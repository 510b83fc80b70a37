"""How old views are: the age of the report that a choice relied on, each time that one is made.

Kept as a mean and a histogram of geometric cells, so that a run of any length costs the same and dispatchers' counts
can be added up. An age is the time since the server said it, on one clock (all agents of a machine share theirs).
"""

from math import log2

from .machine import NEVER

CELLS_AN_OCTAVE = 8
"""A cell is 9 % wide: a median read from cells errs by half of that at most."""
LEAST_S = 1e-6


class Ages:
    """Of one dispatcher's choices. Ages in emulated seconds."""

    __slots__ = ("_cells", "count", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self._cells: dict[int, int] = {}

    def add(self, age: float) -> None:
        """One choice; infinite where the server has never reported: that is no age."""
        if age == NEVER:
            return
        self.count += 1
        self.total += age
        cell = int(CELLS_AN_OCTAVE * log2(age / LEAST_S)) if age > LEAST_S else 0
        self._cells[cell] = self._cells.get(cell, 0) + 1

    def to_plain(self) -> dict[str, object]:
        """For the agent's statement: ``count``, ``total``, and by cell how many."""
        return {"count": self.count, "total": self.total, "cells": sorted(self._cells.items())}


def middle(cell: int) -> float:
    """The geometric middle of a cell, emulated seconds."""
    return float(LEAST_S * 2.0 ** ((cell + 0.5) / CELLS_AN_OCTAVE))
