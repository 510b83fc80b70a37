"""The summary of a run: a pure function of its directory. Fields as in INTERFACE, and a few beside them."""

from pathlib import Path
from typing import Any

import numpy as np

from gmsr.agents.journal import COMPLETED, IN_FLIGHT, LOST

from ..demand import Demand, demand
from . import account, fidelity
from .collect import Collected, collect, lost_cause
from .folder import Folder, open_run, write_json
from .intervals import interval, trend

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


def summarise(run_dir: Path) -> dict[str, Any]:
    """Collect the journals, work everything out, write messages.json and summary.json, return the summary.

    Raises UserError if ``run_dir`` is no run.
    """
    folder = open_run(run_dir)
    run = collect(folder)
    summary = _Summary(folder, run).make()
    write_json(run_dir / "messages.json", account.censuses(run.statements))
    write_json(run_dir / "summary.json", summary)
    return summary


class _Summary:
    """Works the figures out; the measured time is [begin, end) in emulated seconds."""

    def __init__(self, folder: Folder, run: Collected) -> None:
        self.folder = folder
        self.run = run
        self.begin: float = min(folder.plan["warmup"], folder.end)
        self.end = folder.end
        self.span = self.end - self.begin
        self.scale: float = folder.plan["scale"]
        jobs = run.jobs
        self.offered = jobs["arrival"] < self.end
        self.done = (jobs["state"] == COMPLETED) & self.offered & (jobs["arrival"] >= self.begin)

    def make(self) -> dict[str, Any]:
        plan = self.folder.plan
        jobs = self._jobs(np.ones(len(self.run.jobs["job"]), dtype=bool))
        latency = self._latency(self.done)
        broken = account.violations(self.folder, self.run)
        broken += self._cut_short()
        trust = self._fidelity(latency["mean"])
        optimum, why_not = self._optimum()
        warnings = [f"not valid: {line}" for line in broken]
        warnings += fidelity.warnings(
            trust,
            self.folder.launch.get("machine", {}).get("cores") or 1,
            jobs,
            self._drifting(),
            plan["pace"],
        )
        warnings += why_not
        ratio = latency["mean"] / optimum["latency"] if optimum and latency["mean"] is not None else None
        return {
            **{key: plan[key] for key in ("policy", "feed", "seed", "scale", "pace", "duration", "warmup")},
            "run_dir": str(self.folder.path),
            "valid": not broken,
            "warnings": warnings,
            "jobs": jobs,
            "latency": latency,
            "workload": self._workload(),
            "throughput": self._throughput(np.ones(len(self.run.visits["job"]), dtype=bool)),
            "by_dispatcher": self._by_dispatcher(),
            "by_server": self._by_server(),
            "messages": self._messages(),
            "fidelity": trust,
            "optimum": optimum,
            "ratio": ratio,
            "ready_real_s": self.folder.launch.get("ready_real_s"),
        }

    def _cut_short(self) -> list[str]:
        launch = self.folder.launch
        if not launch:
            return ["the launcher did not live to see the end"]
        if launch["failure"]:
            return [launch["failure"]]
        if launch["interrupted"]:
            return [f"interrupted after {launch['ended_at']:.3g} of {self.folder.plan['duration']:g} s"]
        return []

    def _jobs(self, mask: Any) -> dict[str, Any]:
        """The account of jobs that arrived before the end; those of the cool-down are not in it."""
        states = self.run.jobs["state"][mask & self.offered]
        lost = states[states >= LOST]
        causes = {lost_cause(int(state)): int(np.count_nonzero(lost == state)) for state in np.unique(lost)}
        return {
            "offered": len(states),
            "completed": int(np.count_nonzero(states == COMPLETED)),
            "in_flight": int(np.count_nonzero(states == IN_FLIGHT)),
            "lost": causes,
        }

    def _latency(self, mask: Any) -> dict[str, Any]:
        jobs = self.run.jobs
        chosen = np.flatnonzero(mask)
        order = chosen[np.argsort(jobs["arrival"][chosen], kind="stable")]
        values = jobs["latency"][order]
        if not len(values):
            return {"mean": None, "ci95": [None, None], **dict.fromkeys(PERCENTILES)}
        mean, low, high = interval(values)
        quantiles = np.quantile(values, list(PERCENTILES.values()))
        bounds = [low, high] if np.isfinite(high) else [None, None]
        return {"mean": mean, "ci95": bounds, **dict(zip(PERCENTILES, map(float, quantiles), strict=True))}

    def _drifting(self) -> bool:
        jobs = self.run.jobs
        chosen = np.flatnonzero(self.done)
        return trend(jobs["latency"][chosen[np.argsort(jobs["arrival"][chosen], kind="stable")]])

    def _workload(self) -> dict[str, Any]:
        """Time averages over the measured time, from the exact instants of arrival and departure."""
        visits = self.run.visits
        gone = np.where(np.isnan(visits["departed"]), np.inf, visits["departed"])
        stay = np.minimum(gone, self.end) - np.maximum(visits["arrived"], self.begin)
        area = np.bincount(visits["server"], np.maximum(stay, 0.0), minlength=len(self.run.servers))
        means = area / self.scale / self.span if self.span > 0 else np.zeros(len(area))
        return {
            "mean": float(means.sum()),
            "by_server": dict(zip(self.run.servers, map(float, means), strict=True)),
        }

    def _throughput(self, mask: Any) -> float:
        visits = self.run.visits
        inside = mask & (visits["departed"] >= self.begin) & (visits["departed"] < self.end)
        return float(visits["size"][inside].sum()) / self.scale / self.span if self.span > 0 else 0.0

    def _by_dispatcher(self) -> dict[str, Any]:
        jobs = self.run.jobs
        measured = self.offered & (jobs["arrival"] >= self.begin)
        made = {}
        for index, agent in enumerate(self.folder.of("dispatcher")):
            mine = jobs["dispatcher"] == index
            sent = np.bincount(jobs["server"][mine & measured], minlength=len(self.run.servers))
            total = max(int(sent.sum()), 1)
            own = self._jobs(mine)
            made[agent.id] = {
                "offered": own["offered"],
                "completed": own["completed"],
                "latency": self._latency(mine & self.done),
                "split": {peer: sent[self.run.servers.index(peer)] / total for peer in agent.peers},
            }
        return made

    def _by_server(self) -> dict[str, Any]:
        made = {}
        caps = {server.id: server.curve.cap for server in self.folder.topology.servers}
        visits = self.run.visits
        for index, name in enumerate(self.run.servers):
            mine = visits["server"] == index
            inside = mine & (visits["departed"] >= self.begin) & (visits["departed"] < self.end)
            throughput = self._throughput(mine)
            made[name] = {
                "completed": int(np.count_nonzero(inside)),
                "throughput": throughput,
                "utilisation": throughput / caps[name] if np.isfinite(caps[name]) else None,
            }
        return made

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
                for kind, (count, size) in kinds.items():
                    both = by_kind.setdefault(kind, {"count": 0, "bytes": 0})
                    both["count"] += count
                    both["bytes"] += size
        messages = sum(each["count"] for each in by_kind.values())
        return {
            "per_job": messages / jobs if jobs else None,
            "bytes_per_job": frame_bytes / jobs if jobs else None,
            "by_kind": by_kind,
            "frames": frames,
        }

    def _fidelity(self, mean_latency: float | None) -> dict[str, Any]:
        late = fidelity.lateness(self.run, self.begin, self.end)
        return {
            "lateness": late,
            "relative": late["p99"] / mean_latency if mean_latency else None,
            "cpu": self.folder.launch.get("cpu", {}),
        }

    def _optimum(self) -> tuple[dict[str, float] | None, list[str]]:
        from gmsr.topology.theory.optimum import NoOptimum, solve

        wanted = self._demand()
        try:
            best = solve(self.folder.topology, wanted.volume)
        except NoOptimum as error:
            return None, [f"no optimum to compare with: {error}"]
        rate = sum(wanted.rates.values())
        return {"latency": best.workload / rate, "workload": best.workload}, []

    def _demand(self) -> Demand:
        """Nominal where arrivals are drawn; a trace's own rates and sizes in the measured time."""
        if self.folder.topology.arrivals.kind != "trace":
            wanted = demand(self.folder.topology)
            return wanted._replace(mean_size=self.folder.plan["mean_size"])
        jobs = self.run.jobs
        inside = self.offered & (jobs["arrival"] >= self.begin)
        counts = np.bincount(jobs["dispatcher"][inside], minlength=len(self.run.dispatchers))
        rates = counts / self.span / self.scale if self.span > 0 else counts * 0.0
        mean = float(jobs["size"][inside].mean()) if inside.any() else 1.0
        return Demand(dict(zip(self.run.dispatchers, map(float, rates), strict=True)), mean)
