"""``gmsr logs RUN [AGENT]``."""

from pathlib import Path

import click

from .options import AS_JSON, emit


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("agent", required=False)
@AS_JSON
def command(run: Path, agent: str | None, as_json: bool) -> None:
    """Tell what happened in the run RUN, in the order of time: faults, deaths, and what dispatchers noticed.

    With AGENT, only what concerns it. What agents wrote to standard error stands at the end.
    """
    from ..record.story import complaints, story

    lines, errors = story(run, agent), complaints(run, agent)
    if as_json:
        emit({"story": [line._asdict() for line in lines], "errors": errors})
        return
    for line in lines:
        click.echo(f"{line.t:10.3f}  {line.who:12}  {line.what}")
    for name, text in errors.items():
        click.echo(f"\n{name} wrote:\n{text.rstrip()}")
