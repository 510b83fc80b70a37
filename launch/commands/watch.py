"""``gmsr watch RUN``."""

import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..watch.source import Live, Source

LOOK_REAL_S = 0.5


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the page [default: any free one].")
@click.option("--open", "browse", is_flag=True, help="Open the page in this machine's browser.")
def command(run: Path, port: int, browse: bool) -> None:
    """Show the run directory RUN in a browser: live while it goes on, played back when it has ended.

    The page is on the loopback address alone, under an address that nobody can guess. Closing it, or Ctrl-C here,
    changes nothing for the run.
    """
    from ..watch.hands import Hands
    from ..watch.serving import Site
    from ..watch.source import Live

    hands = Hands(run)
    source = _source(run)
    try:
        site = Site(source, {"inject": hands.inject}, port)
    except BaseException:
        source.close()
        raise
    try:
        doing = "watching" if isinstance(source, Live) else "playing back"
        click.echo(f"{doing} {run} at {site.address} (Ctrl-C ends it)")
        if browse and not webbrowser.open(site.address):
            click.echo("no browser was found here: open that address in one", err=True)
        while True:
            time.sleep(LOOK_REAL_S)
            if isinstance(site.source, Live) and site.source.over:
                site.source = _played(run, site.source)
    finally:
        hands.close()
        site.close()


def _source(run: Path) -> "Source":
    """Live while somebody answers at the run's door. Raises UserError where it is no run's."""
    from ..operate import running
    from ..record.load import load
    from ..watch.source import Live, Replay

    testbeds = running()
    alive = run.resolve() in [each.run_dir for each in testbeds]
    for each in testbeds:
        each.close()
    return Live(run) if alive else Replay(load(run))


def _played(run: Path, live: "Live") -> "Source":
    """What takes a live source's place once the run has its results; until then that source."""
    from ..record.load import load
    from ..watch.source import Replay

    if not (run / "summary.json").exists():
        return live
    live.close()
    click.echo("the run has ended: it is played back now", err=True)
    return Replay(load(run))
