"""What a server that learns its curve does beside its work: it watches its jobs, and reports by what they showed.

It works at its true curve, which it is told nothing of, nor when that changes. The learner's clock stands while the
server does: that it was paused is no news about its speed. Another life begins with nothing learned.
"""

from .gauge import Gauge
from .learning import Learner
from .machine import NEVER
from .terms import Service


class Study:
    """A learner, and the gauge of what it has learned so far. ``visit`` is a job's number in ``Sharing``."""

    __slots__ = ("_gauge", "_learner", "_paused", "_revision", "_service", "_stood")

    def __init__(self, service: Service) -> None:
        self._service = service
        self._learner = Learner(service.scale)
        self._stood = 0.0  # in all
        self._paused = NEVER  # since when it stands
        self._remake()

    def arrived(self, visit: int, now: float) -> None:
        """A job came."""
        self._learner.arrived(visit, self._clock(now))

    def departed(self, visit: int, size: float, now: float) -> None:
        """A job is done."""
        self._learner.departed(visit, size, self._clock(now))

    def dropped(self, visit: int, now: float) -> None:
        """A job was thrown out."""
        self._learner.dropped(visit, self._clock(now))

    def pause(self, now: float) -> None:
        """From now on the server stands."""
        self._paused = min(self._paused, now)

    def resume(self, now: float) -> None:
        """It works again."""
        self._stood += max(now - self._paused, 0.0)
        self._paused = NEVER

    def gauge(self, now: float) -> Gauge:
        """What can be told: a new one whenever the curve is another."""
        if now >= self.deadline():  # where rounding may have put it behind the learner's own, by a hair
            self._learner.rested(max(self._clock(now), self._learner.deadline()))
        if self._learner.revision != self._revision:
            self._remake()
        return self._gauge

    def deadline(self) -> float:
        """When an idle server has something to say."""
        return NEVER if self._paused < NEVER else self._learner.deadline() + self._stood

    @property
    def present(self) -> int:
        """How many jobs it takes for present."""
        return self._learner.present

    def statement(self) -> dict[str, object]:
        """The curve as it is known, and how often that was another."""
        return {"curve": self._learner.known().describe(), "revisions": self._revision}

    def _clock(self, now: float) -> float:
        return min(now, self._paused) - self._stood

    def _remake(self) -> None:
        learner, service = self._learner, self._service
        self._gauge = Gauge(service.reads, learner.curve(), service.scale, 0.0)  # it is smooth by itself
        self._revision = learner.revision
