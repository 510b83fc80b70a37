"""``gmsr optimum FILE``."""

import click

from .options import AS_JSON, FILE, emit, opened


@click.command()
@FILE
@click.option("--load", type=float, help="Scale rates (or a trace's speed) to this load factor.")
@click.option(
    "--hold", "holding", is_flag=True, help="Under overload: how many saturated servers can be held."
)
@click.option("--sensitivity", is_flag=True, help="What more capacity and new edges would be worth.")
@click.option(
    "--method", default="auto", show_default=True, help="conic, balance, relaxation (with travel), or auto."
)
@AS_JSON
def command(
    file: str, load: float | None, holding: bool, sensitivity: bool, method: str, as_json: bool
) -> None:
    """The central optimum of the topology FILE: what a planner who knew everything could reach, travel included.

    Where the demand does not fit: the most throughput, which servers stay stable, and how the others grow.
    """
    from gmsr.topology.theory.travel import delayed

    from ..theory.optimum import best, text

    topology = opened(file, load)
    found = best(topology, method, holding)
    if sensitivity:
        from ..theory.worth import text as worth_text
        from ..theory.worth import worth

        found["sensitivity"] = worth(topology)
    if as_json:
        emit(found)
        return
    click.echo(text(found, delayed(topology)))
    if sensitivity:
        click.echo("\n" + worth_text(found["sensitivity"], found.get("latency")))
