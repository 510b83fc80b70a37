"""``gmsr audit RUN``, ``gmsr audit --kill FILE``."""

from pathlib import Path

import click

from .options import AS_JSON, emit


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--kill", is_flag=True, help="RUN is a topology file: run it, kill telemetry and launcher in mid-run."
)
@click.option("--policy", default="gmsr", show_default=True, help="Of --kill.")
@click.option("--duration", type=click.FloatRange(1.0), default=120.0, show_default=True, help="Of --kill.")
@click.option("--warmup", type=click.FloatRange(0.0), default=20.0, show_default=True, help="Of --kill.")
@click.option("--pace", type=click.FloatRange(0.01), default=10.0, show_default=True, help="Of --kill.")
@click.option("--out", type=click.Path(path_type=Path), help="Run directory of --kill [default: runs/…].")
@AS_JSON
def command(
    run: Path,
    kill: bool,
    policy: str,
    duration: float,
    warmup: float,
    pace: float,
    out: Path | None,
    as_json: bool,
) -> int | None:
    """Prove that nobody is in charge of RUN, a run directory: of one that goes on, or has ended.

    From the kernel's tables, each agent's connections are its edges; from the counters, no message went anywhere else;
    from the bytes, a dispatcher learned what its policy reads and no more.
    """
    if kill:
        return _experiment(str(run), policy, duration, warmup, pace, out, as_json)
    from ..audit import proof
    from ..audit.now import seen_now

    found = proof.prove(run, seen_now(run))
    if as_json:
        emit({**found._asdict(), "holds": found.holds})
    else:
        click.echo(proof.text(found))
    return None if found.holds else 1


def _experiment(
    file: str, policy: str, duration: float, warmup: float, pace: float, out: Path | None, as_json: bool
) -> int | None:
    from gmsr.topology.errors import UserError
    from gmsr.topology.files import load

    from ..audit import killing
    from ..run_dir import fresh_name

    if not warmup < duration:
        raise UserError(f"--warmup: {warmup:g} s leaves nothing of {duration:g} s; make it shorter")
    run_dir = out or Path("runs") / fresh_name(load(file).topology, "audit")
    if run_dir.exists():
        raise UserError(f"--out: {run_dir} exists; name a new folder, nothing is overwritten")
    outcome = killing.experiment(file, run_dir, duration, warmup, pace, policy)
    if as_json:
        emit(killing.as_plain(outcome))
    else:
        click.echo(killing.text(outcome))
    return None if outcome.same and outcome.ended and outcome.valid else 1
