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

    from ..placing import Wish
    from ..plan import Options
    from ..show.progress import Progress

Heard = Callable[[Mapping[str, Any]], None]


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
@click.option(
    "--live", is_flag=True, help="Show on the terminal how it fares; elsewhere, lines that say more."
)
@click.option("--watch", is_flag=True, help="Show it in a browser while it runs, as gmsr watch does.")
@AS_JSON
def command(
    file: str,
    out: Path | None,
    metrics: int | None,
    live: bool,
    watch: bool,
    as_json: bool,
    load: float | None,
    pace: str,
    wish: "Wish",
    learn: bool,
    **chosen: Any,
) -> int | None:
    """Run the topology FILE: one process a dispatcher, one a server, and print what was measured."""
    from gmsr.topology.errors import UserError

    from .. import plan
    from ..faults.scheduled import scheduled
    from ..pace import resolve
    from ..place.local import Local
    from ..placing import placing
    from ..run import Interrupted, run

    topology, started_by = placing(opened(file, load, learn), wish)
    if watch and started_by is not Local:
        raise UserError(
            "--watch: agents on several hosts have no door here that a page could ask; use --live"
        )
    schedule, delivery = chosen.pop("faults"), chosen.pop("delivery")
    chosen["again"], chosen["drop"] = delivery == "at-least-once", chosen.pop("drop_orphans")
    options = plan.options(topology, **chosen)
    if schedule:
        topology = with_faults(topology, schedule, options.duration)
    scheduled(topology, options, simulated=False)  # refuse what cannot be before a pace is looked for
    code = None
    with served(topology, options, metrics) as counted:
        options = resolve(topology, options, pace, started_by)
        with seen(topology, options, out, live, watch) as (run_dir, progress, heard):
            listeners = [each for each in (counted, heard) if each]
            try:
                summary = run(
                    topology, options, run_dir, progress, started_by, lambda status: _tell(listeners, status)
                )
            except Interrupted as interrupted:
                summary, code = interrupted.summary, 130
    present(summary, as_json)
    return code


def _tell(listeners: list[Heard], status: Mapping[str, Any]) -> None:
    for listener in listeners:
        listener(status)


@contextmanager
def seen(
    topology: "Topology", options: "Options", out: Path | None, live: bool, watch: bool
) -> Iterator[tuple[Path | None, "Progress", Heard | None]]:
    """Where the run is to lie, what shows its progress, and whom to tell statuses; a page is open, if it is to be."""
    from ..show.progress import Progress

    if not (live or watch):
        yield out, Progress(), None
        return
    from ..run_dir import fresh_name
    from ..watch.scene import first_aim
    from ..watch.terminal import LiveView

    run_dir = out or Path("runs") / fresh_name(topology, options.policy)
    best = first_aim(topology)  # before there are agents that it could disturb
    view = LiveView(run_dir, best) if live else None
    shown = run_dir, view or Progress(), view.heard if view else None
    if not watch:
        yield shown
        return
    from ..watch.hands import Hands
    from ..watch.serving import Site
    from ..watch.source import Live

    hands = Hands(run_dir)
    site = Site(Live(run_dir, (best,)), {"inject": hands.inject})
    click.echo(f"watch it at {site.address}", err=True)
    try:
        yield shown
    finally:
        hands.close()
        site.close()


@contextmanager
def served(topology: "Topology", options: "Options", port: int | None) -> Iterator[Heard | None]:
    """Metrics on a port, if there is one; what is to be told each status."""
    if port is None:
        yield None
        return
    from ..show.metrics import Metrics

    with Metrics(topology, options, port) as metrics:
        click.echo(f"metrics: {metrics.address}", err=True)
        yield metrics.heard
