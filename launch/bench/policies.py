"""``gmsr bench policies``: what choosing a server costs, by policy and number of servers, on the policy object alone.

Beside it the yardsticks of the same moment: an object whose ``choose`` does nothing, and ``min`` of as many numbers.
Times are of this process's CPU, medians of many short repeats: what else the machine does makes them longer still, so
compare ratios. A dispatcher's jobs come every millisecond, and servers report in turn, one report a job.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from statistics import median
from time import process_time
from typing import Any

from gmsr.agents.gauge import SLOPES, Gauge
from gmsr.agents.policies import POLICIES
from gmsr.agents.spec import load
from gmsr.agents.view import View
from gmsr.topology import curves

from ..record.text import table

SERVERS = (10, 100, 1000)
CALLS, REPEATS = 200, 15
GAP_S = 0.001
LONGEST = 15
"""Jobs at a server, at most."""
FALL = 0.01
YARDSTICK = "(nothing)"
LEAST = "(min)"
LIMITS_US = {10: 2.0, 1000: 5.0}
AT_MOST = {"prequal": 16}
"""Candidates at a time, however many servers there are: the answers in its pool."""


class Nothing:
    """The least that a policy can cost."""

    reads = ()

    def choose(self) -> int:
        """Nobody in particular."""
        return 0


class Bench:
    """A policy before so many servers, told of what changes as a dispatcher's is."""

    def __init__(self, name: str, servers: int) -> None:
        random = Random(1)
        rule: Any = Nothing if name not in POLICIES else load(POLICIES[name])
        servers = min(servers, AT_MOST.get(name, servers))
        self.view = view = View([f"s{number}" for number in range(servers)], rule.reads, [1.0] * servers)
        told = [reads for reads in rule.reads if reads not in SLOPES]
        gauges = [
            Gauge(told, curves.make({"kind": "hyperbolic", "a": 1.0 + random.random(), "b": 2.0}), 1.0, 0.0)
            for _ in range(servers)
        ]
        slopes = (FALL, FALL) if len(told) < len(rule.reads) else ()
        self._reports = [
            (number, (*gauges[number].values(int(random.random() * LONGEST)), *slopes))
            for _ in range(2)
            for number in random.sample(range(servers), servers)
        ]
        for number, values in self._reports:
            view.reported(number, values)
        made = rule() if rule is Nothing else rule(view, random)
        view.touched = getattr(made, "touched", None)
        for _ in range(servers):
            made.choose()
        self._choose: Callable[[], int] = made.choose
        self._turn = 0

    def choices(self, calls: int) -> float:
        """CPU seconds of so many choices."""
        view, choose = self.view, self._choose
        begin = process_time()
        for _ in range(calls):
            view.now += GAP_S
            choose()
        return process_time() - begin

    def updates(self, calls: int) -> float:
        """CPU seconds of so many reports, each followed by a choice."""
        view, choose, turn = self.view, self._choose, self._turn
        reports = [self._reports[(turn + call) % len(self._reports)] for call in range(calls)]
        self._turn = turn + calls
        begin = process_time()
        for number, values in reports:
            view.now = now = view.now + GAP_S
            view.reported(number, values, now)
            choose()
        return process_time() - begin


def measure(names: Sequence[str], calls: int = CALLS, repeats: int = REPEATS) -> list[dict[str, Any]]:
    """A row for each policy and number of servers: µs of a choice, and of a report and a choice."""
    rows = []
    for servers in SERVERS:
        benches = {name: Bench(name, servers) for name in (YARDSTICK, *names)}
        numbers = [Random(number).random() for number in range(servers)]
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in benches}
        least = []
        for _ in range(repeats):
            for name, bench in benches.items():
                taken[name].append((1e6 * bench.choices(calls) / calls, 1e6 * bench.updates(calls) / calls))
            least.append(1e6 * _least(numbers, calls) / calls)
        for name, found in taken.items():
            choose, update = (median(column) for column in zip(*found, strict=True))
            rows.append({"policy": name, "servers": servers, "choose_us": choose, "update_us": update})
        rows.append({"policy": LEAST, "servers": servers, "choose_us": median(least), "update_us": None})
    return rows


def _least(numbers: Sequence[float], calls: int) -> float:
    begin = process_time()
    for _ in range(calls):
        min(numbers)
    return process_time() - begin


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A row a policy; for each number of servers a choice, and a report and a choice."""
    by_name: dict[str, list[str]] = {}
    for row in rows:
        over = row["choose_us"] > LIMITS_US.get(row["servers"], float("inf"))
        update = "–" if row["update_us"] is None else f"{row['update_us']:.2f}"
        by_name.setdefault(row["policy"], []).append(f"{row['choose_us']:.2f}{'*' * over} / {update}")
    head = ["policy", *(f"{servers} servers" for servers in SERVERS)]
    body = [[name, *cells] for name, cells in by_name.items()]
    limits = ", ".join(f"{limit:g} µs with {servers} servers" for servers, limit in LIMITS_US.items())
    few = ", ".join(f"{name} before {most} at most" for name, most in AT_MOST.items())
    legend = f"µs of a choice / of a report and a choice; *: over {limits}; {few}"
    return "\n".join([*table(head, body), "", legend])
