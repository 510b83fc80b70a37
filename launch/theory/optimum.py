"""The central optimum, in the form that the command line and its JSON give it; under overload what takes its place."""

from collections.abc import Mapping
from typing import Any

from gmsr.topology.errors import RunError, UserError
from gmsr.topology.graph import Topology
from gmsr.topology.theory.optimum import METHODS, NoOptimum, Optimum, Overloaded, solve
from gmsr.topology.theory.overload import Held, Overload, TooLarge, decompose, hold
from gmsr.topology.theory.travel import delayed

from ..demand import demand
from ..record.text import AT_MOST, number, percent, rest, seconds, table


def best(topology: Topology, method: str = "auto", holding: bool = False) -> dict[str, Any]:
    """The fields of ``gmsr optimum --json`` (INTERFACE), and more beside them.

    Raises UserError on a question that has no answer here, RunError if no certified solution was found.
    """
    if method not in METHODS:
        raise UserError(f"--method: {method!r} is unknown; choose one of {', '.join(METHODS)}")
    if method == "balance" and delayed(topology):
        raise UserError(
            "--method: balance knows no travel, and edges have delays; choose conic or relaxation"
        )
    wanted = demand(topology)
    try:
        try:
            found = solve(topology, wanted.volume, method, wanted.mean_size)
        except Overloaded:
            return _overloaded(topology, decompose(topology, wanted.volume), _held(topology, holding))
    except NoOptimum as error:
        raise RunError(str(error)) from error
    if holding:
        raise UserError("--hold: the demand fits, so that no server overflows; raise it with --load")
    rate = sum(wanted.rates.values())
    return {
        "overloaded": False,
        "workload": found.workload,
        "latency": found.total / rate,
        "travel": found.travel / rate,
        "servers": _servers(topology, found),
        "flows": found.flows,
        "prices": found.prices,
        "residual": found.residual,
        "residuals": found.residuals._asdict(),
        "method": found.method,
        "agreement": found.agreement,
    }


def _held(topology: Topology, holding: bool) -> Held | None:
    if not holding:
        return None
    if all(server.curve.cap == float("inf") for server in topology.servers):
        raise UserError("--hold: no server's curve has a finite cap, so that none can overflow; leave it out")
    try:
        return hold(topology, demand(topology).volume)
    except TooLarge as error:
        raise UserError(f"--hold: {error}; leave it out, or ask about a smaller graph") from error


def _servers(topology: Topology, found: Optimum) -> dict[str, dict[str, float | None]]:
    caps = {server.id: server.curve.cap for server in topology.servers}
    return {
        name: {
            "workload": workload,
            "throughput": found.throughput[name],
            "utilisation": found.throughput[name] / caps[name] if caps[name] < float("inf") else None,
            "marginal": found.marginals[name],
        }
        for name, workload in found.workloads.items()
    }


def _overloaded(topology: Topology, found: Overload, held: Held | None) -> dict[str, Any]:
    best = found.optimum
    servers: dict[str, Any] = _servers(topology, best) if best else {}
    for server in topology.servers:
        if server.id in found.growth:
            servers[server.id] = {
                "workload": None, "throughput": server.curve.cap, "utilisation": 1.0, "marginal": 0.0,
                "growth": found.growth[server.id], "tie_break_decides": server.id in found.open_growth,
            }  # fmt: skip
        elif server.id not in servers:
            servers[server.id] = {"workload": 0.0, "throughput": 0.0, "utilisation": 0.0, "marginal": None}
    made = {
        "overloaded": True,
        "offered": found.offered,
        "throughput": found.throughput,
        "stable": found.stable,
        "unstable": found.unstable,
        "saturated": found.saturated,
        "stable_workload": found.stable_workload,
        "servers": {server.id: servers[server.id] for server in topology.servers},
        "flows": found.flows,
        "prices": {each.id: best.prices.get(each.id, 0.0) if best else 0.0 for each in topology.dispatchers},
        "residual": best.residual if best else 0.0,
    }
    return made if held is None else {**made, "held": held._asdict()}


def text(found: Mapping[str, Any], delays: bool = False) -> str:
    """Tables for a person; travel is named where edges have delays."""
    lines = _overload_text(found) if found["overloaded"] else _optimum_text(found, delays)
    flows = [
        [
            name,
            number(found["prices"][name]),
            ", ".join(f"{server} {number(rate)}" for server, rate in split.items() if rate > 0.0),
        ]
        for name, split in list(found["flows"].items())[:AT_MOST]
    ]
    return "\n".join(
        [*lines, "", *table(["dispatcher", "price", "flow/s"], flows), *rest(found["flows"])]
    )  # fmt: skip


def _optimum_text(found: Mapping[str, Any], delays: bool) -> list[str]:
    residuals = found["residuals"]
    servers = [
        [name, *(number(each[key]) for key in ("workload", "throughput")), percent(each["utilisation"]),
         number(each["marginal"])]
        for name, each in list(found["servers"].items())[:AT_MOST]
    ]  # fmt: skip
    agreed = found["agreement"]
    beside = "" if agreed is None else f"; two methods agree to {agreed:.0e}"
    what = "workload with travel" if delays else "workload"
    travel = f", {seconds(found['travel'])} of it travel" if delays else ""
    return [
        f"mean latency {seconds(found['latency'])}{travel}, workload {number(found['workload'], 7)}{beside}",
        f"conditions of optimality: {what} above the least by a share of {residuals['excess']:.1e} at the most, "
        f"demand missed by {residuals['demand']:.1e}, capacity by {residuals['capacity']:.1e}",
        "",
        *table(["server", "workload", "throughput/s", "utilisation", "marginal"], servers),
        *rest(found["servers"]),
    ]


def _overload_text(found: Mapping[str, Any]) -> list[str]:
    classes = {name: kind for kind in ("stable", "unstable", "saturated") for name in found[kind]}
    growing = []
    for name, each in list(found["servers"].items())[:AT_MOST]:
        grows = each.get("growth")
        growth = (
            "–" if grows is None else number(grows) + (" (tie-break)" if each["tie_break_decides"] else "")
        )
        growing.append(
            [
                name,
                classes[name],
                number(each["workload"]) if grows is None else "",
                number(each["throughput"]),
                growth,
            ]
        )
    lines = [
        f"overloaded: {number(found['offered'])} volume/s offered, {number(found['throughput'])} is the most that any "
        "routing carries",
        f"{len(found['stable'])} servers stable with a workload of {number(found['stable_workload'], 7)} in all, the "
        f"least at that throughput (certified to {found['residual']:.1e}); {len(found['unstable'])} unstable, "
        f"{len(found['saturated'])} saturated",
    ]
    if "held" in found:
        held = found["held"]
        more = "" if held["proven"] else f" (the search was ended: {held['bound']} at the most)"
        lines.append(
            f"of the saturated, a policy can hold {held['most']} at their caps{more}: {' '.join(held['servers'])}"
        )
    return [
        *lines,
        "",
        *table(["server", "class", "workload", "throughput/s", "growth/s under gmsr"], growing),
        *rest(found["servers"]),
    ]
