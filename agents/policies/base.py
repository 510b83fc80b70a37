"""The contract of a policy: it decides, and does nothing else.

A policy is a class with

- ``reads``: the quantities that its servers' reports must carry (``agents.gauge.QUANTITIES``), and that it
  finds by ``view.column(name)``. Nothing else reaches a dispatcher; with ``()`` servers report nothing.
- ``__init__(view, random, **options)``: options are strings, from ``--policy name:key=value,key=value``.
  It raises ValueError, with a message for the user, on an option or value that it does not know.
- ``choose()``: the index of the chosen server in ``view.servers``.

It may have more, and is told more then:

- ``feed``: the feed that it is published with; ``--feed`` overrides it.
- ``completed(place, latency)``: a job of this dispatcher came back from that server so many emulated seconds after it
  was sent; ``view.now`` is the time.
- ``touched(place)``: something has changed of that candidate: its report, or the jobs in flight there.
- ``changed()``: the candidates are others now. A policy without it is made anew then, and forgets.
- ``worst()``: after ``choose()``, the last of those that it could choose among (for a pool of answers).

It must draw from ``random`` alone, so that a seed repeats a run's choices.
"""

from collections.abc import Sequence
from random import Random
from typing import ClassVar, Protocol

from ..view import View


class Policy(Protocol):
    """One dispatcher's policy."""

    reads: ClassVar[tuple[str, ...]]

    def __init__(self, view: View, random: Random, **options: str) -> None: ...

    def choose(self) -> int:
        """Index of the server for the job at hand."""


def pick(candidates: Sequence[int], random: Random) -> int:
    """One of the candidates, each as likely as the others."""
    if len(candidates) == 1:
        return candidates[0]
    return candidates[int(random.random() * len(candidates))]


def any_of(values: Sequence[float], best: float, random: Random) -> int:
    """A place that has the best value, each as likely as the others."""
    if values.count(best) == 1:
        return values.index(best)
    return pick([place for place, value in enumerate(values) if value == best], random)
