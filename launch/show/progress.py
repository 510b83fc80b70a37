"""What a person sees while a run goes on: one line that is rewritten on a terminal, a few lines elsewhere.

Always on standard error; standard output belongs to results.
"""

import sys
from collections.abc import Mapping

import click

PLAIN_STEPS = 4
"""Where the output is no terminal, the run is reported at so many points."""


class Progress:
    """Shows phases, and the time that is left."""

    def __init__(self, quiet: bool = False, label: str = "") -> None:
        self._quiet = quiet
        self._label = f"{label}: " if label else ""
        self._terminal = sys.stderr.isatty()
        self._shown = 0
        self._open = False

    def phase(self, text: str) -> None:
        """Something has begun."""
        self._line(text, keep=not self._terminal)

    def ready(self, ready: int, agents: int) -> None:
        """So many agents have all their edges up."""
        if self._terminal:
            self._line(f"{ready} of {agents} processes ready")
        elif ready == agents:
            self._line(f"{agents} processes ready, all edges up", keep=True)

    def running(self, now: float, duration: float, pace: float, totals: Mapping[str, int]) -> None:
        """Emulated time so far, and what the agents have told."""
        left = max(duration - now, 0.0)
        share = min(now / duration, 1.0)
        text = (
            f"{share:4.0%}  {min(now, duration):.0f} of {duration:.0f} s"
            + (f" at pace {pace:g}" if pace != 1.0 else "")
            + f", {left / pace:.0f} s left; jobs: {totals['offered']} offered, "
            + f"{totals['completed']} completed, {totals['in_flight']} in flight"
        )
        if self._terminal:
            self._line(text)
        elif int(share * PLAIN_STEPS) > self._shown:
            self._shown = int(share * PLAIN_STEPS)
            self._line(text, keep=True)

    def done(self) -> None:
        """End the rewritten line."""
        if self._open:
            click.echo("\r\033[K", nl=False, err=True)
            self._open = False

    def _line(self, text: str, keep: bool = False) -> None:
        if self._quiet:
            return
        if keep:
            click.echo(f"{self._label}{text}", err=True)
        else:
            click.echo(f"\r\033[K{self._label}{text}", nl=False, err=True)
            self._open = True
