"""``gmsr slotted FILE``."""

from pathlib import Path

import click

from .options import AS_JSON, FILE, PLOT, announce, emit, opened


@click.command()
@FILE
@click.option("--scale", default="1,10,100,1000", show_default=True, help="Scales n, rising.")
@click.option("--policy", default="gmsr", show_default=True, help="NAME, with options as NAME:ties=….")
@click.option(
    "--from", "start", default="", help="Workloads to start from: N, or N1,N2,…, or id=N,…  [default: 0]"
)
@click.option("--load", type=float, help="Scale rates (or a trace's speed) to this load factor.")
@click.option("--duration", type=float, help="Emulated seconds [default: until the fluid path has settled].")
@click.option("--repeats", default=5, show_default=True, help="Runs at each scale, with consecutive seeds.")
@click.option("--seed", default=1, show_default=True)
@PLOT
@AS_JSON
def command(
    file: str, scale: str, policy: str, start: str, load: float | None, duration: float | None, repeats: int,
    seed: int, plot: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """The paper's slotted stochastic model of the topology FILE, and its distance to the fluid limit, by scale."""
    from gmsr.topology.errors import UserError

    from ..show.figure import writable
    from ..theory.slotted import approach, scales, text

    if duration is not None and not 0.0 < duration < float("inf"):
        raise UserError(f"--duration: {duration:g} must be a number > 0")
    if not 1 <= repeats <= 1000:
        raise UserError(f"--repeats: {repeats} must be from 1 to 1000")
    if seed < 0:
        raise UserError(f"--seed: {seed} must not be negative")
    writable(plot)
    ladder = scales(scale)
    announce("slotted.run")
    found = approach(opened(file, load), ladder, policy, start, duration, seed, repeats)
    if plot:
        from ..show.approach import draw

        draw(found, plot)
    if as_json:
        emit(found)
        return
    click.echo(text(found))
    if plot:
        click.echo(f"\n{plot}: drawn")
