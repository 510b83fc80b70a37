"""``gmsr demo``."""

from pathlib import Path

import click

from .options import AS_JSON, emit

EXAMPLE = "llm-fleet-trace"
POLICIES = ["gmsr", "p2c", "round-robin"]


@click.command()
@click.option(
    "--duration", type=float, help="Emulated seconds of each run [default: 86, the packaged trace]."
)
@click.option("--warmup", type=float, help="Emulated seconds that are not measured [default: 11].")
@click.option("--seed", type=int, help="Fixes arrivals, sizes and random choices.")
@click.option("--pace", default="7", show_default=True, help="Emulated seconds per real second, or 'auto'.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make for the runs [default: runs/…].")
@AS_JSON
def command(
    duration: float | None, warmup: float | None, seed: int | None, pace: str, out: Path | None, as_json: bool
) -> None:
    """Run a packaged fleet of LLM servers under GMSR, then under two others, and show all beside the optimum.

    The JSON document is that of 'gmsr run' for GMSR, with that of 'gmsr compare' in its field 'policies'.
    """
    from gmsr.topology.files import load

    from .. import packaged, plan
    from ..compare import compare, figures, text
    from ..pace import resolve
    from ..record.text import text as summary_text
    from ..show.progress import Progress

    topology = load(packaged.path(EXAMPLE)).topology
    options = plan.options(topology, duration=duration, warmup=warmup, seed=seed)
    options = resolve(topology, options, pace)
    outcomes = compare(topology, options, POLICIES, 1, out, lambda label: Progress(label=label))
    compared, summary = figures(outcomes), outcomes[0].summaries[0]
    if as_json:
        emit({**summary, "policies": compared})
    else:
        click.echo(f"{summary_text(summary)}\n\n{text(compared)}")
