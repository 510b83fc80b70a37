"""The account of jobs must balance exactly (MODEL section 9). One function a rule; each returns what breaks it.

Together they say: every job was offered once, and either completed, or was lost with a cause, or is in
flight; whatever one end of an edge sent the other end received; and both ends agree on every single job.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gmsr.agents.journal import COMPLETED, DEPARTED, HELD, IN_FLIGHT, LOST
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
        servers_balance,
        journals_agree_with_counts,
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


def servers_balance(_folder: Folder, run: Collected) -> list[str]:
    """Arrived = departed + held, in each server's own words and in its journal; by dispatcher what it told."""
    lines = []
    at = _per_edge(run, run.visits, np.ones(len(run.visits["job"]), dtype=bool))
    gone = _per_edge(run, run.visits, run.visits["state"] != HELD)
    told = _per_edge(run, run.visits, run.visits["state"] == DEPARTED)
    for index, name in enumerate(run.servers):
        if (statement := run.statements.get(name)) is None:
            continue
        booked = {"arrived": int(at[:, index].sum()), "departed": int(gone[:, index].sum())}
        said = {key: statement[key] for key in booked}
        if booked != said:
            lines.append(f"{name}: its journal holds {booked}, its account {said}")
        for dispatcher, count in statement["held"].items():
            row = run.dispatchers.index(dispatcher)
            if (held := int(at[row, index] - told[row, index])) != count:
                lines.append(
                    f"{name}: its journal holds {held} open jobs of {dispatcher}, its account {count}"
                )
    return lines


def journals_agree_with_counts(_folder: Folder, run: Collected) -> list[str]:
    """For every edge: the messages that an agent counted are the jobs of its journal."""
    sent = _per_edge(run, run.jobs, run.jobs["state"] < LOST)  # what could not be sent is not counted as sent
    arrived = _per_edge(run, run.visits, np.ones(len(run.visits["job"]), dtype=bool))
    departed = _per_edge(run, run.visits, run.visits["state"] == DEPARTED)
    rows = {name: index for index, name in enumerate(run.dispatchers)}
    columns = {name: index for index, name in enumerate(run.servers)}
    lines = []
    for name, census in censuses(run.statements).items():
        if name in rows:
            checks = [("sent", "job", sent[rows[name]], columns)]
        else:
            column = columns[name]
            checks = [
                ("received", "job", arrived[:, column], rows),
                ("sent", "completion", departed[:, column], rows),
            ]
        for way, kind, journal, places in checks:
            for peer, kinds in census[way].items():
                if (count := kinds.get(kind, [0, 0])[0]) != (booked := int(journal[places[peer]])):
                    edge = f"to {peer}" if way == "sent" else f"from {peer}"
                    lines.append(f"{name} counted {count} of kind {kind} {edge}, its journal holds {booked}")
    return lines


def jobs_and_visits_agree(_folder: Folder, run: Collected) -> list[str]:
    """Each completed job has exactly one departed visit, at the server it was sent to, with its size."""
    ours, our_sizes = _sorted(run.jobs, run.jobs["state"] == COMPLETED)
    theirs, their_sizes = _sorted(run.visits, run.visits["state"] == DEPARTED)
    if not np.array_equal(ours, theirs):
        missing, extra = np.setdiff1d(ours, theirs), np.setdiff1d(theirs, ours)
        again = len(theirs) - len(np.unique(theirs))
        return [
            f"{len(ours)} jobs were completed, {len(theirs)} departed ({again} of them again); {len(missing)} "
            f"completions and {len(extra)} departures have no counterpart of the same dispatcher, server and number"
        ]
    changed = int(np.count_nonzero(our_sizes != their_sizes))
    return [f"{changed} jobs had another size at their server than at their dispatcher"] if changed else []


def in_flight_is_what_servers_hold(_folder: Folder, run: Collected) -> list[str]:
    """What a dispatcher has in flight at a server is what that server never told it the end of."""
    lines = []
    ours = _per_edge(run, run.jobs, run.jobs["state"] == IN_FLIGHT)
    theirs = _per_edge(run, run.visits, run.visits["state"] != DEPARTED)
    for row, column in np.argwhere(ours != theirs):
        lines.append(
            f"{run.dispatchers[row]} has {ours[row, column]} jobs in flight at {run.servers[column]}, which holds "
            f"{theirs[row, column]} of its"
        )
    return lines


def censuses(statements: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Each agent's counts of messages."""
    return {name: statement["census"] for name, statement in statements.items()}


def _sorted(table: Mapping[str, Any], mask: Any) -> tuple[Any, Any]:
    """Of the chosen rows one number each (dispatcher, server, job), in order, and their sizes."""
    key = table["dispatcher"][mask].astype(np.uint64) << np.uint64(48)
    key |= table["server"][mask].astype(np.uint64) << np.uint64(32)
    key |= table["job"][mask].astype(np.uint64)
    order = np.argsort(key, kind="stable")
    return key[order], table["size"][mask][order]


def _per_edge(run: Collected, table: Mapping[str, Any], mask: Any) -> Any:
    """How many of the chosen rows each edge has; shape (dispatchers, servers)."""
    shape = len(run.dispatchers), len(run.servers)
    edges = table["dispatcher"][mask].astype(np.int64) * shape[1] + table["server"][mask]
    return np.bincount(edges, minlength=shape[0] * shape[1]).reshape(shape)
