"""``gmsr explore``."""

import click

from .options import AS_JSON, emit


@click.command()
@click.option(
    "--seeds", default="0:100", show_default=True, metavar="A:B", help="Scenarios A to B−1; or one seed."
)
@click.option(
    "--jobs", type=click.IntRange(1), default=None, help="Scenarios side by side [default: a core each]."
)
@click.option("--shrink", is_flag=True, help="Find fewer faults with which a failing scenario still fails.")
@AS_JSON
def command(seeds: str, jobs: int | None, shrink: bool, as_json: bool) -> int | None:
    """Random testbeds with random faults under virtual time, each checked at every turn.

    A seed is all of a scenario: graph, curves, load, policy, network, faults.
    """
    from ..world.explore import explore, smaller, span
    from ..world.scenario import scenario

    first, last = span(seeds)
    found = explore(first, last, jobs, click.echo if not as_json else None)
    for seed, broken in found.failures.items():
        for line in broken[:3]:
            click.echo(f"error: scenario {seed}: {' '.join(line.split())}", err=True)
        click.echo(f"replay: gmsr explore --seeds {seed} --shrink", err=True)
        if shrink:
            for fault in smaller(scenario(seed)):
                click.echo(f"still fails with: {fault.to_dict()}", err=True)
    if as_json:
        emit(found._asdict())
    else:
        click.echo(
            f"{found.scenarios} scenarios, {found.jobs} jobs, {found.lost} lost and {found.resent} sent again, all "
            f"accounted for but in {len(found.failures)} scenarios; {found.faults} faults, {found.seconds:.0f} s"
        )
    return 1 if found.failures else None
