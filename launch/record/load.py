"""A run directory in the hands of a person, a notebook, or a page: ``gmsr.load(RUN)``."""

from functools import cached_property
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology

from .collect import collect
from .folder import NAME_A_RUN, Folder, open_run, read_json
from .series import Series, series
from .summary import FIELDS, summarise

MISFIT = (KeyError, ValueError, TypeError, IndexError)
"""What journals and summaries of another version may raise where they lack, or have otherwise, what is expected."""


class Run:
    """A run, as far as its directory can still tell of it; ``problems`` says what it cannot tell, a line each.

    Of a run that was killed, or is of another version, ``summary``, ``series`` or ``topology`` may be None. Times in
    emulated seconds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self.plan: dict[str, Any] = read_json(path / "plan.json")
        self.folder: Folder | None = self._try(lambda: open_run(path))
        self.summary: dict[str, Any] | None = self._summary()
        if self.folder is None and self.summary is None:
            raise UserError(self.problems[0])

    @property
    def odd(self) -> bool:
        """Whether it is damaged, or of another version: what shows it may not find what it looks for."""
        return bool(self.problems) or self.plan.get("versions", {}).get("gmsr") != version("gmsr")

    @property
    def topology(self) -> Topology | None:
        """As it was run; who joined is in it."""
        return self.folder.topology if self.folder else None

    @cached_property
    def jobs(self) -> pa.Table:
        """Every job as its dispatcher booked it (``schema.md``); ``.to_pandas()`` makes a data frame of it."""
        return self._table("jobs.parquet")

    @cached_property
    def visits(self) -> pa.Table:
        """Every job as its server served it."""
        return self._table("visits.parquet")

    @cached_property
    def series(self) -> Series | None:
        """The run over time, and the distribution of its latency."""
        folder, summary = self.folder, self.summary
        if folder is None or summary is None:
            return None
        begin, end = summary["measured"]
        if not begin < end:
            self.problems.append(f"{self.path}: ended before its warm-up did: nothing was measured")
            return None
        made: Series | None = self._try(lambda: series(folder, collect(folder), begin, end))
        return made

    def _table(self, name: str) -> pa.Table:
        try:
            return pq.read_table(self.path / name)
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{self.path / name}: there is none, or it is damaged; {NAME_A_RUN}") from error

    def _summary(self) -> dict[str, Any] | None:
        """As it was written when the run ended; worked out anew where it is not there, or of another version."""
        file = self.path / "summary.json"
        kept = self._try(lambda: read_json(file)) if file.exists() else None
        if self.folder is None or (self.folder.launch and kept is not None and kept.keys() >= set(FIELDS)):
            return kept
        return self._try(lambda: summarise(self.path)) or kept

    def _try(self, work: Any) -> Any:
        """What there is, or None and a line that says why not."""
        try:
            return work()
        except UserError as error:
            self.problems.append(str(error))
        except OSError as error:
            self.problems.append(f"{error.filename or self.path}: {error.strerror}")
        except MISFIT as error:
            if not self.odd:
                raise  # a defect of ours
            self.problems.append(f"{self.path}: its records are of another version: {error!r}")
        return None


def load(run: str | PathLike[str]) -> Run:
    """Open the run directory ``run``. Raises UserError if it is none."""
    return Run(Path(run))
