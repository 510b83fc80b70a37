"""``gmsr trace fit | new | show``."""

from pathlib import Path

import click

from .options import AS_JSON, emit


@click.group()
def command() -> None:
    """Fit a model to a trace of requests, and draw synthetic traces from it."""


@command.command()
@click.argument("trace", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Model file to make (JSON).")
@click.option("--origin", default="", help="Where the trace comes from, to stand in the model.")
def fit(trace: Path, out: Path, origin: str) -> None:
    """Fit a model to TRACE (Azure format: TIMESTAMP,ContextTokens,GeneratedTokens)."""
    from .. import trace_model, traces

    trace_model.save(out, trace_model.fit(traces.read(trace)), origin)
    click.echo(f"{out}: written")


@command.command()
@click.option("--model", type=click.Path(path_type=Path), help="Model file [default: the packaged one].")
@click.option("--requests", default=8000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Trace to make (CSV).")
def new(model: Path | None, requests: int, seed: int, out: Path) -> None:
    """Draw a synthetic trace."""
    from gmsr.topology.errors import UserError

    from .. import packaged, trace_model, traces

    if requests < 2:
        raise UserError("--requests: a trace needs 2 or more")
    fitted = trace_model.load(model or packaged.folder() / "llm-trace-model.json")
    if out.exists():
        raise UserError(f"--out: {out} exists; name a file that does not, nothing is overwritten")
    traces.write(out, trace_model.generate(fitted, requests, seed), trace_model.BEGIN)
    click.echo(f"{out}: {requests} requests written")


@command.command()
@click.argument("trace", type=click.Path(path_type=Path))
@AS_JSON
def show(trace: Path, as_json: bool) -> None:
    """Print rate, sizes and burstiness of TRACE."""
    from .. import traces

    found = traces.statistics(traces.read(trace))
    if as_json:
        emit(found)
        return
    for name, value in found.items():
        click.echo(f"{name:24} {value:.6g}")
