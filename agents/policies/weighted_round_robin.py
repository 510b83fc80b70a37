"""``weighted-round-robin``: a weighted round robin whose weights come from load reports, as in gRPC and Envoy.

gRPC proposal A58 («weighted_round_robin»; Envoy's client_side_weighted_round_robin is the same rule):

- weight = qps / (utilisation + error penalty · eps/qps), of a server's last report in which both are above 0. It counts
  once the server has reported for ``blackout_period`` (10 s) without a gap, and no longer once there was no such report
  for ``weight_expiration_period`` (3 min); then it has to report for the blackout period again, and so has a server
  that comes back.
- Every ``weight_update_period`` (1 s) weights are looked at anew. A server without one has the mean of the others; if
  fewer than two have one, all weigh the same, which is plain round robin.
- The schedule is earliest deadline first (``edf.py``), first deadlines random within a period. It is made anew when a
  weight has changed (Envoy; A58 makes it anew with every update, which at a few jobs a second would leave it no order).

Reports come with each completion, A58's default (``piggyback``). What stands for what: qps is μ(N), to which the
completions per second are proportional; utilisation is μ(N) over the curve's cap (``gauge.utilisation``); no server
here fails, so eps is 0. CPU use in the field trails and counts neighbours' work too; here it is exact, so the weight is
the server's cap and the rule is at its best: each server is as busy as the others, whatever waits there.
"""

from random import Random
from typing import ClassVar

from ..feeds.base import number
from ..machine import NEVER
from ..view import View
from .edf import Schedule


class _Load:
    """What a server's reports amount to."""

    __slots__ = ("since", "updated", "weight")

    def __init__(self) -> None:
        self.weight = 0.0
        self.updated = -NEVER  # the last report that had one
        self.since = NEVER  # the first one without a gap

    def reported(self, rate: float, utilisation: float, time: float) -> None:
        """A report that was true then."""
        weight = rate / utilisation if rate > 0.0 and utilisation > 0.0 else 0.0
        if 0.0 < weight < NEVER:
            self.weight = weight
            self.updated = time
            self.since = min(self.since, time)

    def at(self, now: float, blackout: float, expiration: float) -> float:
        """The weight that counts now; 0 if none does."""
        if now - self.updated >= expiration:
            self.since = NEVER
            return 0.0
        return self.weight if not blackout or now - self.since >= blackout else 0.0


class WeightedRoundRobin:
    """By reported capacity; loads are kept by server, whoever are the candidates."""

    reads: ClassVar[tuple[str, ...]] = ("rate", "utilisation")
    feed: ClassVar[str] = "piggyback"

    def __init__(
        self,
        view: View,
        random: Random,
        blackout_period: str = "10",
        weight_expiration_period: str = "180",
        weight_update_period: str = "1",
    ) -> None:
        self._view = view
        self._random = random.random
        self._rates, self._utilisations = view.column("rate"), view.column("utilisation")
        self._blackout = number("blackout_period", blackout_period, 0.0, 1e9, open_below=False)
        self._expiration = number("weight_expiration_period", weight_expiration_period, 0.0, 1e9)
        self._every = number("weight_update_period", weight_update_period, 0.1, 1e9, open_below=False)
        self._loads: dict[int, _Load] = {}  # by number
        self._ready: list[int] = []  # the candidates' numbers
        self.changed()

    def changed(self) -> None:
        """A server that has come back has to report for a while first."""
        here = set(self._ready)
        self._ready = list(self._view.numbers)
        for place, server in enumerate(self._ready):
            if server not in here:
                self._loads.setdefault(server, _Load()).since = NEVER
            self.touched(place)
        self._due = -NEVER
        self._weights: list[float] = []

    def touched(self, place: int) -> None:
        """Perhaps by a report."""
        load, time = self._loads[self._ready[place]], self._view.times[place]
        if time > load.updated:
            load.reported(self._rates[place], self._utilisations[place], time)

    def choose(self) -> int:
        """Who is due."""
        if self._view.now >= self._due:
            self._update(self._view.now)
        return self._schedule.turn(self._weights.__getitem__)

    def _update(self, now: float) -> None:
        self._due = now + self._every
        weights = [self._loads[server].at(now, self._blackout, self._expiration) for server in self._ready]
        known = [weight for weight in weights if weight]
        mean = sum(known) / len(known) if len(known) > 1 else 1.0
        weights = [(weight or mean) if len(known) > 1 else 1.0 for weight in weights]
        if weights != self._weights:
            self._weights = weights
            self._schedule = Schedule((place, self._random() / w) for place, w in enumerate(weights))
