"""The central optimum, in the form that the command line and its JSON give it."""

from collections.abc import Mapping
from typing import Any

from gmsr.topology.errors import RunError
from gmsr.topology.graph import Topology

from .demand import demand
from .record.text import number, seconds, table


def best(topology: Topology) -> dict[str, Any]:
    """The fields of ``gmsr optimum --json`` (INTERFACE). Raises RunError if no certified solution was found."""
    from gmsr.topology.theory.optimum import NoOptimum, Overloaded, solve

    wanted = demand(topology)
    try:
        found = solve(topology, wanted.volume)
    except Overloaded:
        return {"overloaded": True}
    except NoOptimum as error:
        raise RunError(str(error)) from error
    return {
        "overloaded": False,
        "workload": found.workload,
        "latency": found.workload / sum(wanted.rates.values()),
        "servers": {
            server.id: {
                "workload": found.workloads[server.id],
                "throughput": found.throughput[server.id],
                "marginal": found.marginals[server.id],
            }
            for server in topology.servers
        },
        "flows": found.flows,
        "prices": found.prices,
        "residual": found.residual,
    }


def text(found: Mapping[str, Any]) -> str:
    """Tables for a person."""
    if found["overloaded"]:
        return "overloaded: no routing carries all demand; servers will overflow whatever the policy"
    servers = [
        [name, number(each["workload"]), number(each["throughput"]), number(each["marginal"])]
        for name, each in found["servers"].items()
    ]
    flows = [
        [
            name,
            number(found["prices"][name]),
            ", ".join(f"{server} {number(rate)}" for server, rate in split.items()),
        ]
        for name, split in found["flows"].items()
    ]
    return "\n".join(
        [
            f"mean latency {seconds(found['latency'])}, workload {number(found['workload'], 7)}, certified to be "
            f"the least to a share of {found['residual']:.1e}",
            "",
            *table(["server", "workload", "throughput/s", "marginal"], servers),
            "",
            *table(["dispatcher", "price", "flow/s"], flows),
        ]
    )
