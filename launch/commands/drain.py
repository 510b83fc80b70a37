"""``gmsr drain RUN AGENT``."""

from pathlib import Path

import click

from .options import AS_JSON, emit


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("agent")
@AS_JSON
def command(run: Path, agent: str, as_json: bool) -> None:
    """Let AGENT of the running testbed RUN leave in order: it finishes what it holds and gets nothing new."""
    from ..faults.hand import ByHand
    from ..operate import Testbed

    testbed = Testbed(run)
    hand = ByHand(testbed, {"kind": "drain", "agent": agent})
    testbed.close()
    if as_json:
        emit({"number": hand.number, **hand.fault.to_dict(), "what": hand.fault.describe()})
    else:
        click.echo(f"{agent} leaves from {hand.fault.at:.3g} s on")
