"""``gmsr inject RUN KIND …``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .options import AS_JSON, emit

LASTS = click.option(
    "--for", "lasts", type=float, metavar="SECONDS", help="Emulated; without: until the end."
)
AGENT = click.argument("agent")
FACTOR = click.option("--factor", type=float, required=True, help="Of the rate, > 0.")
_WHERE = [
    click.option("--edge", metavar="D,S", help="One edge: dispatcher and server."),
    click.option("--agent", metavar="ID", help="All edges of an agent."),
    click.option("--group", metavar="ID,ID…", help="All edges between these agents and the others."),
]


def where(command: Any) -> Any:
    """Which edges."""
    for option in reversed(_WHERE):
        command = option(command)
    return command


@click.group()
@click.argument("run", type=click.Path(path_type=Path))
@click.pass_context
def command(context: click.Context, run: Path) -> None:
    """Do something bad to the testbed of the run directory RUN, which is under way (gmsr ps lists them).

    The fault begins now. With --for (or --restart) this command stays until its end; Ctrl-C ends it early.
    """
    context.obj = run


def _kind(name: str, help_text: str) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        return command.command(name, help=help_text)(click.pass_obj(AS_JSON(function)))

    return decorate


@_kind("crash", "Kill AGENT (SIGKILL).")
@AGENT
@click.option("--restart", type=float, metavar="SECONDS", help="Start it again after this; without: never.")
def crash(run: Path, agent: str, restart: float | None, as_json: bool) -> None:
    """Kill an agent."""
    _inject(run, {"kind": "crash", "agent": agent, "restart": restart}, as_json)


@_kind("freeze", "Stop AGENT (SIGSTOP), and let it go on after a while.")
@AGENT
@LASTS
def freeze(run: Path, agent: str, lasts: float | None, as_json: bool) -> None:
    """Freeze an agent."""
    _inject(run, {"kind": "freeze", "agent": agent, "for": lasts}, as_json)


@_kind("slow", "Multiply SERVER's service rate, or give it another curve.")
@click.argument("server")
@click.option("--factor", type=float, help="Of the rate, > 0.")
@click.option("--curve", metavar="KIND,KEY=VALUE,…", help="As hyperbolic,a=4,b=2.")
@LASTS
def slow(
    run: Path, server: str, factor: float | None, curve: str | None, lasts: float | None, as_json: bool
) -> None:
    """Slow a server down, or speed it up."""
    if (factor is None) == (curve is None):
        raise click.UsageError("give exactly one of --factor and --curve")
    wanted = {"factor": factor, "curve": None if curve is None else _curve(curve)}
    _inject(run, {"kind": "slow", "server": server, "for": lasts, **wanted}, as_json)


def _curve(text: str) -> dict[str, Any]:
    """A curve in a topology file's form. Raises UserError."""
    from gmsr.topology.errors import UserError

    kind, *fields = text.split(",")
    try:
        pairs = [field.split("=") for field in fields]
        return {"kind": kind, **{name: float(value) for name, value in pairs}}
    except ValueError as error:
        raise UserError(
            f"--curve: {text!r} is not KIND,KEY=VALUE,…; write it as hyperbolic,a=4,b=2"
        ) from error


@_kind("surge", "Multiply DISPATCHER's arrival rate.")
@click.argument("dispatcher")
@FACTOR
@LASTS
def surge(run: Path, dispatcher: str, factor: float, lasts: float | None, as_json: bool) -> None:
    """More jobs, or fewer."""
    _inject(run, {"kind": "surge", "dispatcher": dispatcher, "factor": factor, "for": lasts}, as_json)


@_kind(
    "policy", "Give DISPATCHERs POLICY (NAME or module:Class), all if none is named, until the next change."
)
@click.argument("policy")
@click.argument("dispatchers", nargs=-1, metavar="[DISPATCHER]...")
def policy_(run: Path, policy: str, dispatchers: tuple[str, ...], as_json: bool) -> None:
    """Another policy."""
    _inject(run, {"kind": "policy", "policy": policy, "group": [*dispatchers] or None}, as_json)


@_kind("cut", "Let nothing pass.")
@where
@LASTS
def cut(run: Path, as_json: bool, **chosen: Any) -> None:
    """Cut edges."""
    _on_edges(run, "cut", chosen, as_json)


@_kind("delay", "Delay all frames.")
@where
@click.option("--seconds", type=float, required=True, help="One way, on top of the edge's own.")
@click.option("--jitter", type=float, default=0.0, show_default=True, help="Uniform extra up to this.")
@LASTS
def delay(run: Path, as_json: bool, **chosen: Any) -> None:
    """Delay frames."""
    _on_edges(run, "delay", chosen, as_json)


@_kind("loss", "Lose a share of the frames.")
@where
@click.option("--share", type=float, required=True, help="Of frames, up to 1.")
@LASTS
def loss(run: Path, as_json: bool, **chosen: Any) -> None:
    """Lose frames."""
    _on_edges(run, "loss", chosen, as_json)


@_kind("duplicate", "Let a share of the frames come twice.")
@where
@click.option("--share", type=float, required=True, help="Of frames, up to 1.")
@LASTS
def duplicate(run: Path, as_json: bool, **chosen: Any) -> None:
    """Double frames."""
    _on_edges(run, "duplicate", chosen, as_json)


def _on_edges(run: Path, kind: str, chosen: dict[str, Any], as_json: bool) -> None:
    from gmsr.topology.errors import UserError

    given = {name: chosen.pop(name) for name in ("edge", "agent", "group")}
    named = {name: value for name, value in given.items() if value is not None}
    if len(named) != 1:
        raise UserError(f"{kind}: name its edges by exactly one of --edge, --agent and --group")
    if "edge" in named:
        named["edge"] = named["edge"].split(",")
        if len(named["edge"]) != 2:
            raise UserError(f"--edge: {given['edge']!r} is not DISPATCHER,SERVER")
    if "group" in named:
        named["group"] = named["group"].split(",")
    _inject(run, {"kind": kind, "for": chosen.pop("lasts"), **named, **chosen}, as_json)


def _inject(run: Path, entry: dict[str, Any], as_json: bool) -> None:
    from gmsr.topology.errors import UserError

    from ..faults.hand import ByHand, checked
    from ..operate import Testbed

    testbed = Testbed(run)
    given = {name: value for name, value in entry.items() if value is not None}
    hand = ByHand(testbed, checked(given))
    fault = hand.fault
    forever = not {"for", "restart"} & given.keys()
    lasts = "" if forever else f", for {fault.until - fault.at:g} s"
    click.echo(f"{fault.describe()} at {fault.at:.3g} s{lasts}", err=as_json)
    try:
        if not forever:
            hand.wait()
            hand.end()
    except KeyboardInterrupt:
        hand.end()
        raise
    except UserError:  # the run ended first, and what it did with it
        click.echo("the run has ended", err=True)
    finally:
        testbed.close()
        if as_json:
            until = None if forever else testbed.now
            emit({"number": hand.number, **fault.to_dict(), "what": fault.describe(), "until": until})
