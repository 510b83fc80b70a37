"""``gmsr optimum FILE``."""

import click

from .options import AS_JSON, FILE, emit, opened


@click.command()
@FILE
@click.option("--load", type=float, help="Scale rates (or a trace's speed) to this load factor.")
@AS_JSON
def command(file: str, load: float | None, as_json: bool) -> None:
    """The central optimum of the topology FILE: what a planner who knew everything could reach."""
    from ..best import best, text

    found = best(opened(file, load))
    emit(found) if as_json else click.echo(text(found))
