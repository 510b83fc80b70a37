"""Raw journals into two tables, in memory and as Parquet. ``schema.md`` describes the columns.

Raw journals are removed only when the tables hold all of them for good: when every agent has left its
statement, or the launcher says that all have ended. Until then an agent may still be writing, so that a
summary of a run that still goes on costs it nothing.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gmsr.agents.journal import CAUSES, JOB_DTYPE, LOST, VISIT_DTYPE
from gmsr.topology.errors import UserError

from .folder import NAME_A_RUN, Agent, Folder, read_json

Column = NDArray[Any]
Table = dict[str, Column]
"""Columns of equal length. ``dispatcher`` and ``server`` are indices into the ids of that role."""

JOB_STATES = ["completed", "in_flight", *(f"lost: {cause}" for cause in CAUSES)]
VISIT_STATES = ["departed", "held", "unheard"]
NOTE = b"gmsr"
"""Key of a Parquet file's note: whether it is final, and which journals were torn."""


class Collected(NamedTuple):
    """All journals of a run."""

    dispatchers: list[str]
    servers: list[str]
    jobs: Table
    visits: Table
    statements: dict[str, dict[str, Any]]
    torn: list[str]  # agents whose last row was cut off


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
    statements = _statements(folder)
    ended = folder.launch is not None or len(statements) == len(folder.agents)
    raw = any(_rows(folder, agent).exists() for agent in folder.agents)
    kept = all(kind.file.exists() for kind in (jobs, visits))
    if kept and (not raw or all(_note(kind.file)["final"] for kind in (jobs, visits))):
        (ours, torn), (theirs, also_torn) = _load(jobs), _load(visits)
    elif raw:
        (ours, torn), (theirs, also_torn) = _gather(folder, jobs), _gather(folder, visits)
        ours["latency"] = ours["done"] - ours["arrival"]
        _save(jobs, ours, {"final": ended, "torn": torn})
        _save(visits, theirs, {"final": ended, "torn": also_torn})
    else:
        raise UserError(f"{path}: holds no journals: its agents were never started; {NAME_A_RUN}")
    if ended:
        _clear(folder)
    return Collected(dispatchers, servers, ours, theirs, statements, torn + also_torn)


def _rows(folder: Folder, agent: Agent) -> Path:
    return folder.path / "agents" / f"{agent.id}.rows"


def _clear(folder: Folder) -> None:
    """Remove what the Parquet files hold, and what holds nothing."""
    for agent in folder.agents:
        _rows(folder, agent).unlink(missing_ok=True)
        errors = _rows(folder, agent).with_suffix(".err")
        if errors.exists() and not errors.stat().st_size:
            errors.unlink()


def _statements(folder: Folder) -> dict[str, dict[str, Any]]:
    found = {}
    for agent in folder.agents:
        file = folder.path / "agents" / f"{agent.id}.json"
        if file.exists():
            found[agent.id] = read_json(file)
    return found


def _gather(folder: Folder, kind: _Kind) -> tuple[Table, list[str]]:
    """One role's journals, one after the other; peers' indices become those of the whole run.

    Also the agents whose last row is cut off. Beside the columns themselves one journal at a time is held.
    """
    agents = folder.of(kind.role)
    files = [_rows(folder, agent) for agent in agents]
    width = np.dtype(kind.dtype).itemsize
    sizes = [file.stat().st_size if file.exists() else 0 for file in files]  # a live one grows meanwhile
    torn = [agent.id for agent, size in zip(agents, sizes, strict=True) if size % width]
    counts = [size // width for size in sizes]
    place = {name: index for index, name in enumerate(kind.names[kind.other])}
    table: Table = {kind.role: np.repeat(np.arange(len(agents), dtype=np.uint16), counts)}
    table |= {name: np.empty(sum(counts), dtype=code) for name, code in kind.dtype}
    begin = 0
    for agent, file, count in zip(agents, files, counts, strict=True):
        if not count:
            continue
        rows = np.fromfile(file, dtype=kind.dtype, count=count)
        known = (rows[kind.other] < len(agent.peers)) & (rows["state"] < len(kind.names["state"]))
        if not known.all():
            raise UserError(
                f"{file}: row {int(np.argmin(known))} is damaged; copy the run again from its origin"
            )
        peers = np.array([place[peer] for peer in agent.peers], dtype=np.uint16)
        rows[kind.other] = peers[rows[kind.other]]
        for name, _ in kind.dtype:
            table[name][begin : begin + count] = rows[name]
        begin += count
    return table, torn


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
