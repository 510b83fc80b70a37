"""``peak-ewma``: of two servers drawn at random, the one whose peak latency times jobs in flight is less.

Finagle, finagle-core/src/main/scala/com/twitter/finagle/loadbalancer/PeakEwma.scala (the cost), p2c/P2CPick.scala (the
two, without replacement; the first if they cost the same) and Balancers.scala (decay of 10 s); Linkerd took it over
(linkerd2-proxy, linkerd/app/outbound: decay 10 s, default round trip 30 ms). The dispatcher's own jobs suffice:

- a latency above the server's average becomes the average at once; one below moves it by 1 − e^(−t/``decay``), t the
  time since it was looked at last. Looking counts as seeing a latency of 0, so a server that is not used is forgiven.
- cost = average · (jobs in flight + 1). A server that has answered nothing yet costs 0 until a job is in flight there,
  and then more than any that has; with ``default_rtt`` (Linkerd's way; seconds) its average begins there.

Latencies are emulated seconds, from sending to completion. Finagle sees those of failures too; here a job that is lost
teaches nothing.
"""

from math import exp
from random import Random
from typing import ClassVar

from ..feeds.base import number
from ..view import View

PENALTY = 1e9
"""What a server costs that was asked and has never answered."""


class PeakEwma:
    """Least peak latency times load, of two. Averages are kept by server, whoever are the candidates."""

    reads: ClassVar[tuple[str, ...]] = ()

    def __init__(self, view: View, random: Random, decay: str = "10", default_rtt: str = "0") -> None:
        self._view = view
        self._random = random.random
        self._decay = number("decay", decay, 0.0, 1e9)
        self._first = number("default_rtt", default_rtt, 0.0, 1e9, open_below=False)
        self._averages: list[float] = []  # by number: latency
        self._looked: list[float] = []  # by number: when it was looked at last, or met
        self.changed()

    def changed(self) -> None:
        """There may be servers that we have not met."""
        strangers = len(self._view.names) - len(self._averages)
        self._averages += [self._first] * strangers
        self._looked += [self._view.now] * strangers

    def completed(self, place: int, latency: float) -> None:
        """A job came back."""
        self._observe(self._view.numbers[place], latency)

    def choose(self) -> int:
        """The cheaper of two."""
        count = len(self._view.numbers)
        first = int(self._random() * count)
        if count == 1:
            return first
        second = int(self._random() * (count - 1))
        second += second >= first
        return first if self._cost(first) <= self._cost(second) else second

    def _cost(self, place: int) -> float:
        view = self._view
        number, pending = view.numbers[place], view.inflight[place]
        if view.now > self._looked[number]:
            self._observe(number, 0.0)
        average = self._averages[number]
        if average == 0.0 and pending:
            return PENALTY + pending
        return average * (pending + 1)

    def _observe(self, number: int, latency: float) -> None:
        now, average = self._view.now, self._averages[number]
        if latency > average:
            average = latency
        else:
            weight = exp((self._looked[number] - now) / self._decay)
            average = average * weight + latency * (1.0 - weight)
        self._averages[number] = average
        self._looked[number] = now
