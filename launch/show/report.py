"""``gmsr report``: one HTML file that holds all it shows, opens offline and asks nobody for anything."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from gmsr.topology.errors import UserError

from ..record.load import MISFIT, Run
from ..record.text import number
from . import alone, census, together, vega
from .figure import whole
from .palette import DARK, LIGHT, chart_config
from .parts import Figure, Section, Table
from .shown import Shown, labelled

MOST_RUNS = 8
"""So many lines can be told apart by colour."""
MOST_SHOWN = 200
"""Rows of a table on the page; its CSV has all."""


class Chapter(NamedTuple):
    """All of one run, or all that runs have in common."""

    id: str
    title: str
    sections: list[Section]
    text: str = ""
    warnings: Sequence[str] = ()


def page(runs: Sequence[Run]) -> str:
    """The HTML of one run's report, or of a comparison. Raises UserError if there are too many runs."""
    if len(runs) > MOST_RUNS:
        raise UserError(f"RUN: {len(runs)} runs are too many for one page; name at most {MOST_RUNS}")
    shown = labelled(runs)
    several = len(shown) > 1
    chapters = []
    if several:
        makers = [together.comparison, together.latency, together.workload]
        chapters.append(_chapter("together", "All runs", shown, [partial(make, shown) for make in makers]))
    for each in shown:
        chapters.append(_of_run(each, several))
    names = list(dict.fromkeys(each.run.topology.name for each in shown if each.run.topology)) or ["a run"]
    title = f"{', '.join(names)}: " + (f"{len(shown)} runs" if several else shown[0].label)
    if len(names) > 1:
        told = "these runs are of different topologies: figures side by side may mean little"
        chapters[0] = chapters[0]._replace(warnings=[told, *chapters[0].warnings])
    return _rendered(title, chapters)


def _of_run(shown: Shown, several: bool) -> Chapter:
    run = shown.run
    makers: list[Callable[[], Section]] = []
    if run.summary:
        makers.append(partial(together.glance, shown))
    if run.topology:
        makers.append(partial(alone.graph, shown))
    if run.series and not several:
        makers += [partial(together.workload, [shown]), partial(together.latency, [shown])]
    if run.series:
        makers.append(partial(alone.over_time, shown))
    if run.summary:
        by_edge = [census.by_edge] if run.topology else []
        parts = [alone.agents, alone.messages, *by_edge, alone.faults, alone.fidelity]
        makers += [partial(each, shown) for each in parts]
    makers.append(partial(alone.again, shown))
    return _chapter(shown.key, shown.label, [shown], makers)


def _chapter(key: str, title: str, of: Sequence[Shown], makers: Sequence[Callable[[], Section]]) -> Chapter:
    """Sections, and what could not be shown: a run that is not whole may lack what one of them needs."""
    odd = any(each.run.odd for each in of)
    sections: list[Section] = []
    missing: list[str] = []
    for make in makers:
        try:
            sections.append(make())
        except UserError as error:
            missing.append(f"not shown: {error}")
        except MISFIT as error:
            if not odd:
                raise  # a defect of ours
            missing.append(f"not shown, its records are of another version: {error!r}")
    if len(of) > 1:
        return Chapter(key, title, sections, warnings=missing)
    run = of[0].run
    problems = [f"not all of this run can be shown: {line}" for line in run.problems]
    summary = run.summary or {}
    return Chapter(key, title, sections, _said(run), [*problems, *missing, *summary.get("warnings", [])])


def _said(run: Run) -> str:
    """What was run, in a line."""
    plan = run.plan
    known = [f"{name} {plan[name]}" for name in ("policy", "feed", "seed", "scale", "pace") if name in plan]
    times = (("duration", "s in all"), ("warmup", "s of them warm-up"))
    return ", ".join([*known, *(f"{plan[name]:g} {words}" for name, words in times if name in plan)])


def _rendered(title: str, chapters: list[Chapter]) -> str:
    figures = [each for chapter in chapters for section in chapter.sections for each in section.figures]
    tables = [each for chapter in chapters for section in chapter.sections for each in section.tables]
    tables += [table for figure in figures for table in figure.tables]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gmsr.launch.show"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["cell"] = _cell
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}  # which browsers would not read
    return environment.get_template("report.html").render(
        title=title,
        chapters=chapters,
        vega=vega.script(),
        made_by=f"gmsr {version('gmsr')}",
        grounds=[("light", LIGHT), ("dark", DARK)],
        most_shown=MOST_SHOWN,
        data=_data(figures, tables, chapters),
    )


def _data(figures: list[Figure], tables: list[Table], chapters: list[Chapter]) -> dict[str, Any]:
    """What the page's script works from."""
    return {
        "tables": {
            each.name: {"heads": each.heads, "keys": each.keys, "columns": each.columns} for each in tables
        },
        "figures": {
            each.id: {"spec": each.chart, "tables": [table.name for table in each.tables]} for each in figures
        },
        "files": {
            name: text for chapter in chapters for section in chapter.sections for name, text in section.files
        },
        "configs": {"light": chart_config(dark=False), "dark": chart_config(dark=True)},
        "shown": MOST_SHOWN,
    }


def _cell(value: object) -> str:
    """A table's cell for reading."""
    if value is None:
        return "–"
    return number(value, 5) if isinstance(value, float) else str(value)


def write(html: str, out: Path) -> None:
    """To a new file. Raises UserError where that cannot be done."""
    with whole(out, "--out") as file:
        file.write(html.encode())
