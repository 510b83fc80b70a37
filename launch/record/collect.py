"""Raw journals into two tables, in memory and as Parquet. ``schema.md`` describes the columns."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gmsr.agents.journal import CAUSES, JOB_DTYPE, LOST, VISIT_DTYPE

from .folder import Agent, Folder

Column = NDArray[Any]
Table = dict[str, Column]
"""Columns of equal length. ``dispatcher`` and ``server`` are indices into the ids of that role."""

JOB_STATES = ["completed", "in_flight", *(f"lost: {cause}" for cause in CAUSES)]
VISIT_STATES = ["departed", "held", "unheard"]


class Collected(NamedTuple):
    """All journals of a run."""

    dispatchers: list[str]
    servers: list[str]
    jobs: Table
    visits: Table
    statements: dict[str, dict[str, Any]]
    torn: list[str]  # agents whose last row was cut off


def collect(folder: Folder) -> Collected:
    """Read the raw journals, write the Parquet files, and remove the raw ones; or read the Parquet files."""
    dispatchers = [agent.id for agent in folder.of("dispatcher")]
    servers = [agent.id for agent in folder.of("server")]
    jobs_file, visits_file = folder.path / "jobs.parquet", folder.path / "visits.parquet"
    statements = _statements(folder)
    if jobs_file.exists() and visits_file.exists():
        jobs = _load(jobs_file, dispatchers, servers, JOB_STATES)
        visits = _load(visits_file, dispatchers, servers, VISIT_STATES)
        return Collected(dispatchers, servers, jobs, visits, statements, [])
    torn: list[str] = []
    jobs = _gather(folder, "dispatcher", servers, JOB_DTYPE, torn)
    jobs["latency"] = jobs["done"] - jobs["arrival"]
    visits = _gather(folder, "server", dispatchers, VISIT_DTYPE, torn)
    _save(jobs_file, jobs, dispatchers, servers, JOB_STATES)
    _save(visits_file, visits, dispatchers, servers, VISIT_STATES)
    for agent in folder.agents:
        _rows(folder, agent).unlink(missing_ok=True)
        errors = _rows(folder, agent).with_suffix(".err")
        if errors.exists() and not errors.stat().st_size:
            errors.unlink()
    return Collected(dispatchers, servers, jobs, visits, statements, torn)


def _rows(folder: Folder, agent: Agent) -> Path:
    return folder.path / "agents" / f"{agent.id}.rows"


def _statements(folder: Folder) -> dict[str, dict[str, Any]]:
    found = {}
    for agent in folder.agents:
        file = folder.path / "agents" / f"{agent.id}.json"
        if file.exists():
            found[agent.id] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _gather(
    folder: Folder, role: str, others: list[str], dtype: list[tuple[str, str]], torn: list[str]
) -> Table:
    """One role's journals, one after the other; peers' indices become those of the whole run."""
    other = "server" if role == "dispatcher" else "dispatcher"
    place = {name: index for index, name in enumerate(others)}
    width = np.dtype(dtype).itemsize
    parts, owners = [], []
    for index, agent in enumerate(folder.of(role)):
        file = _rows(folder, agent)
        data = file.read_bytes() if file.exists() else b""
        if len(data) % width:
            torn.append(agent.id)
            data = data[: len(data) - len(data) % width]
        rows = np.frombuffer(data, dtype=dtype).copy()
        rows[other] = np.array([place[peer] for peer in agent.peers], dtype=np.uint16)[rows[other]]
        parts.append(rows)
        owners.append(np.full(len(rows), index, dtype=np.uint16))
    whole = np.concatenate(parts)
    return {role: np.concatenate(owners), **{name: whole[name] for name, _ in dtype}}


def _save(file: Path, table: Table, dispatchers: list[str], servers: list[str], states: list[str]) -> None:
    names = {"dispatcher": dispatchers, "server": servers, "state": states}
    columns = {
        name: pa.DictionaryArray.from_arrays(pa.array(column.astype(np.int32)), pa.array(names[name]))
        if name in names
        else pa.array(np.ascontiguousarray(column))
        for name, column in table.items()
    }
    part = file.with_name(file.name + ".part")
    pq.write_table(pa.table(columns), part, compression="zstd")
    part.replace(file)


def _load(file: Path, dispatchers: list[str], servers: list[str], states: list[str]) -> Table:
    """The columns as ``_gather`` made them: Parquet may have renumbered what it keeps as text."""
    names = {"dispatcher": dispatchers, "server": servers, "state": states}
    table = pq.read_table(file)
    columns: Table = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if name in names:
            place = {text: index for index, text in enumerate(names[name])}
            renumber = np.array([place[text] for text in column.dictionary.to_pylist()], dtype=np.int64)
            indices = column.indices.to_numpy()
            columns[name] = renumber[indices] if len(indices) else indices
        else:
            columns[name] = column.to_numpy()
    return columns


def lost_cause(state: int) -> str:
    """The cause of a job's loss, by its row's state."""
    return CAUSES[state - LOST]
