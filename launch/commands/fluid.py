"""``gmsr fluid FILE``."""

from pathlib import Path

import click

from .options import AS_JSON, FILE, PLOT, emit, numbers, opened, words


@click.command()
@FILE
@click.option(
    "--from", "start", default="", help="Workloads to start from: N, or N1,N2,…, or id=N,…  [default: 0]"
)
@click.option("--policies", default="gmsr", show_default=True, callback=words, help="Separated by commas.")
@click.option("--smoothing", callback=numbers, help="Windows, relative to each last kink; 0 is plain GMSR.")
@click.option("--load", type=float, help="Scale rates (or a trace's speed) to this load factor.")
@click.option("--duration", type=float, help="Emulated seconds [default: until it rests].")
@click.option("--seed", default=1, show_default=True, help="For shared kinks without smoothing only.")
@PLOT
@AS_JSON
def command(
    file: str, start: str, policies: list[str], smoothing: list[float], load: float | None, duration: float | None,
    seed: int, plot: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """The fluid limit of the topology FILE: the path that many small jobs follow, and how fast it comes to rest."""
    from gmsr.topology.errors import RunError, UserError

    from ..show.figure import writable
    from ..theory.fluid import Wish, ladder, paths, text

    if duration is not None and not 0.0 < duration < float("inf"):
        raise UserError(f"--duration: {duration:g} must be a number > 0")
    writable(plot)
    topology = opened(file, load)
    found = paths(topology, Wish(policies, smoothing, start, duration, seed))
    first = next(iter(found["paths"].values()))
    climbs = found["optimum"] is not None and policies[0] == "gmsr" and first["method"] == "inclusion"
    climbed = None
    if climbs and not smoothing:
        try:
            climbed = ladder(topology)
        except RunError as error:
            click.echo(f"note: no speed to tell: {error}", err=True)
    if plot:
        from ..show.paths import draw

        draw(topology, found, climbed, plot)
    if as_json:
        emit({**found, "ladder": climbed})
        return
    click.echo(text(found, climbed))
    if plot:
        click.echo(f"\n{plot}: drawn")
