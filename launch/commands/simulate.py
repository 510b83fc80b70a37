"""``gmsr simulate FILE``."""

from pathlib import Path
from typing import Any

import click

from .options import (
    AS_JSON,
    FILE,
    emit,
    fault_options,
    opened,
    present,
    run_options,
    virtual_pace,
    with_faults,
)


@click.command()
@FILE
@click.option("--policy", help="NAME or module:Class, with options as NAME:key=value.")
@run_options
@fault_options
@click.option("--check", is_flag=True, help="Hold every turn against all invariants (slower).")
@click.option("--shrink", is_flag=True, help="If it fails, find fewer faults with which it still does.")
@click.option(
    "--repeats", type=click.IntRange(1), default=1, show_default=True, help="Runs with seeds of their own."
)
@click.option(
    "--jobs", type=click.IntRange(1), default=None, help="Runs side by side [default: a core each]."
)
@click.option("--out", type=click.Path(path_type=Path), help="Run directory to make [default: runs/…].")
@AS_JSON
def command(
    file: str,
    load: float | None,
    pace: str,
    learn: bool,
    faults: Path | None,
    chaos: int | None,
    delivery: str,
    drop_orphans: bool,
    check: bool,
    shrink: bool,
    repeats: int,
    jobs: int | None,
    out: Path | None,
    as_json: bool,
    **chosen: Any,
) -> int | None:
    """Run the topology FILE in one process under virtual time: the agents of `gmsr run`, a pure function of the seed.

    Heartbeats are a tenth of a second times the pace, as in a run of that pace.
    """
    from .. import plan
    from ..world.repeats import Failure, shrunk, simulate_all

    speed = virtual_pace(pace)
    topology = opened(file, load, learn)
    options = plan.options(
        topology, pace=speed, again=delivery == "at-least-once", drop=drop_orphans, chaos=chaos, **chosen
    )
    if faults is not None:
        topology = with_faults(topology, faults, options.duration)
    results = simulate_all(topology, options, out, check or shrink, repeats, jobs)
    failures = [each for each in results if isinstance(each, Failure)]
    for failure in failures:
        click.echo(f"error: seed {failure.seed}: {failure.why}", err=True)
        click.echo(
            f"replay: gmsr simulate {file} --seed {failure.seed} --check {_again(faults, chaos)}", err=True
        )
    if failures and shrink:
        for fault in shrunk(topology, options._replace(seed=failures[0].seed)):
            click.echo(f"still fails with: {fault.to_dict()}", err=True)
    summaries: list[dict[str, Any]] = [each for each in results if not isinstance(each, Failure)]
    _print(summaries, repeats, as_json)
    return 1 if failures else None


def _again(faults: Path | None, chaos: int | None) -> str:
    given = [f"--faults {faults}"] if faults else []
    return " ".join([*given, *([] if chaos is None else [f"--chaos {chaos}"])])


def _print(summaries: list[dict[str, Any]], repeats: int, as_json: bool) -> None:
    from ..world.repeats import pooled, table_of

    if repeats == 1:
        for summary in summaries:
            present(summary, as_json)
    elif as_json:
        emit({**pooled(summaries), "runs": summaries})
    else:
        click.echo(table_of(summaries))
