"""``gmsr examples list | show | copy``."""

from pathlib import Path

import click

from ..packaged import copy, read, titles
from .options import AS_JSON, emit


@click.group(invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List, show and copy the packaged topologies."""
    if context.invoked_subcommand is None:
        context.invoke(list_)


@command.command("list")
@AS_JSON
def list_(as_json: bool) -> None:
    """One line an example: its name, and what it shows."""
    if as_json:
        emit(titles())
        return
    for name, title in titles().items():
        click.echo(f"{name:16} {title}")


@command.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the file of the example NAME."""
    click.echo(read(name), nl=False)


@command.command("copy")
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
def copy_(name: str, folder: Path) -> None:
    """Copy the example NAME, and the files that it names, into FOLDER (the current one by default)."""
    for file in copy(name, folder):
        click.echo(f"{file}: written")
