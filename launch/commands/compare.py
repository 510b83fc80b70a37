"""``gmsr compare FILE``."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import AS_JSON, FILE, announce, emit, numbers, opened, place_options, run_options

if TYPE_CHECKING:
    from ..placing import Wish


@click.command()
@FILE
@click.option(
    "--policies", default="gmsr,jsq,random", show_default=True,
    help="Separated by commas, options as NAME:key=value,key=value, which belong to the policy before them.",
)  # fmt: skip
@click.option("--repeats", default=1, show_default=True, help="Runs of each policy, with consecutive seeds.")
@click.option("--smoothing", callback=numbers, help="Windows, relative to each last kink; 0 is plain GMSR.")
@click.option("--model", help="slotted or fluid: in this model instead of in processes.")
@run_options
@place_options
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make for the runs [default: runs/…].")
@AS_JSON
def command(
    file: str,
    policies: str,
    repeats: int,
    smoothing: list[float],
    model: str | None,
    out: Path | None,
    as_json: bool,
    load: float | None,
    pace: str,
    wish: "Wish",
    learn: bool,
    **chosen: Any,
) -> None:
    """Run several policies on the same arrivals and print them side by side.

    The first policy is the one that the others are compared with.
    """
    from gmsr.topology.errors import UserError

    from .. import plan
    from ..compare import compare, figures, split, text
    from ..pace import resolve
    from ..placing import placing
    from ..run import run
    from ..show.progress import Progress

    topology, started_by = placing(opened(file, load, learn), wish)
    names = split(policies)
    options = plan.options(topology, **chosen)._replace(policy=names[0] if names else "")
    play: Callable[..., Any] = partial(run, place=started_by)
    if model is None:
        options = resolve(topology, options, pace, started_by)
    else:
        from ..theory import model as models

        if learn:
            raise UserError("--learn: a model knows all curves; leave it out")
        if model not in ("slotted", "fluid") or out is not None:
            raise UserError(
                f"--model: {model!r} is unknown; choose slotted or fluid"
                if out is None
                else "--out: a model writes no run directories; leave it out"
            )
        if model == "slotted":
            announce("slotted.run")
        play = models.slotted if model == "slotted" else models.fluid
    compared = figures(
        compare(topology, options, names, repeats, out, lambda label: Progress(label=label), smoothing, play)
    )
    emit({"policies": compared}) if as_json else click.echo(text(compared))
