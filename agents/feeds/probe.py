"""``probe``: a server answers who asks, and says nothing otherwise. What dispatchers ask is ``asking.py``'s.

Cost: d questions and d reports a job; with a pool, rate questions and rate reports a job.
"""

from .base import Feed


class Probe(Feed):
    """Answers."""

    __slots__ = ()

    asks = True
