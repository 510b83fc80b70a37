"""A fuzzer's bytes, read as choices: whatever they are, they mean something.

A byte that is read past the end is 0, so that a shorter input is a simpler session: minimising works.
"""

from collections.abc import Sequence
from typing import TypeVar

Choice = TypeVar("Choice")

MOST_RAW = 96


class Tape:
    """Reads from the left."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def over(self) -> bool:
        """Whether all has been read."""
        return self._at >= len(self._data)

    def byte(self) -> int:
        """The next byte."""
        at = self._at
        self._at = at + 1
        return self._data[at] if at < len(self._data) else 0

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """One of these, by the next byte."""
        return choices[self.byte() % len(choices)]

    def raw(self) -> bytes:
        """As many bytes as the next one says."""
        count = self.byte() % MOST_RAW
        at = self._at
        self._at = at + count
        return self._data[at : at + count]
