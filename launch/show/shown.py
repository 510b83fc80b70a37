"""Runs that are shown together: what they are called, and when something was wrong with them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..record.load import Run
from .parts import Table, by_rows


class Shown(NamedTuple):
    """A run on a page."""

    label: str
    key: str  # begins the names of its tables
    run: Run

    @property
    def faults(self) -> list[dict[str, Any]]:
        """As the summary has them."""
        found: list[dict[str, Any]] = (self.run.summary or {}).get("faults", [])
        return found


def labelled(runs: Sequence[Run]) -> list[Shown]:
    """Names that tell the runs apart: the policy, with its seed or its directory where that is not enough."""
    names: list[str] = [str(run.plan.get("policy", run.path.name)) for run in runs]
    for more in (lambda run: f"seed {run.plan.get('seed')}", lambda run: run.path.resolve().name):
        if len(set(names)) < len(names):
            names = [
                f"{name}, {more(run)}" if names.count(name) > 1 else name
                for name, run in zip(names, runs, strict=True)
            ]
    if len(set(names)) < len(names):
        names = [f"{index}: {name}" for index, name in enumerate(names, 1)]
    keys = [f"run{index}" for index in range(1, len(runs) + 1)]
    return [Shown(*each) for each in zip(names, keys, runs, strict=True)]


def bands(shown: Shown) -> list[Table]:
    """Spells in which something was wrong, for the ground of charts over time; none if nothing was."""
    if not shown.faults:
        return []
    assert shown.run.summary
    end = shown.run.summary["measured"][1]
    rows = [(each["what"], each["at"], min(each["until"] or end, end), each["kind"]) for each in shown.faults]
    rows = [row for row in rows if row[1] < end]
    heads = ["fault", "from, s", "until, s", "kind"]
    return [by_rows(f"{shown.key}-faults-in-time", heads, rows, ["what", "begin", "end", "kind"])]
