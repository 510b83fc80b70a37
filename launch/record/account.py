"""The account of jobs must balance exactly (MODEL section 9). One function a rule; each returns what breaks it.

Together they say: every job was offered once, and either completed, or was lost with a cause, or is in
flight; whatever one end of an edge sent the other end received; and both ends agree on every single job.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gmsr.agents.journal import (
    CAUSES,
    COMPLETED,
    DEPARTED,
    HELD,
    IN_FLIGHT,
    LOST,
    RETURNED,
    UNHEARD,
    UNSENT_CAUSES,
)
from gmsr.agents.ledger import JOBS_A_LIFE
from gmsr.broker.census import reconcile
from gmsr.broker.wire import MAX_LIFE

from .collect import VISIT_STATES, Collected, life_name
from .folder import Folder

NEVER_LEFT = (RETURNED, *(LOST + CAUSES.index(cause) for cause in UNSENT_CAUSES))
"""States of attempts that were never on their way."""
SHOWN = 5
"""Of many violations of one rule so many are told."""


def violations(folder: Folder, run: Collected) -> list[str]:
    """Every rule that is broken, in plain words; empty if the account balances."""
    rules: list[Callable[[Folder, Collected], list[str]]] = [
        all_is_collected,
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


def all_is_collected(folder: Folder, _run: Collected) -> list[str]:
    """What every host's agents wrote is here."""
    return [
        f"the journals of host {name} could not be collected: {why}"
        for name, why in folder.uncollected.items()
    ]


def statements_are_complete(folder: Folder, run: Collected) -> list[str]:
    """Every agent ended by itself and left its statement, or is known to have died."""
    deaths = folder.deaths
    started = {(agent.id, 1) for agent in folder.agents}
    started |= {(each.agents[0], each.life) for each in folder.happenings if each.event == "started"}
    return [
        f"{life_name(*life)} left no statement"
        for life in sorted(started)
        if life_name(*life) not in run.statements and life not in deaths
    ]


def rows_are_complete(_folder: Folder, run: Collected) -> list[str]:
    """No journal dropped or tore a row."""
    lines = [f"the journal of {name} ends in half a row" for name in run.torn]
    for name, statement in run.statements.items():
        if statement["dropped_rows"]:
            lines.append(f"the disk was full: {name} dropped {statement['dropped_rows']} rows of its journal")
    return lines


def jobs_balance(_folder: Folder, run: Collected) -> list[str]:
    """Offered = completed + lost + in flight, in each dispatcher's own words and in its journal."""
    lines = []
    for name, statement, own in _lives(run, run.jobs, "dispatcher"):
        states = run.jobs["state"][own]
        booked = {
            "offered": len(states),
            "completed": int(np.count_nonzero(states == COMPLETED)),
            "in_flight": int(np.count_nonzero(states == IN_FLIGHT)),
            "lost": int(np.count_nonzero(states >= LOST)),
        }
        said = {key: statement[key] for key in ("offered", "completed", "in_flight")}
        said["lost"] = sum(statement["lost"].values())
        if said["offered"] != said["completed"] + said["lost"] + said["in_flight"]:
            lines.append(f"{name}: its account does not balance: {said}")
        if booked != said:
            lines.append(f"{name}: its journal holds {booked}, its account {said}")
    return lines


def jobs_are_booked_once(_folder: Folder, run: Collected) -> list[str]:
    """No dispatcher booked a job number twice, and each of its lives counts without a gap."""
    lines = []
    jobs = run.jobs
    order = np.lexsort((jobs["job"], jobs["life"], jobs["dispatcher"]))
    owner, life, number = (jobs[name][order].astype(np.int64) for name in ("dispatcher", "life", "job"))
    first = np.r_[True, (np.diff(owner) != 0) | (np.diff(life) != 0)][: len(owner)]
    expected = np.where(first, (life - 1) * JOBS_A_LIFE, np.r_[0, number[:-1] + 1][: len(owner)])
    for row in np.flatnonzero(number != expected):
        name = life_name(run.dispatchers[owner[row]], int(life[row]))
        lines.append(f"{name}: job {number[row]} is booked where job {expected[row]} should be")
    return lines


def edges_agree(folder: Folder, run: Collected) -> list[str]:
    """For every edge and kind: sent = received, in messages and bytes; less may come where a fault struck."""
    agents, edges = folder.touched
    agents |= {name.partition("@")[0] for name in run.statements if "@" in name}
    agents |= {name for name in run.statements if "@" in name}
    whole = {name: each for name, each in censuses(run.statements).items() if name not in agents}

    def counted(name: str) -> Callable[[str], bool]:
        return lambda peer: peer not in agents and not {(name, peer), (peer, name)} & edges

    return reconcile(
        {
            name: census
            | {
                way: {peer: kinds for peer, kinds in census[way].items() if counted(name)(peer)}
                for way in ("sent", "received")
            }
            for name, census in whole.items()
        }
    )


def servers_balance(_folder: Folder, run: Collected) -> list[str]:
    """Arrived = departed + dropped + held, in each server's own words and in its journal."""
    lines = []
    for name, statement, own in _lives(run, run.visits, "server"):
        states = run.visits["state"][own]
        counts = np.bincount(states, minlength=len(VISIT_STATES))
        booked = {"arrived": len(states), "departed": int(counts[DEPARTED] + counts[UNHEARD])}
        said = {key: statement[key] for key in booked}
        if booked != said:
            lines.append(f"{name}: its journal holds {booked}, its account {said}")
        open_jobs = np.isin(states, (HELD, UNHEARD))
        held = np.bincount(run.visits["dispatcher"][own][open_jobs], minlength=len(run.dispatchers))
        for dispatcher, count in statement["held"].items():
            if (found := int(held[run.dispatchers.index(dispatcher)])) != count:
                lines.append(
                    f"{name}: its journal holds {found} open jobs of {dispatcher}, its account {count}"
                )
    return lines


def journals_agree_with_counts(folder: Folder, run: Collected) -> list[str]:
    """For every edge: the messages that an agent counted are the jobs of its journal."""
    sound = _sound(folder, run)
    everything = np.ones(len(run.visits["job"]), dtype=bool)
    sent = _per_edge(run, run.jobs, ~np.isin(run.jobs["state"], NEVER_LEFT))
    arrived = _per_edge(run, run.visits, everything)
    departed = _per_edge(run, run.visits, run.visits["state"] == DEPARTED)
    rows = {name: index for index, name in enumerate(run.dispatchers)}
    columns = {name: index for index, name in enumerate(run.servers)}
    lines = []
    for name, census in censuses(run.statements).items():
        if name in rows:
            row = rows[name]
            checks = [("sent", "job", sent[row], sound[row], columns)]
        elif name in columns:
            column = columns[name]
            checks = [
                ("received", "job", arrived[:, column], sound[:, column], rows),
                ("sent", "completion", departed[:, column], sound[:, column], rows),
            ]
        else:  # a later life: its edges are not sound
            continue
        for way, kind, journal, checked, places in checks:
            for peer, kinds in census[way].items():
                count, booked = kinds.get(kind, [0, 0])[0], int(journal[places[peer]])
                if checked[places[peer]] and count != booked:
                    edge = f"to {peer}" if way == "sent" else f"from {peer}"
                    lines.append(f"{name} counted {count} of kind {kind} {edge}, its journal holds {booked}")
    return lines


def jobs_and_visits_agree(folder: Folder, run: Collected) -> list[str]:
    """Each completed job has a departed visit at the server it was sent to, with its size, and no visit is unsent.

    Exactly one where no fault struck; elsewhere a visit may have ended without its dispatcher's knowing. Nowhere
    has a server more visits of a job than it was sent.
    """
    jobs, visits, again = run.jobs, run.visits, run.given_up
    ours, our_sizes = _sorted(jobs, jobs["state"] == COMPLETED)
    theirs, their_sizes = _sorted(visits, visits["state"] == DEPARTED)
    lines = []
    sound = _sound(folder, run)
    strict = visits["state"] == DEPARTED
    strict &= sound[visits["dispatcher"], visits["server"]]
    told, _ = _sorted(visits, strict)
    missing, extra = np.setdiff1d(ours, theirs), np.setdiff1d(told, ours)
    repeated = len(told) - len(np.unique(told))
    if len(missing) or len(extra) or repeated:
        lines.append(
            f"{len(ours)} jobs were completed, {len(theirs)} departed ({repeated} of them again); {len(missing)} "
            f"completions and {len(extra)} departures have no counterpart of the same dispatcher, server and number"
        )
    else:
        place = np.searchsorted(theirs, ours)
        if changed := int(np.count_nonzero(our_sizes != their_sizes[place])):
            lines.append(f"{changed} jobs had another size at their server than at their dispatcher")
    sent = np.concatenate(
        [_sorted(table, ~np.isin(table["state"], NEVER_LEFT))[0] for table in (jobs, again)]
    )
    came, _ = _sorted(visits, np.ones(len(visits["job"]), dtype=bool))
    (attempts, tries), (seen, times) = (
        np.unique(sent, return_counts=True),
        np.unique(came, return_counts=True),
    )
    where = np.minimum(np.searchsorted(attempts, seen), max(len(attempts) - 1, 0))
    allowed = np.where(attempts[where] == seen, tries[where], 0) if len(attempts) else np.zeros(len(seen))
    if surplus := int(np.maximum(times - allowed, 0).sum()):
        lines.append(f"servers took in {surplus} jobs more than they were sent")
    return lines


def in_flight_is_what_servers_hold(folder: Folder, run: Collected) -> list[str]:
    """What a dispatcher has in flight at a server is what that server never told it the end of."""
    lines = []
    ours = _per_edge(run, run.jobs, run.jobs["state"] == IN_FLIGHT)
    theirs = _per_edge(run, run.visits, run.visits["state"] != DEPARTED)
    for row, column in np.argwhere((ours != theirs) & _sound(folder, run)):
        lines.append(
            f"{run.dispatchers[row]} has {ours[row, column]} jobs in flight at {run.servers[column]}, which holds "
            f"{theirs[row, column]} of its"
        )
    return lines


def censuses(statements: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Each agent's counts of messages."""
    return {name: statement["census"] for name, statement in statements.items()}


def _lives(
    run: Collected, table: Mapping[str, Any], role: str
) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """Each life of a role that left a statement: its name, that, and which rows of a table are its."""
    ids = run.dispatchers if role == "dispatcher" else run.servers
    key = table[role].astype(np.int64) * (MAX_LIFE + 1) + table["life"]
    order = np.argsort(key, kind="stable")
    found, starts = np.unique(key[order], return_index=True)
    rows = dict(zip(map(int, found), np.split(order, starts[1:]), strict=True)) if len(key) else {}
    for index, agent in enumerate(ids):
        for life in range(1, MAX_LIFE + 1):
            name = life_name(agent, life)
            own = rows.get(index * (MAX_LIFE + 1) + life, order[:0])
            if name in run.statements:
                yield name, run.statements[name], own
            elif not len(own):
                break


def _sound(folder: Folder, run: Collected) -> Any:
    """Which edges no fault struck, by what was done and by what dispatchers believed; (dispatchers, servers)."""
    sound = np.ones((len(run.dispatchers), len(run.servers)), dtype=bool)
    rows = {name: index for index, name in enumerate(run.dispatchers)}
    columns = {name: index for index, name in enumerate(run.servers)}
    agents, edges = folder.touched
    agents |= {each.agents[0] for each in folder.happenings if each.event in ("died", "joined")}
    for name in sorted(agents):
        if name in rows:
            sound[rows[name]] = False
        else:
            sound[:, columns[name]] = False
    for dispatcher, server in edges:
        sound[rows[dispatcher], columns[server]] = False
    for name, statement in run.statements.items():
        for _, _, server in statement.get("events", ()):
            sound[rows[name.partition("@")[0]], columns[server]] = False
    return sound


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
