"""From what agents say of themselves, now and then, to how the run fares: rates, latency, who sends where.

Statuses may be lost, late, or begin anew with an agent's next life. Whatever is a rate is taken between an agent's
latest status and one some seconds older, so that a missed status blurs a figure and falsifies none.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gmsr.broker.census import unstamped
from gmsr.broker.wire import KIND_NAMES

WINDOW_REAL_S = 5.0
"""Rates are over so long, or an agent's last two statuses."""
STALE = 3.5
"""Who has said nothing for so many intervals of telemetry is not counted as being there."""

Status = Mapping[str, Any]


class Frame(NamedTuple):
    """How a run stood at an instant. Seconds are emulated; None: nothing is known, or it is infinite."""

    t: float
    offered: float  # jobs a second
    completed: float  # jobs a second
    latency: float | None  # mean of the jobs that completed lately
    so_far: float | None  # mean of those that completed since the warm-up
    workload: float  # ΣN
    in_flight: int
    lost: int
    late: float | None  # mean lateness of wake-ups lately
    messages: dict[str, float]  # kind → a second, of kinds that there are
    servers: dict[str, list[float | None]]  # who is there → workload N, rate μ(N), marginal rate
    dispatchers: dict[str, list[float | None]]  # who is there → jobs offered a second, mean latency lately
    flows: dict[str, dict[str, float]]  # dispatcher → server → jobs a second, where there are any


class _Agent:
    """One agent's statuses of the last seconds, and what its lives before this one came to."""

    def __init__(self) -> None:
        self.lately: deque[Status] = deque()
        self.begin: Status | None = None  # the first after the warm-up
        self.before = [0.0, 0.0]  # latency and completions after the warm-up in earlier lives
        self.lost = 0

    def take(self, status: Status, window: float, warmup: float) -> None:
        lately, count = self.lately, "offered" if "offered" in status else "arrived"
        if lately and (status[count] < lately[-1][count] or status["t"] < lately[-1]["t"]):
            self._die()
            if status["t"] >= warmup and "latency" in status:
                self.begin = {**status, "latency": 0.0, "completed": 0}
        lately.append(status)
        while len(lately) > 2 and lately[1]["t"] <= status["t"] - window:
            lately.popleft()
        if self.begin is None and status["t"] >= warmup:
            self.begin = status

    def measured(self) -> tuple[float, float]:
        """Latency in all, and completions, since the warm-up."""
        if not self.lately or self.begin is None:
            return self.before[0], self.before[1]
        last, begin = self.lately[-1], self.begin
        latency = self.before[0] + last["latency"] - begin["latency"]
        return latency, self.before[1] + last["completed"] - begin["completed"]

    def change(self, key: str) -> float:
        """Of a counter, within the window."""
        return float(self.lately[-1][key] - self.lately[0][key])

    @property
    def span(self) -> float:
        """Seconds between the statuses that a rate is taken from; 0 while there is only one."""
        return float(self.lately[-1]["t"] - self.lately[0]["t"])

    def _die(self) -> None:
        if "latency" in self.lately[-1]:
            self.before = list(self.measured())
            self.lost += self.lately[-1]["lost"]
        self.lately.clear()


class Meter:
    """Of one run. ``peers``: of each dispatcher the servers by number; ``interval``: of telemetry, emulated seconds."""

    def __init__(
        self, peers: Mapping[str, Sequence[str]], scale: float, warmup: float, pace: float, interval: float
    ) -> None:
        self.peers = dict(peers)
        self._scale = scale
        self._warmup = warmup
        self._window = max(WINDOW_REAL_S * pace, 2.0 * interval)
        self._stale = STALE * interval
        self._agents: dict[str, _Agent] = {}

    def heard(self, status: Status) -> None:
        """Take an agent's status: "id", "t", and what its ``Machine.status`` and the census have."""
        self._agents.setdefault(status["id"], _Agent()).take(status, self._window, self._warmup)

    def frame(self, now: float) -> Frame:
        """How things stand at ``now``, emulated seconds."""
        every = self._agents
        there = {name: each for name, each in every.items() if each.lately[-1]["t"] >= now - self._stale}
        ours = {name: each for name, each in there.items() if "offered" in each.lately[-1]}
        theirs = {name: each for name, each in there.items() if "held" in each.lately[-1]}
        done = sum(each.change("completed") for each in ours.values())
        sums = [each.measured() for each in every.values() if "offered" in each.lately[-1]]
        measured = sum(count for _, count in sums)
        woken = sum(each.change("offered") for each in ours.values())
        woken += sum(each.change("departed") for each in theirs.values())
        return Frame(
            now,
            sum(_rate(each, "offered") for each in ours.values()),
            sum(_rate(each, "completed") for each in ours.values()),
            sum(each.change("latency") for each in ours.values()) / done if done else None,
            sum(total for total, _ in sums) / measured if measured else None,
            sum(each.lately[-1]["held"] for each in theirs.values()) / self._scale,
            sum(each.lately[-1]["in_flight"] for each in ours.values()),
            sum(each.lost + each.lately[-1].get("lost", 0) for each in every.values()),
            sum(each.change("late") for each in there.values()) / woken if woken else None,
            _messages(there.values()),
            {name: self._server(each.lately[-1]) for name, each in sorted(theirs.items())},
            {name: _dispatcher(each) for name, each in sorted(ours.items())},
            {name: self._flows(name, each) for name, each in sorted(ours.items())},
        )

    def _server(self, status: Status) -> list[float | None]:
        marginal = status["marginal"]
        return [status["held"] / self._scale, status["rate"], marginal if marginal < float("inf") else None]

    def _flows(self, name: str, each: _Agent) -> dict[str, float]:
        """A server met meanwhile has no older count: it began at none."""
        if not each.span:
            return {}
        new, old = each.lately[-1]["sent"], each.lately[0]["sent"]
        known = self.peers.get(name, ())
        return {
            server: (count - before) / each.span
            for server, count, before in zip(known, new, [*old, *[0] * (len(new) - len(old))], strict=False)
            if count > before
        }


def _rate(each: _Agent, key: str) -> float:
    return each.change(key) / each.span if each.span else 0.0


def _dispatcher(each: _Agent) -> list[float | None]:
    done = each.change("completed")
    return [_rate(each, "offered"), each.change("latency") / done if done else None]


def _messages(agents: Any) -> dict[str, float]:
    """Sent a second by kind."""
    counts = dict.fromkeys(KIND_NAMES, 0.0)
    for each in agents:
        if each.span:
            pairs = zip(KIND_NAMES, each.lately[-1]["said"], each.lately[0]["said"], strict=True)
            for name, new, old in pairs:
                counts[name] += (new - old) / each.span
    return {name: count for name, count in unstamped(counts).items() if count > 0.0}
