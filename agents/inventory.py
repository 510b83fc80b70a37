"""What a server says that it holds of ours, in parts: how a dispatcher mends its account after a loss.

Frames may be lost with jobs, completions or reports in them. Whoever notices has the dispatcher ask (ASK), and the
server lists the jobs that it holds (HELD). An edge is an ordered stream, so the list is exact: of what was sent
before the question, whatever is neither listed nor completed by then is lost, or the word of its end is.

Until a list has come whole the dispatcher goes on asking, since question or answer may be lost too. Over a slow
edge several answers are under way then, and the first whole one will do.
"""

from typing import NamedTuple

from .machine import Message

MOST_LISTS = 64
MOST_JOBS = 1_000_000
"""Bounds what a peer can make us remember. Who holds more than that cannot be asked."""


class _Inventory(NamedTuple):
    before: int  # number of the last attempt that was sent before the question
    held: set[int]


class Inventories:
    """The lists that are under way, by server and question."""

    __slots__ = ("_lists",)

    def __init__(self) -> None:
        self._lists: dict[int, dict[int, _Inventory]] = {}

    def ask(self, server: int, question: int, before: int) -> None:
        """A question goes out."""
        lists = self._lists.setdefault(server, {})
        lists[question] = _Inventory(before, set())
        if len(lists) > MOST_LISTS:
            del lists[min(lists)]

    def spoil(self, server: int) -> None:
        """Parts may be lost: ask again."""
        self._lists.pop(server, None)

    def part(self, server: int, message: Message) -> tuple[int, set[int]] | None:
        """A HELD message came. With the last part: the attempt it reaches to, and all jobs that the server holds."""
        _, question, more, *jobs = message
        found = self._lists.get(server, {}).get(question)
        if found is None:
            return None
        found.held.update(jobs)
        if len(found.held) > MOST_JOBS:
            self.spoil(server)
        if more or len(found.held) > MOST_JOBS:
            return None
        del self._lists[server]
        return found
