"""``gmsr summary RUN``."""

from pathlib import Path

import click

from .options import AS_JSON, present


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@AS_JSON
def command(run: Path, as_json: bool) -> None:
    """Work out the summary of the run directory RUN from its journals, and print it.

    Also for a run whose launcher was killed while its agents lived on (gmsr run --survive).
    """
    from ..record.summary import summarise

    present(summarise(run), as_json)
