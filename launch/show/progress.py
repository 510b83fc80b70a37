"""What a person sees while a run goes on: a bar with the time that is left on a terminal, a few lines elsewhere.

Always on standard error; standard output belongs to results.
"""

import sys
import time
from collections.abc import Mapping
from math import inf
from typing import Any

import click

PLAIN_STEPS = 4
"""Where the output is no terminal, the run is reported at so many points."""
REDRAWN_REAL_S = 0.2


class Progress:
    """Shows phases, and the time that is left."""

    steps = PLAIN_STEPS

    def __init__(self, quiet: bool = False, label: str = "") -> None:
        self._quiet = quiet
        self._label = f"{label}: " if label else ""
        self._terminal = sys.stderr.isatty()
        self._shown = 0
        self._open = False  # a line is to be written over
        self._bar: Any = None
        self._drawn = -inf

    def phase(self, text: str) -> None:
        """Something has begun."""
        self.done()
        self._line(text, keep=not self._terminal)

    def ready(self, ready: int, agents: int) -> None:
        """So many agents have all their edges up."""
        if self._terminal:
            self._line(f"{ready} of {agents} processes ready")
        elif ready == agents:
            self._line(f"{agents} processes ready, all edges up", keep=True)

    def running(self, now: float, duration: float, pace: float, totals: Mapping[str, int]) -> None:
        """Emulated time so far, and what the agents have told."""
        share = min(now / duration, 1.0)
        at_pace = f" at pace {pace:g}" if pace != 1.0 else ""
        text = f"{min(now, duration):.0f} of {duration:.0f} s{at_pace}, {max(duration - now, 0.0) / pace:.0f} s left; "
        if self._terminal:
            self._draw(share, f"{text}{totals['completed']} of {totals['offered']} jobs")
        elif int(share * self.steps) > self._shown:
            self._shown = int(share * self.steps)
            words = {"offered": "offered", "completed": "completed", "in_flight": "in flight"}
            jobs = ", ".join(f"{totals[key]} {word}" for key, word in words.items())
            self._line(f"{share:4.0%}  {text}jobs: {jobs}{self._more(now)}", keep=True)

    def done(self) -> None:
        """Take away what is written over."""
        if self._bar:
            self._bar.stop()
            self._bar = None
        if self._open:
            click.echo("\r\033[K", nl=False, err=True)
            self._open = False

    def _more(self, now: float) -> str:
        """What a plain line says beside the rest."""
        return ""

    def _draw(self, share: float, text: str) -> None:
        if self._quiet or time.monotonic() < self._drawn + REDRAWN_REAL_S:
            return
        self._drawn = time.monotonic()
        if not self._bar:
            self.done()
            self._bar = _bar(self._label)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=max(share, 0.0), text=text)
        self._bar.refresh()

    def _line(self, text: str, keep: bool = False) -> None:
        if self._quiet:
            return
        if keep:
            click.echo(f"{self._label}{text}", err=True)
        else:
            click.echo(f"\r\033[K{self._label}{text}", nl=False, err=True)
            self._open = True


def _bar(label: str) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bars

    words = TextColumn("{task.fields[text]}", markup=False)
    bars = Bars(
        TextColumn("{task.description}", markup=False), BarColumn(16), TaskProgressColumn(), words,
        console=Console(stderr=True), auto_refresh=False, transient=True,
    )  # fmt: skip
    bars.add_task(label, total=1.0, text="")
    return bars
