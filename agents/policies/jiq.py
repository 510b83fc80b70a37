"""``jiq``: join an idle queue if one is known, any queue otherwise.

Lu, Xie, Kliot, Geller, Larus, Greenberg, "Join-Idle-Queue: A novel load balancing algorithm for dynamically scalable
web services", Performance Evaluation 68 (2011). A server that falls idle gives its token to one dispatcher, at random
(JIQ-Random; ``feeds/tokens.py``, the feed that the policy is published with). A dispatcher spends a token with the job
that it sends there: the next job goes to another idle server, or to a random one if there is no token left. Tokens are
not called back when a server ceases to be idle by somebody else's job.

In the paper a token lies in one queue of tokens and the first of it is taken; here one of them at random. When a run
begins every dispatcher holds the tokens of all its servers, since all are idle and say so. With ``every-change``
everybody hears at once who is idle and who no longer is, and a spent token bridges the time until the report.
"""

from random import Random
from typing import ClassVar

from ..machine import NEVER
from ..view import View
from .base import pick


class JoinIdleQueue:
    """An idle server, else a random one."""

    reads: ClassVar[tuple[str, ...]] = ("idle",)
    feed: ClassVar[str] = "tokens"

    def __init__(self, view: View, random: Random) -> None:
        self._view = view
        self._idle = view.column("idle")
        self._spent: dict[int, float] = {}  # by number: when the token was given that is spent
        self._random = random
        self.changed()

    def changed(self) -> None:
        """Places are others' now. Tokens of servers that are away stay spent."""
        self._tokens: list[int] = []  # places that have one
        self._held = [-1] * len(self._idle)  # by place: where in the list; -1: none
        for place in range(len(self._idle)):
            self.touched(place)

    def touched(self, place: int) -> None:
        """A token came, perhaps, or the server is idle no more."""
        spent = self._spent.get(self._view.numbers[place], -NEVER)
        has = bool(self._idle[place]) and spent < self._view.times[place]
        if has and self._held[place] < 0:
            self._held[place] = len(self._tokens)
            self._tokens.append(place)
        elif not has and self._held[place] >= 0:
            self._drop(place)

    def choose(self) -> int:
        """An idle server, if any; its token is spent."""
        if not self._tokens:
            return int(self._random.random() * len(self._idle))
        chosen = pick(self._tokens, self._random)
        self._spent[self._view.numbers[chosen]] = self._view.times[chosen]
        self._drop(chosen)
        return chosen

    def _drop(self, place: int) -> None:
        """The last of the list fills the gap."""
        at, last = self._held[place], self._tokens.pop()
        if last != place:
            self._tokens[at] = last
            self._held[last] = at
        self._held[place] = -1
