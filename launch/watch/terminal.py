"""``gmsr run --live``: how a run fares, redrawn on a terminal twice a second; elsewhere more lines that say more."""

import time
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

from ..record.text import number, percent, seconds
from ..show.progress import Progress
from .meter import Frame
from .scene import Aim, Scene

REDRAWN_REAL_S = 0.5
PLAIN_STEPS = 20
FAULTS_SHOWN = 4
SPLIT_SHOWN = 4
"""Of a dispatcher's servers those that get the most."""
SPLITS = "sends to"
WORDS = ("server", "dispatcher", SPLITS)
"""Columns to the left."""
LINES_BESIDE, LINES_A_TABLE = 13, 5
"""Of a screen's: what is no row of an agent; of these a table's own."""
WIDE = 100
"""From so many columns on the tables stand side by side."""


class LiveView(Progress):
    """Shows the run whose directory will be ``run_dir``. ``first``: the optimum at the beginning."""

    steps = PLAIN_STEPS

    def __init__(self, run_dir: Path, first: Aim) -> None:
        super().__init__()
        self._run_dir = run_dir
        self._first = first
        self._scene: Scene | None = None
        self._live: Any = None
        self._told = 0

    def heard(self, status: Mapping[str, Any]) -> None:
        """Take an agent's status."""
        if self._scene is None:  # the first says that the run has begun, and so that its directory is whole
            self._scene = Scene(self._run_dir, [self._first])
        self._scene.meter.heard(status)

    def running(self, now: float, duration: float, pace: float, totals: Mapping[str, int]) -> None:
        """Draw, if the last time is long enough ago."""
        scene = self._scene
        if scene is None or now < 0.0:
            return
        if not self._terminal:
            self._tell_faults(scene, now)
            super().running(now, duration, pace, totals)
            return
        if time.monotonic() < self._drawn + REDRAWN_REAL_S:
            return
        self._drawn = time.monotonic()
        scene.look(now)
        live = self._live or self._open_live()
        live.update(view(scene, scene.meter.frame(now), *live.console.size), refresh=True)

    def done(self) -> None:
        """Take the view away."""
        if self._live:
            self._live.stop()
            self._live = None
        super().done()
        if self._scene:
            self._scene.close()

    def _open_live(self) -> Any:
        from rich.live import Live

        super().done()
        self._live = Live(console=self._console(), auto_refresh=False, transient=True)
        self._live.start()
        return self._live

    def _console(self) -> Any:
        from rich.console import Console

        return Console(stderr=True)

    def _tell_faults(self, scene: Scene, now: float) -> None:
        """A line for each that has begun or ended since the last look."""
        if not scene.look(now):
            return
        told = [each for each in scene.folder.happenings if each.event in ("begin", "end")]
        for each in told[self._told :]:
            self._line(f"{each.event} of fault at {each.t:.3g} s: {each.what}", keep=True)
        self._told = len(told)

    def _more(self, now: float) -> str:
        assert self._scene
        frame = self._scene.meter.frame(now)
        best = self._scene.aims[-1].latency
        return (
            f"; {number(frame.completed, 3)} jobs/s, latency {seconds(frame.latency)} now, {seconds(frame.so_far)} so "
            f"far, optimum {seconds(best)}"
        )


def view(scene: Scene, frame: Frame, width: int, height: int) -> Any:
    """All of it as something that rich can draw, for a terminal of so many columns and lines."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    plan = scene.folder.plan
    duration = plan["duration"]
    head = Table.grid(padding=(0, 1))
    left = max(duration - frame.t, 0.0) / plan["pace"]
    head.add_row(
        scene.folder.topology.name, plan["policy"], ProgressBar(duration, min(frame.t, duration), width=24),
        f"{min(frame.t, duration):.0f} of {duration:g} s, {left:.0f} s left",
    )  # fmt: skip
    faults = _faults(scene)
    room = height - LINES_BESIDE - len(faults)
    beside = width >= WIDE
    each = max(room if beside else (room - LINES_A_TABLE) // 2, 2)
    tables = [
        _table(["server", "workload N", "rate μ", "marginal μ′"], _servers(frame), each),
        _table(["dispatcher", "jobs/s", "latency", SPLITS], _dispatchers(frame), each),
    ]
    if beside:
        both = Table.grid(padding=(0, 3))
        both.add_row(*tables)
        tables = [both]
    return Group(head, "", _figures(scene, frame), "", *tables, *faults)


def _figures(scene: Scene, frame: Frame) -> Any:
    from rich.table import Table

    best = scene.aims[-1] if scene.aims else Aim(0.0, None, None)
    over = (
        ""
        if not best.latency or frame.so_far is None
        else f"  {frame.so_far / best.latency:.3f} × the optimum"
    )
    late = frame.late / frame.latency if frame.late is not None and frame.latency else None
    kinds = sorted(frame.messages.items(), key=lambda each: -each[1])[:4]
    said = f"{number(sum(frame.messages.values()), 4)} /s: " + ", ".join(
        f"{name} {rate:.0f}" for name, rate in kinds
    )
    optimum = "none" if best.workload is None else number(best.workload)
    table = Table.grid(padding=(0, 2))
    for width in (len("workload ΣN"), None, None):
        table.add_column(no_wrap=True, min_width=width)
    for row in (
        ("throughput", f"{number(frame.completed)} jobs/s of {number(frame.offered)} offered",
         f"{frame.in_flight} in flight, {frame.lost} lost"),
        ("latency", f"{seconds(frame.latency)} now, {seconds(frame.so_far)} so far",
         f"optimum {seconds(best.latency)}{over}"),
        ("workload ΣN", number(frame.workload), f"optimum {optimum}"),
        ("messages", said, ""),
        ("lateness", f"{seconds(frame.late)} on average", "" if late is None else f"{percent(late)} of the latency"),
    ):  # fmt: skip
        table.add_row(*row)
    return table


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], most: int) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, cells in zip(head, zip(head, *rows[:most], strict=True), strict=True):
        # Where room is short the list of servers is cut, and no number.
        least = None if name == SPLITS else max(map(len, cells))
        justify: Any = "left" if name in WORDS else "right"
        table.add_column(name, justify=justify, no_wrap=True, min_width=least)
    for row in rows[:most]:
        table.add_row(*row)
    if len(rows) > most:
        table.add_row(f"… {len(rows) - most} more")
    return table


def _servers(frame: Frame) -> list[list[str]]:
    return [[name, *(number(value) for value in values)] for name, values in frame.servers.items()]


def _dispatchers(frame: Frame) -> list[list[str]]:
    rows = []
    for name, (rate, latency) in frame.dispatchers.items():
        flows = sorted(frame.flows[name].items(), key=lambda each: -each[1])
        total = sum(flow for _, flow in flows)
        split = [f"{server} {flow / total:.0%}" for server, flow in flows[:SPLIT_SHOWN]]
        more = f" +{len(flows) - SPLIT_SHOWN}" if len(flows) > SPLIT_SHOWN else ""
        rows.append([name, number(rate), seconds(latency), ", ".join(split) + more])
    return rows


def _faults(scene: Scene) -> list[Any]:
    """The latest, those that last marked."""
    from rich.text import Text

    return [
        Text(
            f"{each.at:7.1f} s  {each.fault.describe()}, "
            + ("now" if each.until == inf else f"until {each.until:.1f} s"),
            style="bold red" if each.until == inf else "dim",
        )
        for each in scene.faults[-FAULTS_SHOWN:]
    ]
