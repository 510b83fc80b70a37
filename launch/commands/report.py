"""``gmsr report RUN…``."""

from pathlib import Path

import click


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), help="HTML file to make [default: report.html in the first RUN]."
)  # fmt: skip
def command(runs: tuple[Path, ...], out: Path | None) -> None:
    """Write one HTML file that shows the run directories RUN, alone or side by side.

    It opens offline and fetches nothing: the graph, latency and its tail, ΣN and its gap to the optimum, marginals,
    splits, messages, faults, fidelity, how to do it again, and all tables as CSV.
    """
    from ..record.load import load
    from ..show.figure import fresh
    from ..show.report import page, write

    target = out or runs[0] / "report.html"
    loaded = [load(run) for run in runs]
    fresh(target, "--out")
    html = page(loaded)
    write(html, target)
    for run in loaded:
        for problem in run.problems:
            click.echo(f"warning: {run.path}: not all of it can be shown: {problem}", err=True)
    click.echo(f"{target}: {len(html.encode()) / 1e6:.1f} MB, {len(loaded)} run{'s' * (len(loaded) != 1)}")
