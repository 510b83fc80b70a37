"""``gmsr report RUN…``."""

from pathlib import Path

import click

from .options import AS_JSON, emit


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), help="HTML file to make [default: report.html in the first RUN]."
)  # fmt: skip
@AS_JSON
def command(runs: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
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
    size = len(html.encode())
    warnings = [
        f"{run.path}: not all of it can be shown: {problem}" for run in loaded for problem in run.problems
    ]
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        emit({"file": str(target), "bytes": size, "runs": [str(run) for run in runs], "warnings": warnings})
    else:
        click.echo(f"{target}: {size / 1e6:.1f} MB, {len(loaded)} run{'s' * (len(loaded) != 1)}")
