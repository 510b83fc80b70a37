"""``gmsr bench rivals``: published results on the rivals' own ground, measured here under virtual time.

Each is a claim of the rival's authors about unequal servers, and a system of ours that has what the claim is about.
It counts as reproduced if it holds with every seed. Sources, and what our model has not: docs/rivals.md.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from gmsr.topology import curves
from gmsr.topology.faults import Fault
from gmsr.topology.graph import Arrivals, Dispatcher, Edge, Server, Sizes, Topology

from .. import plan
from ..record.collect import collect
from ..record.folder import open_run
from ..record.text import table
from ..world.simulate import simulate
from ..world.spread import spread

Figures = Mapping[str, float]
"""Of a run: by name what it measured. Latencies in ms, shares of all jobs in %."""
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p97": 0.97, "p99": 0.99, "p99.9": 0.999}


class Trial(NamedTuple):
    """One row of a table."""

    name: str
    topology: Topology
    options: plan.Options


class Claim(NamedTuple):
    """What is published, and how we look."""

    rival: str
    claim: str
    source: str
    trials: tuple[Trial, ...]
    columns: tuple[str, ...]
    holds: Callable[[Mapping[str, Figures]], bool]  # by trial, with one seed


def claims() -> list[Claim]:
    """All of them, at full size."""
    return [peak_ewma(), q_rif(), rules(), dgd_lb()]


# -- peak-ewma: one slow server of eleven

QUICK_S, SLOW_S = 0.167, 2.0
BEYOND = "over 1 s"


def peak_ewma(rate: float = 1000.0) -> Claim:
    """Eleven servers that take 167 ms whatever their load; one of them takes 2 s for 30 s of the minute."""
    curve = curves.make({"kind": "multicore", "m": 1.0 / QUICK_S, "k": 1e6})
    servers = tuple(Server(f"s{number}", curve) for number in range(1, 12))
    topology = Topology(
        "one slow server",
        (Dispatcher("d1", rate),),
        servers,
        tuple(Edge("d1", server.id) for server in servers),
        arrivals=Arrivals("deterministic"),
        sizes=Sizes("lognormal", sigma=0.03),  # 5 ms of 167
        faults=(Fault("slow", 15.0, 45.0, agents=("s1",), factor=QUICK_S / SLOW_S),),
    )
    trials = tuple(
        Trial(policy, topology, plan.Options(policy, duration=60.0, warmup=0.0))
        for policy in ("round-robin", "least-inflight", "peak-ewma")
    )

    def holds(found: Mapping[str, Figures]) -> bool:
        robin, least, ewma = (found[trial.name] for trial in trials)
        quick = robin["p95"], least["p99"], ewma["p99.9"]
        slow = robin["p97"], least["p99.9"]
        return max(quick) < 1000.0 < min(slow)

    return Claim(
        "peak-ewma",
        "with one slow server of eleven, round robin is quick up to the 95th percentile, least loaded up to the 99th, "
        "peak-EWMA up to the 99.9th",
        "Jenson, Oanta, Beyond Round Robin: Load Balancing for Latency (Buoyant, 2016), figure",
        trials,
        ("p50", "p95", "p97", "p99", "p99.9", BEYOND),
        holds,
    )


# -- prequal: half the servers twice as fast

ALLOCATED, BURST = 4, 1.75
"""Cores that a server is allocated, and how far beyond that it can go: the paper's own loads go to 1.74."""
SPEED = 20.0
"""Jobs a second of a core of a fast server; a slow one's has half."""
FAST = "to fast ones"
FAST_ONES = {f"s{number}" for number in range(1, 1000, 2)}
STEPS, DEFAULT = ("0", "0.59", "0.84", "0.99", "1"), "0.84"
SETTLED_S, MEASURED_S = 1.0, 5.0
BLACKOUT_S = 12.0
"""Weighted round robin begins by its weights after 10 s."""


def mixed(load: float, clients: int, servers: int) -> Topology:
    """``load`` times what they are allocated. Odd servers are fast."""
    curve = {"kind": "multicore", "k": ALLOCATED * BURST}
    names = [f"s{number}" for number in range(1, servers + 1)]
    backs = tuple(
        Server(name, curves.make({**curve, "m": SPEED if name in FAST_ONES else SPEED / 2.0}))
        for name in names
    )
    rate = load * ALLOCATED * 0.75 * SPEED * servers
    fronts = tuple(Dispatcher(f"d{number}", rate / clients) for number in range(1, clients + 1))
    edges = tuple(Edge(front.id, back.id) for front in fronts for back in backs)
    return Topology(f"mixed {load:g}", fronts, backs, edges)


def _trial(name: str, topology: Topology, policy: str, seconds: float, feed: str = "") -> Trial:
    warmup = BLACKOUT_S if policy == "weighted-round-robin" else SETTLED_S
    return Trial(name, topology, plan.Options(policy, feed, duration=warmup + seconds, warmup=warmup))


def q_rif(
    clients: int = 20, servers: int = 40, seconds: float = MEASURED_S, steps: Sequence[str] = STEPS
) -> Claim:
    """Prequal with ever less heed to requests in flight (load 75 %)."""
    topology = mixed(0.75, clients, servers)
    trials = tuple(
        _trial(f"q_rif={step}", topology, "prequal" if step == DEFAULT else f"prequal:q_rif={step}", seconds)
        for step in steps
    )

    def holds(found: Mapping[str, Figures]) -> bool:
        rising = [found[f"q_rif={step}"] for step in steps if step <= DEFAULT]
        return rising[0][FAST] < rising[-1][FAST] and all(
            rising[-1][quantile] < rising[0][quantile] for quantile in ("p50", "p90", "p99")
        )

    return Claim(
        "prequal",
        "half the servers twice as fast: p50, p90 and p99 fall as q_rif rises from 0 (RIF alone) towards 0.99, "
        "and fast servers get more",
        "Wydrowski et al., Load is not what you should balance (NSDI 2024), section 5.3, figure 9",
        trials,
        ("p50", "p90", "p99", "p99.9", FAST),
        holds,
    )


def rules(clients: int = 20, servers: int = 40, seconds: float = MEASURED_S) -> Claim:
    """Prequal beside those of the paper's rules that we have, at two loads."""
    others = ("random", "round-robin", "weighted-round-robin", "least-inflight", "least-request", "p2c")
    loads = (0.7, 0.9)
    trials = tuple(
        _trial(
            f"{policy}, {load:.0%}",
            mixed(load, clients, servers),
            policy,
            seconds,
            "periodic:every=0.5" if policy == "p2c" else "",  # as they let YARP ask
        )
        for load in loads
        for policy in (*others, "prequal")
    )

    def holds(found: Mapping[str, Figures]) -> bool:
        return all(
            found[f"prequal, {load:.0%}"][quantile] < found[f"{other}, {load:.0%}"][quantile]
            for load in loads
            for other in others
            for quantile in ("p90", "p99")
        )

    return Claim(
        "prequal",
        "p90 and p99 are lower than with random, round robin, weighted round robin, least loaded, least loaded of two, "
        "and two by polled requests in flight, at 70 % and at 90 % of the allocation",
        "Wydrowski et al., section 5.2, figure 7",
        trials,
        ("p50", "p90", "p99"),
        holds,
    )


# -- dgd-lb: the servers are far from the demand

RATIO = "over the optimum"
FAR_S = (0.02, 0.5, 2.0)
NEARSIGHTED = ("gmsr", "least-latency", "jsq")
NEAR_ENOUGH, SUBSTANTIAL = 1.2, 1.1


def regions(far: float) -> Topology:
    """Two regions with a dispatcher and two unequal servers each, ``far`` apart. Demand is where servers are few."""
    sizes = {"east": (6.0, 3.0), "west": (2.0, 1.0)}
    servers = {
        f"{region}{number}": curves.make({"kind": "hyperbolic", "a": size, "b": size / 2.0})
        for region, both in sizes.items()
        for number, size in enumerate(both, 1)
    }
    rate = 0.75 * sum(map(sum, sizes.values()))
    return Topology(
        f"{far:g} s apart",
        (Dispatcher("east", 0.25 * rate), Dispatcher("west", 0.75 * rate)),
        tuple(Server(name, curve) for name, curve in servers.items()),
        tuple(
            Edge(region, name, 0.0 if name[:-1] == region else far) for region in sizes for name in servers
        ),
    )


def _settled(far: float) -> float:
    """Its steps are in proportion to what is paid, travel included."""
    return 30.0 + 65.0 * far


def dgd_lb(
    scale: float = 10.0, distances: Sequence[float] = FAR_S, others: Sequence[str] = NEARSIGHTED
) -> Claim:
    """DGD-LB beside rules that do not know of distances, as these grow."""
    trials = tuple(
        Trial(
            f"{policy}, {far:g} s",
            regions(far),
            plan.Options(policy, duration=2.0 * _settled(far), warmup=_settled(far), scale=scale),
        )
        for far in distances
        for policy in (*others, "dgd-lb")
    )

    def holds(found: Mapping[str, Figures]) -> bool:
        ours = {far: found[f"dgd-lb, {far:g} s"][RATIO] for far in distances}
        least = min(found[f"{other}, {distances[-1]:g} s"][RATIO] for other in others)
        return max(ours.values()) < NEAR_ENOUGH and least > SUBSTANTIAL * ours[distances[-1]]

    return Claim(
        "dgd-lb",
        "it converges to the central optimum, travel included, and gains substantially over other balancers where "
        "network latencies are large",
        "Balseiro, Mirrokni, Wydrowski, Load Balancing with Network Latencies via Distributed Gradient Descent, "
        "arXiv 2504.10693, abstract",
        trials,
        ("mean", "p99", RATIO),
        holds,
    )


# -- all of them


def measure(looked_at: Sequence[Claim], repeats: int) -> list[dict[str, Any]]:
    """For each claim: rival, claim, source, ``figures`` (by trial, means over seeds), whether it is reproduced."""
    runs = [
        Trial(trial.name, trial.topology, trial.options._replace(seed=seed))
        for claim in looked_at
        for seed in range(1, repeats + 1)
        for trial in claim.trials
    ]
    figures = iter(list(spread(figures_of, runs, None)))
    found = []
    for claim in looked_at:
        by_seed = [{trial.name: next(figures) for trial in claim.trials} for _ in range(repeats)]
        found.append(
            {
                "rival": claim.rival,
                "claim": claim.claim,
                "source": claim.source,
                "figures": {
                    trial.name: {
                        column: fmean(seed[trial.name][column] for seed in by_seed)
                        for column in claim.columns
                    }
                    for trial in claim.trials
                },
                "reproduced": all(map(claim.holds, by_seed)),
            }
        )
    return found


def figures_of(trial: Trial) -> Figures:
    """One run under virtual time; jobs that arrived after the warm-up, and are done."""
    with tempfile.TemporaryDirectory(prefix="gmsr-bench-") as folder:
        summary = simulate(trial.topology, trial.options, Path(folder) / "run")
        found = collect(open_run(Path(folder) / "run"))
    jobs = found.jobs
    done = (jobs["arrival"] >= trial.options.warmup) & ~np.isnan(jobs["latency"])
    latency = 1e3 * jobs["latency"][done]
    fast = [number for number, name in enumerate(found.servers) if name in FAST_ONES]
    return {
        **{name: float(np.quantile(latency, share)) for name, share in QUANTILES.items()},
        "mean": float(latency.mean()),
        BEYOND: 100.0 * float((latency > 1e3).mean()),
        FAST: 100.0 * float(np.isin(jobs["server"][done], fast).mean()),
        RATIO: summary["ratio"] or float("nan"),
    }


def text(found: Sequence[Mapping[str, Any]]) -> str:
    """For each claim its words, its figures, and the verdict."""
    lines = []
    for each in found:
        columns = list(next(iter(each["figures"].values())))
        rows = [
            [name, *(_shown(column, figures[column]) for column in columns)]
            for name, figures in each["figures"].items()
        ]
        verdict = "reproduced" if each["reproduced"] else "NOT reproduced"
        lines += [
            f"{each['rival']}: {each['claim']}",
            f"({each['source']})",
            "",
            *table(["policy", *columns], rows),
            "",
            verdict,
            "",
        ]
    return "\n".join(lines[:-1])


def _shown(column: str, value: float) -> str:
    if column in (BEYOND, FAST):
        return f"{value:.2f} %"
    return f"{value:.3f}" if column == RATIO else f"{value:.0f} ms"
