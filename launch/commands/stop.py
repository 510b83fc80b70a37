"""``gmsr stop RUN``."""

from pathlib import Path

import click

from .options import AS_JSON, emit


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@AS_JSON
def command(run: Path, as_json: bool) -> None:
    """End the running testbed RUN as Ctrl-C at its own terminal does: cleanly, keeping what was measured.

    Without its launcher (gmsr run --survive) the agents are told themselves; then gmsr summary RUN makes the summary.
    """
    from ..operate import Testbed

    testbed = Testbed(run)
    testbed.stop()
    testbed.close()
    emit({"stopped": str(testbed.run_dir)}) if as_json else click.echo(f"{run}: told to stop")
