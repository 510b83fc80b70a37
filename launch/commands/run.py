"""``gmsr run FILE``."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import (
    AS_JSON,
    FILE,
    fault_options,
    opened,
    place_options,
    present,
    run_options,
    with_faults,
)

if TYPE_CHECKING:
    from gmsr.topology.graph import Topology

    from ..plan import Options


@click.command()
@FILE
@click.option("--policy", help="NAME or module:Class, with options as NAME:key=value.")
@run_options
@click.option("--out", type=click.Path(path_type=Path), help="Run directory to make [default: runs/…].")
@fault_options
@click.option("--edges", type=click.Choice(["ipc", "tcp"]), help="What edges are made of [default: ipc].")
@place_options
@click.option("--survive", is_flag=True, help="Agents finish the run even if the launcher is killed.")
@click.option(
    "--metrics", type=click.IntRange(0, 65535), metavar="PORT",
    help="Serve Prometheus metrics on this port of the loopback address while it runs (0: any free one).",
)  # fmt: skip
@AS_JSON
def command(
    file: str,
    out: Path | None,
    metrics: int | None,
    as_json: bool,
    load: float | None,
    pace: str,
    place: str | None,
    hosts: Path | None,
    strategy: str,
    **chosen: Any,
) -> int | None:
    """Run the topology FILE: one process a dispatcher, one a server, and print what was measured."""
    from .. import plan
    from ..faults.scheduled import scheduled
    from ..pace import resolve
    from ..placing import placing
    from ..run import Interrupted, run
    from ..show.progress import Progress

    topology, started_by = placing(opened(file, load), place, hosts, strategy)
    schedule, delivery = chosen.pop("faults"), chosen.pop("delivery")
    chosen["again"], chosen["drop"] = delivery == "at-least-once", chosen.pop("drop_orphans")
    options = plan.options(topology, **chosen)
    if schedule:
        topology = with_faults(topology, schedule, options.duration)
    scheduled(topology, options, simulated=False)  # refuse what cannot be before a pace is looked for
    code = None
    with served(topology, options, metrics) as heard:
        options = resolve(topology, options, pace, started_by)
        try:
            summary = run(topology, options, out, Progress(), started_by, heard)
        except Interrupted as interrupted:
            summary, code = interrupted.summary, 130
    present(summary, as_json)
    return code


@contextmanager
def served(
    topology: "Topology", options: "Options", port: int | None
) -> Iterator[Callable[[Mapping[str, Any]], None] | None]:
    """Metrics on a port, if there is one; what is to be told each status."""
    if port is None:
        yield None
        return
    from ..show.metrics import Metrics

    with Metrics(topology, options, port) as metrics:
        click.echo(f"metrics: {metrics.address}", err=True)
        yield metrics.heard
