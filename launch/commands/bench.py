"""``gmsr bench …``: one command a figure."""

from pathlib import Path

import click

from .options import AS_JSON, PLOT, emit


@click.group()
def command() -> None:
    """Figures of speed and exactness, each beside a yardstick of the same run."""


@command.command()
@click.option(
    "--repeats", default=3, show_default=True, help="Pairs of testbed and echo at the highest rate."
)
@AS_JSON
def throughput(repeats: int, as_json: bool) -> None:
    """Jobs per second of 4 dispatchers and 8 servers, beside a bare pyzmq echo."""
    from gmsr.topology.errors import UserError

    from ..bench.fleet import measure, text

    if repeats < 1:
        raise UserError("--repeats: must be 1 or more")
    found = measure(repeats)
    emit(found) if as_json else click.echo(text(found))


@command.command()
@AS_JSON
def startup(as_json: bool) -> None:
    """Time until 200 and 1,000 agents are ready, and their memory."""
    from ..bench.crowd import measure, text

    rows = measure()
    emit(rows) if as_json else click.echo(text(rows))


@command.command()
@click.option(
    "--minutes", default=5.0, show_default=True, help="Real minutes for each of three laws of sizes."
)
@AS_JSON
def chains(minutes: float, as_json: bool) -> None:
    """One server of each curve kind at two loads, against the exact birth-death chain."""
    from gmsr.topology.errors import UserError

    from ..bench.chains import measure, text

    if not 0.0 < minutes < 1e4:
        raise UserError("--minutes: must be a number > 0")
    rows = measure(minutes)
    emit(rows) if as_json else click.echo(text(rows))


@command.command()
@click.option("--seconds", default=30.0, show_default=True, help="Real seconds of each of twenty runs.")
@AS_JSON
def smoothing(seconds: float, as_json: bool) -> None:
    """Mean latency over the optimum, by the window that servers smooth their marginal over."""
    from gmsr.topology.errors import UserError

    from ..bench.smoothing import measure, text

    if not 0.0 < seconds < 1e4:
        raise UserError("--seconds: must be a number > 0")
    rows = measure(seconds)
    emit(rows) if as_json else click.echo(text(rows))


@command.command()
@AS_JSON
def theory(as_json: bool) -> None:
    """Optima of large graphs, and the slotted model beside a bare pass over its arrays and beside SimPy."""
    from ..bench import optima, slots

    found = {**optima.measure(), "slotted": slots.measure()}
    emit(found) if as_json else click.echo(f"{optima.text(found)}\n\n{slots.text(found['slotted'])}")


@command.command()
@click.option("--processes", is_flag=True, help="At P = 4 also in real processes: four minutes more.")
@AS_JSON
def naive(processes: bool, as_json: bool) -> None:
    """Families on which naive policies fail: ratios to the optimum by formula, in the models, in processes."""
    from ..bench.naive import measure, text

    rows = measure(processes)
    emit(rows) if as_json else click.echo(text(rows))


@command.command()
@AS_JSON
def world(as_json: bool) -> None:
    """Jobs per second of the deterministic world, beside SimPy on the same system."""
    from ..bench.world import measure, text

    found = measure()
    emit(found) if as_json else click.echo(text(found))


@command.command()
@click.option("--runs", type=click.IntRange(1), default=50, show_default=True, help="Runs in a row.")
@click.option(
    "--seconds", type=click.FloatRange(5.0), default=30.0, show_default=True, help="Real seconds of each."
)
@click.option("--first", type=int, default=1, show_default=True, help="Seed of the first; the others follow.")
@AS_JSON
def chaos(runs: int, seconds: float, first: int, as_json: bool) -> int | None:
    """Live runs under random faults: each must end valid and leave nothing behind."""
    from ..bench.chaos import measure, text

    rows = measure(runs, seconds, first)
    emit(rows) if as_json else click.echo(text(rows))
    return None if all(row["valid"] and not row["left_behind"] for row in rows) else 1


@command.command()
@click.option("--minutes", type=click.FloatRange(1.0), default=30.0, show_default=True, help="How long.")
@click.option("--rate", type=click.FloatRange(1.0), default=1000.0, show_default=True, help="Jobs a second.")
@AS_JSON
def endurance(minutes: float, rate: float, as_json: bool) -> int | None:
    """Private memory of every agent over a long run, and whether anything is lost."""
    from ..bench import patience

    found = patience.endurance(minutes, rate)
    emit(found) if as_json else click.echo(patience.endurance_text(found))
    return None if found["flat"] and found["valid"] and not found["lost"] else 1


@command.command()
@click.option("--minutes", type=click.FloatRange(1.0), default=60.0, show_default=True, help="How long.")
@AS_JSON
def alarms(minutes: float, as_json: bool) -> int | None:
    """False alarms in a long run at the highest rate that this machine carries: there should be none."""
    from ..bench import patience

    found = patience.alarms(minutes)
    emit(found) if as_json else click.echo(patience.alarms_text(found))
    return None if found["alarms"] == 0 else 1


@command.command()
@AS_JSON
def crash(as_json: bool) -> None:
    """The main demo's fleet loses a server: when it is noticed, what is lost, when it is over."""
    from ..bench.crash import measure, text

    rows = measure()
    emit(rows) if as_json else click.echo(text(rows))


@command.command()
@click.option(
    "--seconds", type=click.FloatRange(10.0), default=200.0, show_default=True, help="Emulated, of each run."
)
@click.option("--repeats", type=click.IntRange(1), default=4, show_default=True, help="Seeds of each.")
@AS_JSON
def herding(seconds: float, repeats: int, as_json: bool) -> None:
    """Latency against the age of views, with 4 and with 40 dispatchers, and what damps the herd."""
    from ..bench.herding import measure, text

    rows = measure(seconds, repeats)
    emit(rows) if as_json else click.echo(text(rows))


@command.command()
@click.option(
    "--hosts", type=click.Path(path_type=Path), help="An inventory: also start and collect 60 agents there."
)
@click.option(
    "--minutes", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Of the run on --hosts."
)
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="Pairs of ipc and tcp.")
@AS_JSON
def hosts(hosts: Path | None, minutes: float, repeats: int, as_json: bool) -> None:
    """TCP with CURVE beside ipc: jobs a second, CPU a job, round trip; and how fast hosts start and are collected."""
    from ..bench.hosts import measure, text

    found = measure(hosts, minutes, repeats)
    emit(found) if as_json else click.echo(text(found))


@command.command()
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True, help="Pairs of runs.")
@AS_JSON
def watching(repeats: int, as_json: bool) -> None:
    """The agents' CPU a job with and without the live views: being watched should cost them nothing."""
    from ..bench.watching import measure, text

    found = measure(repeats)
    emit(found) if as_json else click.echo(text(found))


@command.command()
@click.option("--seconds", type=click.FloatRange(5.0), default=30.0, show_default=True, help="Real seconds.")
@AS_JSON
def delays(seconds: float, as_json: bool) -> None:
    """Round trips on edges with delays, beside what the topology says."""
    from ..bench.delays import measure, text

    rows = measure(seconds)
    emit(rows) if as_json else click.echo(text(rows))


@command.command()
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="Seeds of each.")
@AS_JSON
def feeds(repeats: int, as_json: bool) -> None:
    """GMSR's own feed beside a report of every change, over the packaged topologies: latency and messages."""
    from ..bench.feeds import measure, text

    rows = measure(repeats)
    emit(rows) if as_json else click.echo(text(rows))


@command.command()
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="Seeds of each.")
@AS_JSON
def rivals(repeats: int, as_json: bool) -> int | None:
    """Published results of Prequal, peak-EWMA and DGD-LB on unequal servers: are they reproduced?"""
    from ..bench.rivals import claims, measure, text

    found = measure(claims(), repeats)
    emit(found) if as_json else click.echo(text(found))
    return None if all(each["reproduced"] for each in found) else 1


@command.command()
@click.option("--policies", default="", help="Names, separated by commas [default: all].")
@AS_JSON
def policies(policies: str, as_json: bool) -> None:
    """What choosing a server costs, by policy, with 10, 100 and 1,000 servers."""
    from gmsr.agents.policies import POLICIES
    from gmsr.topology.errors import UserError

    from ..bench.policies import measure, text

    names = policies.split(",") if policies else list(POLICIES)
    for name in names:
        if name not in POLICIES:
            raise UserError(f"--policies: {name!r} is unknown; choose among {', '.join(POLICIES)}")
    rows = measure(names)
    emit(rows) if as_json else click.echo(text(rows))


@command.command()
@click.option("--seeds", type=click.IntRange(1), default=6, show_default=True, help="Runs of each kind.")
@click.option("--live", is_flag=True, help="In real processes, one after the other: 90 s each.")
@PLOT
@AS_JSON
def learning(seeds: int, live: bool, plot: Path | None, as_json: bool) -> None:
    """Latency with learned curves over that with true ones, from nothing, and after a curve has changed."""
    from ..bench.learning import measure, text
    from ..show.figure import writable

    writable(plot)
    found = measure(seeds, live)
    if plot is not None:
        from ..show.learning import draw

        draw(found, plot)
    emit(found) if as_json else click.echo(text(found))
