"""The summary of a run: a pure function of its directory. Fields as in INTERFACE, and a few beside them."""

from pathlib import Path
from typing import Any

import numpy as np

from gmsr.agents.journal import COMPLETED, IN_FLIGHT, LOST
from gmsr.broker.census import STAMP, unstamped

from ..demand import Demand
from ..faults.diary import episodes
from ..faults.recovery import effects, optima
from . import account, feeding, fidelity, overload
from .collect import Collected, collect, ended, life_name, lost_cause
from .folder import Folder, open_run, write_json
from .intervals import interval, trend
from .learned import learned

FIELDS = (
    "policy", "feed", "seed", "scale", "pace", "duration", "warmup", "run_dir", "measured", "settled", "valid",
    "decentralised", "warnings", "jobs", "resent", "strays", "faults", "optima", "latency", "workload", "throughput",
    "by_dispatcher", "by_server", "messages", "views", "fidelity", "optimum", "ratio", "overload", "ready_real_s",
)  # fmt: skip
"""Of every summary; one that lacks some is of another version."""
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


def summarise(run_dir: Path) -> dict[str, Any]:
    """Collect the journals, work everything out, write messages.json and summary.json, return the summary.

    Raises UserError if ``run_dir`` is no run, or a damaged one.
    """
    folder = open_run(run_dir)
    run = collect(folder)
    summary = _Summary(folder, run).make()
    counts = {"agents": account.censuses(run.statements), "differences": account.edges_agree(folder, run)}
    write_json(run_dir / "messages.json", counts)
    write_json(run_dir / "summary.json", summary)
    return summary


class _Summary:
    """Works the figures out; the measured time is [begin, end) in emulated seconds.

    ``rows`` are numbers of jobs' rows in the order of arrival: of all, or of one dispatcher.
    """

    def __init__(self, folder: Folder, run: Collected) -> None:
        self.folder = folder
        self.run = run
        jobs, visits = run.jobs, run.visits
        self.end = folder.end(float(jobs["arrival"].max(initial=0.0)))
        self.begin = min(folder.plan["warmup"], self.end)
        self.span = self.end - self.begin
        self.scale = folder.plan["scale"]
        self.offered = jobs["arrival"] < self.end
        self.measured = self.offered & (jobs["arrival"] >= self.begin)
        self.done = self.measured & (jobs["state"] == COMPLETED)
        self.rows = np.argsort(jobs["arrival"], kind="stable")
        self.latencies = jobs["latency"][self.rows[self.done[self.rows]]]
        # What departed in the measured time, by server: jobs, and volume per second.
        inside = (visits["departed"] >= self.begin) & (visits["departed"] < self.end)
        servers, count = visits["server"][inside], len(run.servers)
        self.departed = np.bincount(servers, minlength=count)
        self.throughput = (
            np.bincount(servers, visits["size"][inside], count) / self.scale / (self.span or 1.0)
        )

    def make(self) -> dict[str, Any]:
        plan = self.folder.plan
        jobs = self._jobs(self.rows)
        latency = _latency(self.latencies)
        broken = account.violations(self.folder, self.run)
        cut_short = self._cut_short()
        broken += cut_short
        drifting = trend(self.latencies)
        launch = self.folder.launch
        trust = self._fidelity(latency["mean"])
        optimum, excess, why_not = self._optimum()
        warnings = [f"not valid: {line}" for line in broken]
        warnings += fidelity.warnings(
            trust,
            self._cores(),
            jobs,
            drifting,
            plan["pace"],
            self._untold(),
            _noise(latency),
        )
        in_charge = self._in_charge()
        warnings += why_not + self._deaths() + [f"not decentralised: {line}" for line in in_charge or ()]
        warnings += fidelity.of_clocks(self.folder.hosts, plan["pace"], latency["mean"])
        if launch is None and not cut_short:
            warnings.append("the launcher did not live to see the end: how much CPU agents used is not known")
        ratio = latency["mean"] / optimum["latency"] if optimum and latency["mean"] is not None else None
        return {
            **{key: plan[key] for key in ("policy", "feed", "seed", "scale", "pace", "duration", "warmup")},
            "run_dir": str(self.folder.path),
            "measured": [self.begin, self.end],
            "settled": not drifting,
            "valid": not broken,
            "decentralised": None if in_charge is None else not in_charge,
            "warnings": warnings,
            "jobs": jobs,
            "resent": len(self.run.given_up["job"]),
            "strays": sum(each.get("strays", 0) for each in self.run.statements.values()),
            "faults": effects(self.folder, self.run, self._demand().volume, self.end),
            "optima": optima(self.folder, self.run, self._demand().volume, self.end),
            "latency": latency,
            "workload": self._workload(),
            "throughput": float(self.throughput.sum()),
            "by_dispatcher": self._by_dispatcher(),
            "by_server": self._by_server(),
            "messages": self._messages(),
            "views": feeding.ages(self.run),
            "learned": learned(self.folder, self.run, self.end),
            "fidelity": trust,
            "optimum": optimum,
            "ratio": ratio,
            "overload": excess,
            "ready_real_s": launch["ready_real_s"] if launch else None,
            "hosts": self.folder.hosts,
        }

    def _cores(self) -> int:
        launch, hosts = self.folder.launch, self.folder.hosts
        if hosts:
            return sum(each["cores"] for each in hosts.values())
        return (launch["machine"]["cores"] if launch else None) or 1

    def _in_charge(self) -> list[str] | None:
        """What speaks against nobody's being in charge (``audit.proof``); None if the kernel was not asked."""
        from ..audit import proof

        seen = proof.kept(self.folder.path)
        return None if seen is None else [*seen["contradictions"], *proof.by_counters(self.folder, self.run)]

    def _deaths(self) -> list[str]:
        return [
            f"{life_name(each.agents[0], each.life)} was killed by {each.why} at {each.t:.3g} s, and no fault was "
            "to do that"
            for each in self.folder.happenings
            if each.event == "died" and each.by == "unknown"
        ]

    def _cut_short(self) -> list[str]:
        launch = self.folder.launch
        if launch is None:
            ends = {name: statement["end"] for name, statement in self.run.statements.items()}
            dead = {life_name(*death) for death in self.folder.deaths}
            lives = {agent.id for agent in self.folder.agents}
            lives |= {
                life_name(each.agents[0], each.life)
                for each in self.folder.happenings
                if each.event == "started"
            }
            if all(ends.get(name) == "finished" for name in lives - dead):
                return []
            return [
                "not all agents finished; they may still be running: their journals are kept, try again later"
            ]
        if launch["failure"]:
            return [launch["failure"]]
        if launch["interrupted"]:
            return [f"interrupted after {self.end:.3g} of {self.folder.plan['duration']:g} s"]
        return []

    def _jobs(self, rows: Any) -> dict[str, Any]:
        """The account of jobs that arrived before the end; those of the cool-down are not in it."""
        states = self.run.jobs["state"][rows[self.offered[rows]]]
        lost = states[states >= LOST]
        causes = {lost_cause(int(state)): int(np.count_nonzero(lost == state)) for state in np.unique(lost)}
        return {
            "offered": len(states),
            "completed": int(np.count_nonzero(states == COMPLETED)),
            "in_flight": int(np.count_nonzero(states == IN_FLIGHT)),
            "lost": causes,
        }

    def _untold(self) -> float:
        """What measured jobs that did not end had waited, cool-down included, over the latency of those that did."""
        jobs = self.run.jobs
        waiting = jobs["arrival"][self.measured & (jobs["state"] == IN_FLIGHT)]
        told = float(self.latencies.sum())
        last = float(jobs["arrival"].max(initial=self.end))  # load goes on through the cool-down
        return float((last - waiting).sum()) / told if told else 0.0

    def _workload(self) -> dict[str, Any]:
        """Time averages over the measured time, from the exact instants of arrival and departure."""
        means = self._mean_workloads(self.begin, self.end)
        return {"mean": sum(means.values()), "by_server": means}

    def _mean_workloads(self, begin: float, end: float) -> dict[str, float]:
        visits = self.run.visits
        gone = np.where(
            np.isnan(visits["departed"]), visits["noticed"], visits["departed"]
        )  # or died, or dropped
        gone[np.isnan(gone)] = np.inf
        stay = np.minimum(gone, end) - np.maximum(visits["arrived"], begin)
        area = np.bincount(visits["server"], np.maximum(stay, 0.0), minlength=len(self.run.servers))
        means = area / self.scale / (end - begin) if end > begin else np.zeros(len(area))
        return dict(zip(self.run.servers, map(float, means), strict=True))

    def _by_dispatcher(self) -> dict[str, Any]:
        jobs, servers = self.run.jobs, self.run.servers
        owners = jobs["dispatcher"][self.rows]
        counts = np.bincount(owners, minlength=len(self.run.dispatchers))
        parts = np.split(self.rows[np.argsort(owners, kind="stable")], np.cumsum(counts)[:-1])
        place = {name: index for index, name in enumerate(servers)}
        made = {}
        for agent, rows in zip(self.folder.of("dispatcher"), parts, strict=True):
            sent = np.bincount(jobs["server"][rows[self.measured[rows]]], minlength=len(servers))
            total = max(int(sent.sum()), 1)
            own = self._jobs(rows)
            made[agent.id] = {
                "offered": own["offered"],
                "completed": own["completed"],
                "latency": _latency(jobs["latency"][rows[self.done[rows]]]),
                "split": {peer: int(sent[place[peer]]) / total for peer in agent.peers},
            }
        return made

    def _by_server(self) -> dict[str, Any]:
        caps = {server.id: server.curve.cap for server in self.folder.topology.servers}
        return {
            name: {
                "completed": int(count),
                "throughput": float(rate),
                "utilisation": float(rate) / caps[name] if np.isfinite(caps[name]) else None,
            }
            for name, count, rate in zip(self.run.servers, self.departed, self.throughput, strict=True)
        }

    def _messages(self) -> dict[str, Any]:
        """What was sent, the cool-down included, and what a job cost."""
        by_kind: dict[str, dict[str, int]] = {
            kind: {"count": 0, "bytes": 0} for kind in ("job", "completion", "report")
        }
        frames = frame_bytes = jobs = 0
        for statement in self.run.statements.values():
            census = statement["census"]
            jobs += statement.get("offered", 0)
            frames += sum(census["frames"]["sent"].values())
            frame_bytes += sum(census["frame_bytes"]["sent"].values())
            for kinds in census["sent"].values():
                frame_bytes -= kinds.get(STAMP, (0, 0))[1]
                for kind, (count, size) in unstamped(kinds).items():
                    both = by_kind.setdefault(kind, {"count": 0, "bytes": 0})
                    both["count"] += count
                    both["bytes"] += size
        messages = sum(each["count"] for each in by_kind.values())
        told = sum(by_kind[kind]["count"] for kind in ("report", "probe") if kind in by_kind)
        expected = feeding.expected(self.folder, self.run)
        return {
            "per_job": messages / jobs if jobs else None,
            "bytes_per_job": frame_bytes / jobs if jobs else None,
            "control_share": 1.0 - _payload(by_kind) / messages if messages else None,
            "told_per_job": told / jobs if jobs else None,
            "told_per_job_by_formula": expected / jobs if jobs and expected is not None else None,
            "by_kind": by_kind,
            "frames": frames,
        }

    def _fidelity(self, mean_latency: float | None) -> dict[str, Any]:
        frozen = [
            (set(each.fault.agents), each.at, each.until)
            for each in episodes(self.folder.happenings, self.folder.topology.edges)
            if each.fault.kind == "freeze"
        ]
        late = fidelity.lateness(self.run, self.begin, self.end, frozen)
        return {
            "lateness": late,
            "relative": late["p99"] / mean_latency if mean_latency else None,
            "cpu": self.folder.launch["cpu"] if self.folder.launch else {},
        }

    def _optimum(self) -> tuple[dict[str, float] | None, dict[str, Any] | None, list[str]]:
        """The optimum, or what takes its place where the demand does not fit, or why there is neither."""
        from gmsr.topology.theory.optimum import NoOptimum, Overloaded, solve

        wanted = self._demand()
        topology = self.folder.topology._replace(scale=self.scale)
        try:
            best = solve(topology, wanted.volume, job_size=wanted.mean_size)
        except Overloaded as error:
            beside = overload.compare(
                topology, wanted.volume, self._served(), self._mean_workloads, self.begin, self.end
            )
            return None, beside, [f"no optimum to compare with: {error}"]
        except NoOptimum as error:
            return None, None, [f"no optimum to compare with: {error}"]
        rate = sum(wanted.rates.values())
        told = {
            "latency": best.total / rate,
            "workload": best.workload,
            "travel": best.travel / rate,
        }
        return told, None, []

    def _served(self) -> dict[str, float]:
        visits, curves = self.run.visits, {each.id: each.curve for each in self.folder.topology.servers}
        made = {}
        for index, name in enumerate(self.run.servers):
            own = visits["server"] == index
            made[name] = overload.served(
                curves[name],
                self.scale,
                visits["arrived"][own],
                ended(visits)[own],
                self.begin,
                self.end,
            )
        return made

    def _demand(self) -> Demand:
        """Nominal where arrivals are drawn; a trace's own rates and sizes in the measured time.

        Of the run directory alone: a trace may be gone, or elsewhere on another machine.
        """
        plan, topology = self.folder.plan, self.folder.topology
        if topology.arrivals.kind != "trace":
            return Demand({each.id: each.rate for each in topology.dispatchers}, plan["mean_size"])
        jobs, names = self.run.jobs, self.run.dispatchers
        counts = np.bincount(jobs["dispatcher"][self.measured], minlength=len(names))
        rates = counts / (self.span or 1.0) / self.scale
        mean = float(jobs["size"][self.measured].mean()) if self.measured.any() else 1.0
        return Demand(dict(zip(names, map(float, rates), strict=True)), mean)


def _payload(by_kind: dict[str, dict[str, int]]) -> int:
    """Messages that carry jobs and their completions; all others are control."""
    return by_kind["job"]["count"] + by_kind["completion"]["count"]


def _noise(latency: dict[str, Any]) -> float:
    """Half the interval of the mean latency over it; infinite where there is no interval."""
    low, high = latency["ci95"]
    return float("inf") if low is None else (high - low) / 2.0 / float(latency["mean"])


def _latency(values: Any) -> dict[str, Any]:
    """Figures of latencies in the order of arrival, emulated seconds; None where there are too few."""
    if not len(values):
        return {"mean": None, "ci95": [None, None], **dict.fromkeys(PERCENTILES)}
    mean, low, high = interval(values)
    quantiles = np.quantile(values, list(PERCENTILES.values()))
    bounds = [low, high] if np.isfinite(high) else [None, None]
    return {"mean": mean, "ci95": bounds, **dict(zip(PERCENTILES, map(float, quantiles), strict=True))}
