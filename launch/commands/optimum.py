"""``gmsr optimum FILE``."""

import click

from .options import AS_JSON, FILE, emit


@click.command()
@FILE
@AS_JSON
def command(file: str, as_json: bool) -> None:
    """The central optimum of the topology FILE: what a planner who knew everything could reach."""
    from gmsr.topology.files import load
    from gmsr.topology.theory.overload import fits

    from ..best import best, text

    topology, warnings = load(file)
    for warning in warnings:
        click.echo(f"note: {warning}", err=True)
    found = best(topology, fits)
    emit(found) if as_json else click.echo(text(found))
