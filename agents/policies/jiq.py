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

from ..view import View
from .base import pick


class JoinIdleQueue:
    """An idle server, else a random one."""

    reads: ClassVar[tuple[str, ...]] = ("idle",)
    feed: ClassVar[str] = "tokens"

    def __init__(self, view: View, random: Random) -> None:
        self._view = view
        self._idle = view.column("idle")
        self._spent: dict[str, float] = {}  # by server: when the token was given that is spent
        self._random = random

    def choose(self) -> int:
        """An idle server, if any; its token is spent."""
        names, times, spent = self._view.servers, self._view.times, self._spent
        idle = [
            place
            for place, value in enumerate(self._idle)
            if value and spent.get(names[place], float("-inf")) < times[place]
        ]
        if not idle:
            return pick(range(len(self._idle)), self._random)
        chosen = pick(idle, self._random)
        spent[names[chosen]] = times[chosen]
        return chosen

    def changed(self) -> None:
        """Tokens of servers that are away stay spent."""
