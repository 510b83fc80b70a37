"""``gmsr demo``."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from .options import AS_JSON, emit, run_options

EXAMPLE = "llm-fleet.yaml"
POLICIES = ["gmsr", "p2c", "round-robin"]


@click.command()
@run_options
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make for the runs [default: runs/…].")
@AS_JSON
def command(out: Path | None, as_json: bool, pace: str, **chosen: Any) -> None:
    """Run a packaged fleet of LLM servers under GMSR, then under two others, and show all beside the optimum.

    The JSON document is that of 'gmsr run' for GMSR, with that of 'gmsr compare' in its field 'policies'.
    """
    from gmsr.topology.files import load

    from .. import plan
    from ..compare import compare, figures, text
    from ..pace import resolve
    from ..record.text import text as summary_text
    from ..show.progress import Progress

    topology, warnings = load(str(files("gmsr.launch.examples") / EXAMPLE))
    for warning in warnings:
        click.echo(f"note: {warning}", err=True)
    options = resolve(topology, plan.options(topology, **chosen), pace)
    outcomes = compare(topology, options, POLICIES, 1, out, lambda label: Progress(label=label))
    compared, summary = figures(outcomes), outcomes[0].summaries[0]
    if as_json:
        emit({**summary, "policies": compared})
    else:
        click.echo(f"{summary_text(summary)}\n\n{text(compared)}")
