"""``gmsr plot RUN…``."""

from pathlib import Path

import click

from .options import AS_JSON, emit, words

WHAT = ("latency", "tail", "workload", "over-time", "marginals", "servers", "splits")
"""As ``show.plots.PANELS``, which takes numpy to load."""


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--what", default="workload,tail", show_default=True, callback=words,
    help=f"Panels side by side, separated by commas: {', '.join(WHAT)}.",
)  # fmt: skip
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), default=Path("plot.pdf"), show_default=True,
    help="A .pdf, .svg or .png file to make.",
)  # fmt: skip
@AS_JSON
def command(runs: tuple[Path, ...], what: list[str], out: Path, as_json: bool) -> None:
    """Plot the run directories RUN for a paper, each in a colour of its own.

    latency: distribution. tail: its complement, logarithmic. workload: ΣN beside the optimum. over-time: mean latency.
    Of one run: marginals and workloads of servers over time, splits by dispatcher.
    """
    from gmsr.topology.errors import UserError

    from ..record.load import load
    from ..show.figure import writable
    from ..show.plots import draw
    from ..show.shown import labelled

    for name in what:
        if name not in WHAT:
            raise UserError(f"--what: {name!r} is unknown; choose from {', '.join(WHAT)}")
    writable(out, "--out")
    draw(labelled([load(run) for run in runs]), what, out)
    if as_json:
        emit(
            {"file": str(out), "bytes": out.stat().st_size, "runs": [str(run) for run in runs], "what": what}
        )
    else:
        click.echo(f"{out}: drawn")
