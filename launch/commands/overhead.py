"""``gmsr overhead FILE``."""

from pathlib import Path
from typing import Any

import click

from .options import AS_JSON, FILE, PLOT, emit, opened, run_options, virtual_pace


@click.command()
@FILE
@click.option(
    "--policies", default="gmsr,p2c", show_default=True,
    help="Separated by commas, options as NAME:key=value,key=value, which belong to the policy before them.",
)  # fmt: skip
@click.option("--feeds", help="Separated by commas likewise [default: one setting of each].")
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True, help="Seeds of each.")
@click.option("--simulated", is_flag=True, help="Under virtual time, not in processes.")
@click.option(
    "--growth/--no-growth", default=True, help="Also with more dispatchers and more servers (simulated)."
)
@run_options
@PLOT
@AS_JSON
def command(
    file: str,
    policies: str,
    feeds: str | None,
    repeats: int,
    simulated: bool,
    growth: bool,
    load: float | None,
    pace: str,
    learn: bool,
    feed: str | None,
    plot: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """What each way of telling dispatchers costs in messages, and what it buys in latency.

    Beside each count stands what the feed's formula makes of the servers' paths. How the cost grows with the graph is
    worked out under virtual time, for the first policy.
    """
    from gmsr.topology.errors import UserError

    from .. import overhead, plan
    from ..compare import split
    from ..pace import resolve
    from ..show.figure import writable

    if feed is not None:
        raise UserError("--feed: this command takes several: use --feeds")
    writable(plot)
    topology = opened(file, load, learn)
    named, told = split(policies), split(feeds or overhead.FEEDS)
    if not named or not told:
        raise UserError("--policies, --feeds: name at least one each")
    fit, left_out = overhead.pairs(named, told)
    options = plan.options(topology, **chosen)._replace(policy=named[0])
    options = (
        plan.options(topology, **chosen, pace=virtual_pace(pace))
        if simulated
        else resolve(topology, options, pace)
    )
    found = overhead.everything(topology, options, fit, repeats, simulated, growth)
    found["left_out"] = left_out
    if plot is not None:
        from ..show.overhead import draw

        draw(found, plot)
    emit(found) if as_json else click.echo(overhead.text(found))
