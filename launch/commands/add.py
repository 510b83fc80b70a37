"""``gmsr add RUN FRAGMENT``."""

from pathlib import Path

import click

from .options import AS_JSON, emit


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("fragment", type=click.Path(path_type=Path))
@AS_JSON
def command(run: Path, fragment: Path, as_json: bool) -> None:
    """Let new agents join the running testbed RUN.

    FRAGMENT is a part of a topology file: lists of dispatchers, servers and edges, which may lead to agents that are
    there already.
    """
    from ..faults.add import add
    from ..operate import Testbed

    testbed = Testbed(run)
    joined = add(testbed, fragment)
    testbed.close()
    emit({"joined": joined}) if as_json else click.echo(f"joined: {', '.join(joined)}")
