"""``least-request``: Envoy's least request load balancer. It reads nothing but the dispatcher's own jobs in flight.

Envoy documentation, "Supported load balancers: Weighted least request", and
source/extensions/load_balancing_policies/least_request/least_request_lb.cc. Two modes, by the weights of the
dispatcher's edges (``weight`` in the topology file):

- all equal: ``choice_count`` servers (2) are drawn at random, with replacement as Envoy does, and the one that holds
  the fewest of the dispatcher's own jobs is chosen; the first drawn of equal ones.
- not all equal: a weighted round robin, earliest deadline first (``edf.py``), from a random start. A server's weight
  is its edge's over (active + 1)^``active_request_bias`` (1.0), as it stands when the server's turn comes; with bias 0
  jobs in flight do not count. A server whose weight is 0 gets nothing.

Envoy makes the schedule anew when its hosts change, and so is this policy. Left out: slow start (off by default), the
full scan (``least-inflight`` is that), zones.
"""

from random import Random
from typing import ClassVar

from ..feeds.base import number
from ..view import View
from .edf import Schedule


class LeastRequest:
    """Fewest own jobs of two, or a weighted round robin that they slow down."""

    reads: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, view: View, random: Random, choice_count: str = "2", active_request_bias: str = "1.0"
    ) -> None:
        self._inflight = view.inflight
        self._weights = view.weights
        self._random = random.random
        self._choices = int(number("choice_count", choice_count, 2, 1000, open_below=False))
        self._bias = number("active_request_bias", active_request_bias, 0.0, 100.0, open_below=False)
        able = [place for place, weight in enumerate(view.weights) if weight > 0.0]
        self._schedule: Schedule | None = None
        if len(set(view.weights)) > 1:
            self._schedule = Schedule((place, 1.0 / self._weight(place)) for place in able)
            for _ in range(int(self._random() * len(able))):
                self._schedule.turn(self._weight)

    def choose(self) -> int:
        """The next server."""
        if self._schedule:
            return self._schedule.turn(self._weight)
        inflight, random, count = self._inflight, self._random, len(self._inflight)
        chosen = int(random() * count)
        for _ in range(self._choices - 1):
            other = int(random() * count)
            if inflight[other] < inflight[chosen]:
                chosen = other
        return chosen

    def _weight(self, place: int) -> float:
        active = self._inflight[place] + 1
        return self._weights[place] / float(active**self._bias)
