"""``jiq``: join an idle queue if there is one, any queue otherwise.

Lu, Xie, Kliot, Geller, Larus, Greenberg, "Join-Idle-Queue", Performance Evaluation 68 (2011). Here idleness
is what servers report at every change; idle tokens are another feed's business.
"""

from random import Random
from typing import ClassVar

from ..view import View
from .base import pick


class JoinIdleQueue:
    """An idle server, else a random one."""

    reads: ClassVar[tuple[str, ...]] = ("idle",)

    def __init__(self, view: View, random: Random) -> None:
        self._idle = view.column("idle")
        self._random = random

    def choose(self) -> int:
        """An idle server, if any."""
        idle = [index for index, value in enumerate(self._idle) if value]
        return pick(idle or range(len(self._idle)), self._random)
