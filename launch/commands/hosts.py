"""``gmsr hosts check INVENTORY``, ``gmsr hosts install INVENTORY``, ``gmsr hosts collect RUN``."""

from pathlib import Path

import click

from .options import AS_JSON, emit

INVENTORY = click.argument("inventory", type=click.Path(path_type=Path))


@click.group()
def command() -> None:
    """Hosts that agents may run on."""


@command.command()
@INVENTORY
@AS_JSON
def check(inventory: Path, as_json: bool) -> int | None:
    """Try each host of INVENTORY before a run: is it reached, has it this version, room, ports, and which clock.

    Exit code 2 if there is something to mend.
    """
    from ..hosts_check import check, text
    from ..place.inventory import read

    found = check(read(inventory))
    if as_json:
        emit({each.host.name: each.as_plain() for each in found})
    else:
        click.echo(text(found))
    return 2 if any(each.problems for each in found) else None


@command.command()
@INVENTORY
@click.option(
    "--wheel", "wheels", multiple=True, type=click.Path(path_type=Path),
    help="A wheel to install, ours first; may be repeated, for hosts that reach no index [default: made from here].",
)  # fmt: skip
def install(inventory: Path, wheels: tuple[Path, ...]) -> None:
    """Put this version of gmsr on each host of INVENTORY."""
    from ..hosts_install import install
    from ..place.inventory import read

    install(read(inventory), wheels, lambda line: click.echo(line, err=True))


@command.command()
@click.argument("run", type=click.Path(path_type=Path))
@AS_JSON
def collect(run: Path, as_json: bool) -> int | None:
    """Fetch journals of RUN that are still on their hosts, and print its summary.

    Agents that still run there are given ten seconds to end.
    """
    from ..hosts_collect import fetch
    from ..record.summary import summarise
    from .options import present

    failed = [each for each in fetch(run) if each.why]
    for each in failed:
        click.echo(f"note: host {each.host}: {each.why}", err=True)
    present(summarise(run), as_json)
    return 1 if failed else None
