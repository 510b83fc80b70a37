"""``gmsr compare FILE``."""

from pathlib import Path
from typing import Any

import click

from .options import AS_JSON, FILE, emit, opened, run_options


@click.command()
@FILE
@click.option(
    "--policies", default="gmsr,jsq,random", show_default=True,
    help="Separated by commas, options as NAME:key=value,key=value, which belong to the policy before them.",
)  # fmt: skip
@click.option("--repeats", default=1, show_default=True, help="Runs of each policy, with consecutive seeds.")
@run_options
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make for the runs [default: runs/…].")
@AS_JSON
def command(
    file: str,
    policies: str,
    repeats: int,
    out: Path | None,
    as_json: bool,
    load: float | None,
    pace: str,
    **chosen: Any,
) -> None:
    """Run several policies on the same arrivals and print them side by side.

    The first policy is the one that the others are compared with.
    """
    from .. import plan
    from ..compare import compare, figures, split, text
    from ..pace import resolve
    from ..show.progress import Progress

    topology = opened(file, load)
    names = split(policies)
    options = plan.options(topology, **chosen)._replace(policy=names[0] if names else "")
    options = resolve(topology, options, pace)
    compared = figures(compare(topology, options, names, repeats, out, lambda label: Progress(label=label)))
    emit({"policies": compared}) if as_json else click.echo(text(compared))
