"""Options that several commands take."""

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gmsr.topology.graph import Topology

FILE = click.argument("file", type=click.Path())
PLOT = click.option("--plot", type=click.Path(path_type=Path), help="An .svg, .png or .pdf file to make.")
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
    click.option(
        "--feed",
        help="How dispatchers are told: NAME:key=value,… [default: the policy's own, or every-change].",
    ),
    click.option("--learn", is_flag=True, help="Servers learn their curves from their jobs, all of them."),
]


def run_options(command: Any) -> Any:
    """What ``run``, ``compare``, ``simulate`` and ``overhead`` share."""
    for option in reversed(_RUN):
        command = option(command)
    return command


_FAULTS: list[Callable[[Any], Any]] = [
    click.option(
        "--faults", type=click.Path(path_type=Path), help="A file of faults, on top of the topology's."
    ),
    click.option("--chaos", type=int, metavar="SEED", help="Draw faults, and add them."),
    click.option(
        "--delivery",
        type=click.Choice(["at-most-once", "at-least-once"]),
        default="at-most-once",
        show_default=True,
        help="Whether a job that may be lost is lost, or sent again.",
    ),
    click.option(
        "--drop-orphans", is_flag=True, help="Servers throw out the jobs of a dispatcher that is gone."
    ),
]


def pairs(
    kind: Callable[[str], Any],
) -> Callable[[click.Context, click.Parameter, str | None], dict[str, Any]]:
    """What reads ``KEY=VALUE,…``; empty where nothing was said."""

    def read(_context: click.Context, _option: click.Parameter, text: str | None) -> dict[str, Any]:
        try:
            return {
                name: kind(value)
                for name, value in (piece.split("=") for piece in (text or "").split(",") if piece)
            }
        except ValueError as error:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE, separated by commas") from error

    return read


_PLACE: list[Callable[[Any], Any]] = [
    click.option(
        "--place",
        type=click.Choice(["local", "ssh", "ray"]),
        help="Where agents run [default: local, ssh if --hosts is given, ray if --ray is].",
    ),
    click.option("--hosts", type=click.Path(path_type=Path), help="An inventory of hosts."),
    click.option(
        "--ray", metavar="ADDRESS", help="A Ray cluster [default: the one that this machine is in]."
    ),
    click.option("--nodes", type=click.IntRange(1), help="So many of its nodes [default: all that fit]."),
    click.option(
        "--node-labels", "labels", callback=pairs(str), metavar="KEY=VALUE,…", help="That a node must have."
    ),
    click.option(
        "--node-resources",
        "resources",
        callback=pairs(float),
        metavar="NAME=AMOUNT,…",
        help="That a node must have, and that a run holds there.",
    ),
    click.option(
        "--strategy",
        type=click.Choice(["spread", "pack", "together", "apart"]),
        default="spread",
        show_default=True,
        help="Who runs where, of those that the topology names no host for.",
    ),
]


def place_options(command: Any) -> Any:
    """What ``run`` and ``compare`` share, of where agents run: a ``placing.Wish``, as ``wish``."""

    @wraps(command)
    def wished(**given: Any) -> Any:
        from ..placing import Wish

        return command(wish=Wish(**{name: given.pop(name) for name in Wish._fields}), **given)

    made: Any = wished
    for option in reversed(_PLACE):
        made = option(made)
    return made


def fault_options(command: Any) -> Any:
    """What ``run`` and ``simulate`` share."""
    for option in reversed(_FAULTS):
        command = option(command)
    return command


def with_faults(topology: "Topology", schedule: Path, duration: float) -> "Topology":
    """The topology's own faults, and those of a file behind them. Raises UserError where one cannot be."""
    from gmsr.topology.errors import UserError
    from gmsr.topology.faults import problems
    from gmsr.topology.files import load_faults

    warnings: list[str] = []
    more = load_faults(schedule, topology, warnings)
    for problem in problems(more, topology, duration):
        raise UserError(f"{schedule}: {problem}")
    for warning in warnings:
        click.echo(f"note: {warning}", err=True)
    return topology._replace(faults=(*topology.faults, *more))


def opened(file: str, load: float | None = None, learn: bool = False) -> "Topology":
    """The topology of a file, at the load that was wished for, with servers that learn if that was wished for.

    What is noteworthy goes to standard error.
    """
    from gmsr.topology.files import load as load_file

    from ..demand import at_load, learning

    topology, warnings = load_file(file)
    announce()
    for warning in warnings:
        click.echo(f"note: {warning}", err=True)
    if learn:
        topology = learning(topology)
    return topology if load is None else at_load(topology, load)


def words(_context: click.Context, _option: click.Parameter, text: str) -> list[str]:
    """A list of names separated by commas."""
    found = [piece.strip() for piece in text.split(",") if piece.strip()]
    if not found or len(set(found)) != len(found):
        raise click.BadParameter(f"{text!r} must name each thing once, at least one")
    return found


def numbers(_context: click.Context, _option: click.Parameter, text: str | None) -> list[float]:
    """A list of numbers separated by commas; empty where nothing was said."""
    try:
        return [float(piece) for piece in (text or "").split(",") if piece.strip()]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no list of numbers separated by commas") from error


def announce(function: str = "balance.settle") -> None:
    """A word before a silence: theory's loops are compiled when they are first used on a machine."""
    from gmsr.topology.theory.cache import holds

    if not holds(function):
        click.echo(
            "note: first use: compiling theory's loops, once on this machine, some twenty seconds", err=True
        )


def emit(document: object) -> None:
    """Print a JSON document. Not-a-number and infinity become null: JSON has neither."""
    click.echo(json.dumps(_plain(document), indent=1))


def present(summary: dict[str, Any], as_json: bool) -> None:
    """Print a run's summary; as JSON, its warnings go to standard error too."""
    if not as_json:
        from ..record.text import text

        click.echo(text(summary))
        return
    emit(summary)
    for warning in summary["warnings"]:
        click.echo(f"warning: {warning}", err=True)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def virtual_pace(text: str) -> float:
    """A pace under virtual time, where 'auto' has nothing to try. Raises UserError for what is no number."""
    from gmsr.topology.errors import UserError

    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"--pace: {text!r} is no number; virtual time needs no trial, give one") from error
