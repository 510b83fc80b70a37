"""``gmsr ps``."""

from collections import Counter
from typing import Any

import click

from .options import AS_JSON, emit


@click.command()
@AS_JSON
def command(as_json: bool) -> None:
    """List your testbeds that are running on this machine."""
    from ..operate import running
    from ..record.text import table

    found: list[dict[str, Any]] = []
    for testbed in running():
        agents = testbed.agents()
        counts = Counter(agent.state for agent in agents)
        found.append(
            {
                "run_dir": str(testbed.run_dir),
                "age": testbed.now,
                "duration": testbed.control["duration"],
                "launched": testbed.launched,
                "counts": {state: counts[state] for state in ("alive", "stopped", "dead")},
                "agents": {agent.id: {"state": agent.state, "life": agent.life} for agent in agents},
            }
        )
        testbed.close()
    if as_json:
        emit({"testbeds": found})
    elif not found:
        click.echo("no testbed is running")
    else:
        head = ["run", "alive", "stopped", "dead", "age", "of"]
        rows = [
            [
                each["run_dir"] + ("" if each["launched"] else " (without launcher)"),
                *map(str, each["counts"].values()),
                f"{each['age']:.0f} s",
                f"{each['duration']:.0f} s",
            ]
            for each in found
        ]
        click.echo("\n".join(table(head, rows)))
