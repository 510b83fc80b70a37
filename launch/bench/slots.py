"""The half of ``gmsr bench theory`` on the slotted model: what a slot costs, and how many jobs a second that is.

Two yardsticks of the same run. A bare pass: numpy sums, once each, all arrays that every slot reads or writes from end
to end. Left out are the accounts of edges and the tables of arrivals, of which a slot touches a line a dispatcher. And
SimPy, on ten servers with join-the-shortest-queue, one job at a time in both.
"""

import time
from collections.abc import Callable, Generator
from random import Random
from statistics import median
from typing import Any

import click
import numpy as np

from gmsr.topology.curves import Hyperbolic, Multicore
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Server
from gmsr.topology.theory.fleet import Floats, fleet
from gmsr.topology.theory.network import from_pairs
from gmsr.topology.theory.slotted import Plan, prepare, run, simulate

from ..record.text import number, table

EDGES = (10_000, 100_000, 1_000_000)
DEGREE = 50
SLOTS = {10_000: 2_000, 100_000: 200, 1_000_000: 30}
REPEATS = 9
QUEUES, LOAD = 10, 0.8
SLOWNESS = 8.0
"""Slots that a job takes at a server: LOAD · QUEUES / SLOWNESS jobs arrive in a slot, most of them on a fresh view."""
OUR_SLOTS = 1_000_000
THEIR_JOBS = 20_000


def measure() -> dict[str, Any]:
    """Microseconds a slot by number of edges, on one core and on all; ratios to the bare pass and to SimPy."""
    rows = [_size(edges) for edges in EDGES]
    click.echo("ten queues, beside SimPy", err=True)
    pairs = [(_our_rate(), simpy_rate()) for _ in range(3)]
    return {
        "sizes": rows,
        "ratio_bare": rows[-1]["ratio"],
        "jobs_per_s": median(ours for ours, _ in pairs),
        "simpy_jobs_per_s": median(theirs for _, theirs in pairs),
        "ratio_simpy": median(ours / theirs for ours, theirs in pairs),
    }


def _size(edges: int) -> dict[str, Any]:
    """One size. Bare pass and slots take turns, so that both meet the same machine."""
    click.echo(f"slotted model, {edges} edges", err=True)
    slots = SLOTS[edges]
    plan, volume = random_plan(edges, slots)
    for wide in (False, True):
        run(plan, wide)  # compiled, and arrays in place
    spent: dict[str, list[float]] = {"bare": [], "one": [], "all": []}
    for _ in range(REPEATS):
        spent["bare"].append(_timed(lambda: bare_pass(plan)))
        spent["one"].append(_timed(lambda: run(plan, False)) / slots)
        spent["all"].append(_timed(lambda: run(plan, True)) / slots)
    one, every = median(spent["one"]), median(spent["all"])
    return {
        "edges": edges,
        "slot_us": 1e6 * min(one, every),
        "slot_us_one_core": 1e6 * one,
        "slot_us_all_cores": 1e6 * every,
        "bare_us": 1e6 * median(spent["bare"]),
        "ratio": min(one, every) / median(spent["bare"]),
        "jobs_per_s": volume / min(one, every),
    }


def random_plan(edges: int, slots: int) -> tuple[Plan, float]:
    """GMSR on as many hyperbolic servers as dispatchers, and the jobs in a slot, of which nearly all get some."""
    random = np.random.default_rng(1)
    count = edges // DEGREE
    net = from_pairs(np.repeat(np.arange(count), DEGREE), random.integers(0, count, edges), count, count)
    sizes, widths = random.uniform(8.0, 16.0, count), random.uniform(1.0, 3.0, count)
    servers = [
        Server(f"s{j}", Hyperbolic(float(a), float(b)))
        for j, (a, b) in enumerate(zip(sizes, widths, strict=True))
    ]
    demand = random.uniform(4.0, 8.0, count)
    scale = 100.0
    plan, _ = prepare(
        net, fleet(servers), demand, "gmsr", "inflight", None, scale, slots / scale, 0.0, None, 1, 2, "poisson", None
    )  # fmt: skip
    return plan, float(demand.sum())


def bare_pass(plan: Plan) -> float:
    """Sum every array that each slot goes through."""
    state, stream, curves = plan.state, plan.stream, plan.fleet
    arrays = (
        state.first, state.server, state.jobs, state.choice, stream.mean, stream.mode, stream.chance, stream.upto,
        state.work, state.done, state.score, state.total, state.served, state.unit, state.age,
        curves.kind, curves.a, curves.b, curves.width,
    )  # fmt: skip
    return float(sum(array.sum() for array in arrays))


def _timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _our_rate() -> float:
    """Jobs a second of the slotted model, one dispatcher and ten equal servers, a job of size 1 at a time."""
    servers = [Server(f"s{j}", Multicore(1.0 / SLOWNESS, 1)) for j in range(QUEUES)]
    net = from_pairs(np.zeros(QUEUES, np.int64), np.arange(QUEUES), 1, QUEUES)
    demand: Floats = np.array([LOAD * QUEUES / SLOWNESS])
    curves = fleet(servers, smoothed=False)
    simulate(net, curves, demand, "jsq", duration=10.0)
    return (
        float(demand[0])
        * OUR_SLOTS
        / _timed(lambda: simulate(net, curves, demand, "jsq", duration=OUR_SLOTS))
    )


def simpy_rate() -> float:
    """Jobs a second of SimPy: Poisson arrivals, exponential service, first come first served. Raises UserError."""
    try:
        import simpy
    except ImportError as error:
        raise UserError("bench theory: SimPy is missing; install the extra 'dev', or simpy itself") from error
    env = simpy.Environment()
    queues = [simpy.Resource(env) for _ in range(QUEUES)]
    held = [0] * QUEUES
    random = Random(1)

    def job(j: int) -> Generator[simpy.Event, Any, None]:
        with queues[j].request() as turn:
            yield turn
            yield env.timeout(random.expovariate(1.0))
        held[j] -= 1

    def arrivals() -> Generator[simpy.Event, Any, None]:
        for _ in range(THEIR_JOBS):
            yield env.timeout(random.expovariate(LOAD * QUEUES))
            least = min(held)
            j = random.choice([j for j in range(QUEUES) if held[j] == least])
            held[j] += 1
            env.process(job(j))

    env.process(arrivals())
    return THEIR_JOBS / _timed(env.run)


def text(found: dict[str, Any]) -> str:
    """A table, and the two yardsticks."""
    rows = [
        [
            f"{row['edges']:,} edges",
            *(number(row[key], 3) for key in ("slot_us_one_core", "slot_us_all_cores", "bare_us", "ratio")),
            f"{1e3 * row['slot_us'] / row['edges']:.2f}",
            f"{row['jobs_per_s'] / 1e6:.3g}",
        ]
        for row in found["sizes"]
    ]
    heads = ["slot of", "µs, one core", "µs, all", "bare pass, µs", "ratio", "ns an edge", "million jobs/s"]
    return "\n".join(
        [
            *table(heads, rows),
            f"ten queues, jsq: {found['jobs_per_s']:,.0f} jobs/s; SimPy {found['simpy_jobs_per_s']:,.0f} jobs/s; "
            f"ratio {found['ratio_simpy']:.0f} (medians of 3 pairs)",
        ]
    )
