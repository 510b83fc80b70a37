"""Raw journals into two tables, in memory and as Parquet. ``schema.md`` describes the columns.

Raw journals are removed only when the tables hold all of them for good: when every agent has left its
statement, or the launcher says that all have ended. Until then an agent may still be writing, so that a
summary of a run that still goes on costs it nothing.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gmsr.agents.journal import (
    CAUSES,
    HELD,
    IN_FLIGHT,
    JOB_DTYPE,
    LOST,
    RESENT,
    RETURNED,
    SEGMENT_ROWS,
    VISIT_DTYPE,
)
from gmsr.broker.wire import MAX_LIFE
from gmsr.topology.errors import UserError

from .folder import NAME_A_RUN, Agent, Folder, read_json

Column = NDArray[Any]
Table = dict[str, Column]
"""Columns of equal length. ``dispatcher`` and ``server`` are indices into the ids of that role."""

JOB_STATES = ["completed", "in_flight", "resent", "returned", *(f"lost: {cause}" for cause in CAUSES)]
VISIT_STATES = ["departed", "held", "unheard", "dropped", "died"]
DIED = VISIT_STATES.index("died")
"""Of a visit that ended with its server: no agent writes that, we do."""
NOTE = b"gmsr"
"""Key of a Parquet file's note: whether it is final, and which journals were torn."""


class Collected(NamedTuple):
    """All journals of a run."""

    dispatchers: list[str]
    servers: list[str]
    jobs: Table  # each job once
    visits: Table
    statements: dict[str, dict[str, Any]]  # by agent; of later lives as ID@2
    torn: list[str]  # agents whose last row was cut off
    given_up: Table  # attempts after which a job was sent again


class Journal(NamedTuple):
    """One life's rows, in a file."""

    agent: Agent
    life: int
    path: Path

    @property
    def name(self) -> str:
        """The life's name, as in its files."""
        return life_name(self.agent.id, self.life)


class _Kind(NamedTuple):
    """One of the two tables: whose journals make it, and what its numbers stand for."""

    file: Path
    role: str
    other: str  # the role that its rows name by number
    dtype: list[tuple[str, str]]
    names: dict[str, list[str]]  # of the columns that are text in Parquet


def collect(folder: Folder) -> Collected:
    """Read the raw journals and write the Parquet files, or read these if they are final.

    Raises UserError if there are no journals, or damaged ones.
    """
    dispatchers = [agent.id for agent in folder.of("dispatcher")]
    servers = [agent.id for agent in folder.of("server")]
    ids = {"dispatcher": dispatchers, "server": servers}
    path = folder.path
    jobs = _Kind(path / "jobs.parquet", "dispatcher", "server", JOB_DTYPE, {**ids, "state": JOB_STATES})
    visits = _Kind(
        path / "visits.parquet", "server", "dispatcher", VISIT_DTYPE, {**ids, "state": VISIT_STATES}
    )
    # Statements before rows: an agent writes its statement last, so that its rows are all there then.
    statements = read_statements(folder)
    raw = {role: journals(folder, role) for role in ids}
    lived = {journal.name for each in raw.values() for journal in each}
    gone = {life_name(*death) for death in folder.deaths}
    ended = (folder.launch is not None and not folder.uncollected) or lived <= statements.keys() | gone
    kept = all(kind.file.exists() for kind in (jobs, visits))
    if kept and (not lived or all(_note(kind.file)["final"] for kind in (jobs, visits))):
        (ours, torn), (theirs, also_torn) = _load(jobs), _load(visits)
    elif lived:
        (ours, torn), (theirs, also_torn) = _gather(raw["dispatcher"], jobs), _gather(raw["server"], visits)
        if ended:
            dead = [each for lives in raw.values() for each in lives if each.name not in statements]
            bury(folder, [(each.agent, each.life) for each in dead], ours, theirs)
        ours["latency"] = ours["done"] - ours["arrival"]
        _save(jobs, ours, {"final": ended, "torn": torn})
        _save(visits, theirs, {"final": ended, "torn": also_torn})
    else:
        why = "; ".join(f"host {name}: {why}" for name, why in folder.uncollected.items())
        why = f"they could not be collected ({why})" if why else "its agents were never started"
        if (path / "control.json").exists():
            why = f"{why if folder.launch else 'its launcher is gone'}; gmsr hosts collect may fetch them"
        raise UserError(f"{path}: holds no journals: {why}; {NAME_A_RUN}")
    if ended:
        _clear(folder)
    fates, given_up = parted(ours)
    return Collected(dispatchers, servers, fates, theirs, statements, torn + also_torn, given_up)


def parted(jobs: Table) -> tuple[Table, Table]:
    """Rows that tell a job's fate, and those of attempts after which it was sent again."""
    again = (jobs["state"] == RESENT) | (jobs["state"] == RETURNED)
    fates, given_up = ({name: column[mask] for name, column in jobs.items()} for mask in (~again, again))
    return fates, given_up


def ended(visits: Table) -> Column:
    """When each visit ended, by departure, or with its server or dispatcher; not-a-number if it has not."""
    return np.where(np.isnan(visits["departed"]), visits["noticed"], visits["departed"])


def life_name(agent: str, life: int) -> str:
    """What a life's files are called: ids hold no @."""
    return agent if life == 1 else f"{agent}@{life}"


def journals(folder: Folder, role: str) -> list[Journal]:
    """The raw journals of one role that there are."""
    found = []
    for agent in folder.of(role):
        for life in range(1, MAX_LIFE + 1):
            path = folder.path / "agents" / f"{life_name(agent.id, life)}.rows"
            if not path.exists():
                break
            found.append(Journal(agent, life, path))
    return found


def _clear(folder: Folder) -> None:
    """Remove what the Parquet files hold, and what holds nothing."""
    for role in ("dispatcher", "server"):
        for journal in journals(folder, role):
            journal.path.unlink()
    for errors in (folder.path / "agents").glob("*.err"):
        if not errors.stat().st_size:
            errors.unlink()


def read_statements(folder: Folder) -> dict[str, dict[str, Any]]:
    """What agents have left when they ended, by the names of their lives."""
    found = {}
    for agent in folder.agents:
        for life in range(1, MAX_LIFE + 1):
            name = life_name(agent.id, life)
            file = folder.path / "agents" / f"{name}.json"
            if file.exists():
                found[name] = read_json(file)
    return found


def _gather(lives: list[Journal], kind: _Kind) -> tuple[Table, list[str]]:
    """One role's journals as one table, and whose last row is cut off."""
    width = np.dtype(kind.dtype).itemsize
    sizes = [journal.path.stat().st_size for journal in lives]  # a live one grows meanwhile
    torn = [journal.name for journal, size in zip(lives, sizes, strict=True) if size % width]
    written = [
        _written(journal.path, kind.dtype, size // width) for journal, size in zip(lives, sizes, strict=True)
    ]

    def load(number: int) -> Column:
        path, count = lives[number].path, written[number]
        rows = np.fromfile(path, dtype=kind.dtype, count=count)
        known = (rows[kind.other] < len(lives[number].agent.peers)) & (
            rows["state"] < len(kind.names["state"])
        )
        if not known.all():
            raise UserError(
                f"{path}: row {int(np.argmin(known))} is damaged; copy the run again from its origin"
            )
        return rows

    return table(
        kind.role, kind.names, kind.dtype, [(each.agent, each.life) for each in lives], written, load
    ), torn


def table(
    role: str,
    names: dict[str, list[str]],
    dtype: list[tuple[str, str]],
    lives: list[tuple[Agent, int]],
    counts: list[int],
    load: Callable[[int], Column],
) -> Table:
    """Journals one after the other; peers' indices become those of the whole run.

    ``load(i)`` gives the ``counts[i]`` rows of the i-th life. Beside the columns themselves one journal at a time
    is held.
    """
    other = "server" if role == "dispatcher" else "dispatcher"
    place = {name: index for index, name in enumerate(names[other])}
    own = {name: index for index, name in enumerate(names[role])}
    owners = np.array([own[agent.id] for agent, _ in lives], dtype=np.uint16)
    made: Table = {role: np.repeat(owners, counts)}
    made["life"] = np.repeat(np.array([life for _, life in lives], dtype=np.uint8), counts)
    made |= {name: np.empty(sum(counts), dtype=code) for name, code in dtype}
    begin = 0
    for number, count in enumerate(counts):
        if not count:
            continue
        rows = load(number)
        peers = np.array([place[peer] for peer in lives[number][0].peers], dtype=np.uint16)
        for name, _ in dtype:
            made[name][begin : begin + count] = peers[rows[name]] if name == other else rows[name]
        begin += count
    return made


def _written(path: Path, dtype: list[tuple[str, str]], rows: int) -> int:
    """How many rows of a file are in use: an agent that lives, or was killed, leaves room at the end."""
    width, tail = np.dtype(dtype).itemsize, min(rows, SEGMENT_ROWS)
    last = np.fromfile(path, dtype=dtype, count=tail, offset=(rows - tail) * width)
    used = np.flatnonzero(last["size"] > 0.0)
    return rows - tail + (int(used[-1]) + 1 if len(used) else 0)


def bury(folder: Folder, lives: list[tuple[Agent, int]], jobs: Table, visits: Table) -> None:
    """Jobs in flight whose dispatcher died are lost by that; visits whose server died ended then.

    ``lives``: those that left no statement.
    """
    deaths = folder.deaths
    for agent, life in lives:
        made = jobs if agent.role == "dispatcher" else visits
        index = [each.id for each in folder.of(agent.role)].index(agent.id)
        own = (made[agent.role] == index) & (made["life"] == life)
        if agent.role == "dispatcher":
            made["state"][own & (made["state"] == IN_FLIGHT)] = LOST + CAUSES.index("dispatcher")
        else:
            held = own & (made["state"] == HELD)
            made["state"][held] = DIED
            made["noticed"][held] = deaths.get((agent.id, life), np.nan)


def _save(kind: _Kind, table: Table, note: dict[str, object]) -> None:
    columns = {
        name: pa.DictionaryArray.from_arrays(pa.array(column.astype(np.int32)), pa.array(kind.names[name]))
        if name in kind.names
        else pa.array(column)
        for name, column in table.items()
    }
    part = kind.file.with_name(kind.file.name + ".part")
    noted = pa.table(columns).replace_schema_metadata({NOTE: json.dumps(note)})
    pq.write_table(noted, part, compression="zstd")
    part.replace(kind.file)


def _note(file: Path) -> dict[str, Any]:
    try:
        content = (pq.read_schema(file).metadata or {}).get(NOTE)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file}: cannot be read as Parquet; copy the run again from its origin") from error
    return {"final": False, "torn": [], **json.loads(content or "{}")}


def _load(kind: _Kind) -> tuple[Table, list[str]]:
    """What ``_gather`` made: Parquet may have renumbered what it keeps as text."""
    try:
        table = pq.read_table(kind.file)
        columns: Table = {}
        for name in table.column_names:
            column = table[name].combine_chunks()
            if name in kind.names:
                place = {text: index for index, text in enumerate(kind.names[name])}
                known = [place[text] for text in column.dictionary.to_pylist()]
                column = np.array(known, dtype=np.uint16)[column.indices.to_numpy()] if len(column) else []
                columns[name] = np.asarray(column, dtype=np.uint16)
            else:
                columns[name] = column.to_numpy()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UserError(
            f"{kind.file}: is not this run's, or damaged; copy the run again from its origin"
        ) from error
    return columns, _note(kind.file)["torn"]


def lost_cause(state: int) -> str:
    """The cause of a job's loss, by its row's state."""
    return CAUSES[state - LOST]
