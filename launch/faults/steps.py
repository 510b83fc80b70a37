"""A schedule of faults as timed steps, and each fault as what is to be done to whom.

The one place that says what a fault *is*. ``live`` performs the actions on processes; the deterministic world performs
the same ones on machines. Whatever is done twice is done alike: orders set a state, they add nothing to it.
"""

from collections.abc import Sequence
from math import inf
from typing import Any, Literal, NamedTuple

from gmsr.topology.faults import HARMLESS, ON_EDGES, Fault, Pair

from ..choices import named

FOR_GOOD = ("drain", "join", "policy", "kill-launcher", "kill-telemetry", "lose-host")
"""Kinds that have no end."""


class Action(NamedTuple):
    """Something to do to one agent; of the last three kinds, to the testbed (``lose``: to the host that it names).

    ``tell``: give it ``order`` (``machine.Machine.order``, and ``impair`` as in ``agents/loop.py``). ``kill``: it is
    gone at once, without a word. ``restart``: if it is dead, it begins its next life. ``freeze``: it stands still, and
    so does its service; ``thaw``: it goes on. ``join``: it is started for the first time, and its peers are told.
    """

    do: Literal["tell", "kill", "restart", "freeze", "thaw", "join", "launcher", "telemetry", "lose"]
    agent: str = ""
    order: dict[str, Any] | None = None


class Step(NamedTuple):
    """A fault begins or ends."""

    t: float  # emulated seconds
    begin: bool
    number: int  # of the fault in its schedule
    fault: Fault
    actions: tuple[Action, ...]


def steps(faults: Sequence[Fault], over: float = inf) -> list[Step]:
    """What is to be done and when, in order; where one fault begins as another ends, the end comes first.

    ``over``: when the run's duration ends. By then all that has an end is mended, so that agents can say goodbye; but
    who is dead stays dead.
    """
    made = []
    for number, fault in enumerate(faults):
        made.append(Step(fault.at, True, number, fault, tuple(actions(fault, True))))
        end = fault.until if fault.kind == "crash" else min(fault.until, over)
        if end < inf and end <= over and fault.kind not in FOR_GOOD:
            made.append(Step(end, False, number, fault, tuple(actions(fault, False))))
    return sorted(made, key=lambda step: (step.t, step.begin, step.number))


def actions(fault: Fault, begin: bool) -> list[Action]:
    """What a fault's beginning, or its end, does."""
    if fault.kind in ON_EDGES:
        change = _change(fault) if begin else dict.fromkeys(_change(fault), 0.0)
        return [action for edge in fault.edges for action in _impair(edge, change)]
    match fault.kind, begin:
        case "crash", _:
            return [Action("kill" if begin else "restart", agent) for agent in fault.agents]
        case "freeze", _:
            return [Action("freeze" if begin else "thaw", agent) for agent in fault.agents]
        case "slow", True if fault.curve is not None:
            return _tell(fault, {"tell": "slow", "curve": fault.curve})
        case ("slow" | "surge") as kind, _:
            return _tell(fault, {"tell": kind, "factor": float(fault.factor) if begin else 1.0})
        case "policy", True:
            target, options = named(fault.policy)
            return _tell(fault, {"tell": "policy", "policy": target, "options": options})
        case "drain", True:
            return _tell(fault, {"tell": "drain"})
        case "join", True:
            return [Action("join", agent) for agent in fault.agents]
        case "kill-launcher", True:
            return [Action("launcher")]
        case "kill-telemetry", True:
            return [Action("telemetry")]
        case "lose-host", True:
            return [Action("lose", fault.hosts[0])]
    return []


def concerning(agent: str, faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """The orders that are in force for an agent while these faults last: what its next life must be told again."""
    return [
        action.order
        for fault in sorted(faults, key=lambda fault: fault.at)  # of policies the latest counts
        if fault.kind in (*ON_EDGES, *HARMLESS)
        for action in actions(fault, True)
        if action.agent == agent and action.order is not None
    ]


def _tell(fault: Fault, order: dict[str, Any]) -> list[Action]:
    return [Action("tell", agent, order) for agent in fault.agents]


def _change(fault: Fault) -> dict[str, float]:
    """Fields of ``broker.impair.Impairment``."""
    match fault.kind:
        case "cut":
            return {"cut": 1.0}
        case "delay":
            return {"delay": float(fault.seconds), "jitter": float(fault.jitter)}
    return {fault.kind: float(fault.share)}


def _impair(edge: Pair, change: dict[str, float]) -> list[Action]:
    """Both ends: a frame meets the network where it is received."""
    dispatcher, server = edge
    return [
        Action("tell", dispatcher, {"tell": "impair", "peer": server, "change": change}),
        Action("tell", server, {"tell": "impair", "peer": dispatcher, "change": change}),
    ]
