"""The account of jobs must balance exactly (MODEL section 9). One function a rule; each returns what breaks it.

Together they say: every job was offered once, and either completed, or was lost with a cause, or is in
flight; whatever one end of an edge sent the other end received; and both ends agree on every single job.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gmsr.agents.journal import COMPLETED, DEPARTED, IN_FLIGHT
from gmsr.broker.census import reconcile

from .collect import Collected
from .folder import Folder

SHOWN = 5
"""Of many violations of one rule so many are told."""


def violations(folder: Folder, run: Collected) -> list[str]:
    """Every rule that is broken, in plain words; empty if the account balances."""
    rules: list[Callable[[Folder, Collected], list[str]]] = [
        statements_are_complete,
        rows_are_complete,
        jobs_balance,
        jobs_are_booked_once,
        edges_agree,
        jobs_and_visits_agree,
        in_flight_is_what_servers_hold,
    ]
    broken = []
    for rule in rules:
        lines = rule(folder, run)
        broken += lines[:SHOWN]
        if len(lines) > SHOWN:
            broken.append(f"and {len(lines) - SHOWN} more of this kind")
    return broken


def statements_are_complete(folder: Folder, run: Collected) -> list[str]:
    """Every agent ended by itself and left its statement."""
    return [f"{agent.id} left no statement" for agent in folder.agents if agent.id not in run.statements]


def rows_are_complete(_folder: Folder, run: Collected) -> list[str]:
    """No journal dropped or tore a row."""
    lines = [f"the journal of {name} ends in half a row" for name in run.torn]
    for name, statement in run.statements.items():
        if statement["dropped_rows"]:
            lines.append(
                f"the disk was too slow: {name} dropped {statement['dropped_rows']} rows of its journal"
            )
    return lines


def jobs_balance(_folder: Folder, run: Collected) -> list[str]:
    """Offered = completed + lost + in flight, in each dispatcher's own words and in its journal."""
    lines = []
    for index, name in enumerate(run.dispatchers):
        if (statement := run.statements.get(name)) is None:
            continue
        states = run.jobs["state"][run.jobs["dispatcher"] == index]
        booked = {
            "offered": len(states),
            "completed": int(np.count_nonzero(states == COMPLETED)),
            "in_flight": int(np.count_nonzero(states == IN_FLIGHT)),
            "lost": int(np.count_nonzero(states > IN_FLIGHT)),
        }
        said = {key: statement[key] for key in ("offered", "completed", "in_flight")}
        said["lost"] = sum(statement["lost"].values())
        if said["offered"] != said["completed"] + said["lost"] + said["in_flight"]:
            lines.append(f"{name}: its account does not balance: {said}")
        if booked != said:
            lines.append(f"{name}: its journal holds {booked}, its account {said}")
    return lines


def jobs_are_booked_once(_folder: Folder, run: Collected) -> list[str]:
    """No dispatcher booked a job number twice, and each counts from 0 without a gap."""
    lines = []
    for index, name in enumerate(run.dispatchers):
        numbers = np.sort(run.jobs["job"][run.jobs["dispatcher"] == index])
        if not np.array_equal(numbers, np.arange(len(numbers))):
            lines.append(f"{name}: job numbers are not 0 to {len(numbers) - 1}, each once")
    return lines


def edges_agree(_folder: Folder, run: Collected) -> list[str]:
    """For every edge and kind: sent = received, in messages and bytes."""
    return reconcile(censuses(run.statements))


def jobs_and_visits_agree(_folder: Folder, run: Collected) -> list[str]:
    """Each completed job has exactly one departed visit, at the server it was sent to, with its size."""
    completed = run.jobs["state"] == COMPLETED
    departed = run.visits["state"] == DEPARTED
    ours = _keys(run.jobs, completed)
    theirs = _keys(run.visits, departed)
    if np.array_equal(ours, theirs):
        return []
    missing, extra = np.setdiff1d(ours, theirs), np.setdiff1d(theirs, ours)
    return [
        f"{len(ours)} jobs were completed, {len(theirs)} departed; {len(missing)} completions and "
        f"{len(extra)} departures have no counterpart of the same dispatcher, server, number and size"
    ]


def in_flight_is_what_servers_hold(_folder: Folder, run: Collected) -> list[str]:
    """What a dispatcher has in flight at a server is what that server never told it the end of."""
    lines = []
    in_flight = run.jobs["state"] == IN_FLIGHT
    open_visits = run.visits["state"] != DEPARTED
    count = len(run.servers)
    ours = np.bincount(_edges(run.jobs, in_flight, count), minlength=count * len(run.dispatchers))
    theirs = np.bincount(_edges(run.visits, open_visits, count), minlength=count * len(run.dispatchers))
    for edge in np.flatnonzero(ours != theirs):
        dispatcher, server = run.dispatchers[edge // count], run.servers[edge % count]
        lines.append(
            f"{dispatcher} has {ours[edge]} jobs in flight at {server}, which holds {theirs[edge]} of its"
        )
    return lines


def censuses(statements: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Each agent's counts of messages."""
    return {name: statement["census"] for name, statement in statements.items()}


def _keys(table: Mapping[str, Any], mask: Any) -> Any:
    """One sortable key a row: dispatcher, server, number, size."""
    key = np.empty(
        int(np.count_nonzero(mask)),
        dtype=[("dispatcher", "u2"), ("server", "u2"), ("job", "u4"), ("size", "f8")],
    )
    for name in ("dispatcher", "server", "job", "size"):
        key[name] = table[name][mask]
    return np.sort(key)


def _edges(table: Mapping[str, Any], mask: Any, servers: int) -> Any:
    return table["dispatcher"][mask].astype(np.int64) * servers + table["server"][mask]
