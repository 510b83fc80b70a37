"""``gmsr run FILE``."""

from pathlib import Path
from typing import Any

import click

from .options import AS_JSON, FILE, fault_options, opened, present, run_options, with_faults


@click.command()
@FILE
@click.option("--policy", help="NAME or module:Class, with options as NAME:key=value.")
@run_options
@click.option("--out", type=click.Path(path_type=Path), help="Run directory to make [default: runs/…].")
@fault_options
@click.option("--edges", type=click.Choice(["ipc", "tcp"]), help="What edges are made of [default: ipc].")
@click.option("--survive", is_flag=True, help="Agents finish the run even if the launcher is killed.")
@AS_JSON
def command(
    file: str, out: Path | None, as_json: bool, load: float | None, pace: str, learn: bool, **chosen: Any
) -> int | None:
    """Run the topology FILE: one process a dispatcher, one a server, and print what was measured."""
    from .. import plan
    from ..faults.scheduled import scheduled
    from ..pace import resolve
    from ..run import Interrupted, run
    from ..show.progress import Progress

    topology = opened(file, load, learn)
    schedule, delivery = chosen.pop("faults"), chosen.pop("delivery")
    chosen["again"], chosen["drop"] = delivery == "at-least-once", chosen.pop("drop_orphans")
    options = plan.options(topology, **chosen)
    if schedule:
        topology = with_faults(topology, schedule, options.duration)
    scheduled(topology, options, simulated=False)  # refuse what cannot be before a pace is looked for
    options = resolve(topology, options, pace)
    code = None
    try:
        summary = run(topology, options, out, Progress())
    except Interrupted as interrupted:
        summary, code = interrupted.summary, 130
    present(summary, as_json)
    return code
