"""``gmsr topology new | check | show | draw``."""

from pathlib import Path

import click

from .options import AS_JSON, FILE, announce, emit


@click.group()
def command() -> None:
    """Make, check, show and draw topologies."""


@command.command()
@click.argument("kind")
@click.option("--dispatchers", default=4, show_default=True, help="How many.")
@click.option("--servers", default=8, show_default=True, help="How many.")
@click.option(
    "--degree", default=3, show_default=True, help="Servers a dispatcher reaches; for zones, how many zones."
)
@click.option(
    "--load", default=0.7, show_default=True, help="Share of the largest demand that capacity can carry."
)
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--rates", default="uniform", show_default=True, help="Dispatchers' rates: equal, uniform or zipf."
)
@click.option("--curves", default="hyperbolic", show_default=True, help="A curve kind, or mixed.")
@click.option("--spread", default=4.0, show_default=True, help="Largest over smallest size of servers.")
@click.option(
    "--scale", type=float, help="The scale n that the file asks for [default: 1; naive families: 100]."
)
@click.option(
    "--parameter", type=float, help="P of the families on which a naive policy fails [default: 10]."
)
@click.option("--from", "source", type=click.Path(path_type=Path), help="The graph that KIND 'import' reads.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write [default: standard output].")
def new(
    kind: str, dispatchers: int, servers: int, degree: int, load: float, seed: int, rates: str, curves: str,
    spread: float, scale: float | None, parameter: float | None, source: Path | None, out: Path | None,
) -> None:  # fmt: skip
    """Make a topology of KIND complete, random, k-nearest, star, path, tree, power-law or zones.

    KIND 'import' takes the graph of --from: an edge list (lines "dispatcher server"), GraphML (.graphml) or
    node-link JSON (.json).

    KINDs pigou, starved-fast, weak-one and rich-get-richer are families on which a naive policy (least-latency, jsq,
    random, fastest) grows worse than the optimum without bound as --parameter grows; see docs/theory.md.
    """
    from ..making import make, naive, write

    if (made := naive(kind, parameter, scale)) is not None:
        write(made, out, runs=True)
        return
    announce()
    topology = make(
        kind,
        dispatchers,
        servers,
        degree,
        load,
        seed=seed,
        rates=rates,
        curves=curves,
        spread=spread,
        source=source,
    )
    write(topology._replace(scale=1.0 if scale is None else scale), out)


@command.command()
@FILE
@AS_JSON
def check(file: str, as_json: bool) -> None:
    """Check a topology file: what is wrong with it, what is noteworthy, what load it asks for."""
    from gmsr.topology.errors import UserError
    from gmsr.topology.files import load

    from ..inspect_topology import facts

    try:
        topology, warnings = load(file)
        announce()
        found = facts(topology, warnings)
    except UserError as error:
        if as_json:
            emit({"valid": False, "problem": str(error)})
        raise
    if as_json:
        emit(found)
        return
    click.echo(
        f"{file}: valid; {found['dispatchers']} dispatchers, {found['servers']} servers, {found['edges']} edges in "
        f"{found['components']} component{'s' * (found['components'] != 1)}; load {found['load']:.3f}"
        + (", OVERLOADED" if found["overloaded"] else "")
    )
    for line in found["warnings"]:
        click.echo(f"note: {line}")


@command.command()
@FILE
@AS_JSON
def show(file: str, as_json: bool) -> None:
    """Show a topology as tables, or resolved (tables read, library curves written out) as JSON."""
    from gmsr.topology.files import load

    from ..inspect_topology import describe

    topology, warnings = load(file)
    announce()
    emit(topology.to_dict()) if as_json else click.echo(describe(topology, warnings))


@command.command()
@FILE
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), required=True, help="An .svg, .png or .pdf file to make."
)
def draw(file: str, out: Path) -> None:
    """Draw a topology as a bipartite graph."""
    from gmsr.topology.files import load

    from ..demand import demand
    from ..show.graph import draw as draw_graph

    topology, _ = load(file)
    draw_graph(topology, out, demand(topology).volume)
    click.echo(f"{out}: drawn")
