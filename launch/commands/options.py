"""Options that several commands take."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gmsr.topology.graph import Topology

FILE = click.argument("file", type=click.Path())
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")

_RUN: list[Callable[[Any], Any]] = [
    click.option("--load", type=float, help="Scale rates (or a trace's speed) to this load factor."),
    click.option("--duration", type=float, help="Emulated seconds, warm-up included."),
    click.option("--warmup", type=float, help="Emulated seconds that are not measured."),
    click.option("--seed", type=int, help="Fixes arrivals, sizes and random choices."),
    click.option("--scale", type=float, help="n: one job is 1/n of a unit of volume."),
    click.option(
        "--pace", default="1", show_default=True, help="Emulated seconds per real second, or 'auto'."
    ),
    click.option("--feed", help="How servers report: every-change."),
]


def run_options(command: Any) -> Any:
    """What ``run``, ``compare`` and ``demo`` share."""
    for option in reversed(_RUN):
        command = option(command)
    return command


def opened(file: str, load: float | None = None) -> "Topology":
    """The topology of a file, at the load that was wished for; what is noteworthy goes to standard error."""
    from gmsr.topology.files import load as load_file

    from ..demand import at_load

    topology, warnings = load_file(file)
    for warning in warnings:
        click.echo(f"note: {warning}", err=True)
    return topology if load is None else at_load(topology, load)


def emit(document: object) -> None:
    """Print a JSON document. Not-a-number and infinity become null: JSON has neither."""
    click.echo(json.dumps(_plain(document), indent=1))


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value
