"""Topology files: YAML or JSON in, ``Topology`` out, every refusal a line with file, field and mend.

``format`` holds the file format's types; ``schema.json`` beside this file is the schema made from them.
"""

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import yaml
from msgspec import UnsetType

from . import curves, measured, table
from .check import problems
from .errors import UserError
from .format import (
    ArrivalsEntry,
    LlmSpec,
    Refused,
    ServerEntry,
    SizesEntry,
    TableSpec,
    TopologyFile,
    Window,
    convert,
)  # fmt: skip
from .graph import Arrivals, Dispatcher, Edge, RunDefaults, Server, Sizes, Topology

MAX_FILE_BYTES = 64 << 20


class Loaded(NamedTuple):
    """A topology, and what the user should know about how its file was read."""

    topology: Topology
    warnings: list[str]


def load(path: str | Path) -> Loaded:
    """Read a topology file. Raises UserError with one line on whatever is wrong with it."""
    path = Path(path)
    return resolve(_parse(path), path)


def resolve(content: object, path: Path) -> Loaded:
    """A file's parsed content as a topology; ``path`` names it in messages, and other files start from it."""
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise UserError(
            f"{path}: holds {found}, not a mapping; start with 'dispatchers:', 'servers:', 'edges:'"
        )
    try:
        entry = convert(content)
    except Refused as error:
        raise UserError(f"{path}: {error}") from error
    warnings: list[str] = []
    servers = tuple(_server(server, path, warnings) for server in entry.servers)
    dispatchers = tuple(Dispatcher(each.id, each.rate) for each in entry.dispatchers)
    topology = Topology(
        entry.name or path.stem,
        dispatchers,
        servers,
        _edges(entry, path),
        entry.scale,
        _arrivals(entry.workload.arrivals, path),
        _sizes(entry.workload.sizes, path),
        RunDefaults(entry.run.policy, entry.run.duration, entry.run.warmup, entry.run.seed),
    )
    for problem in problems(topology):
        raise UserError(f"{path}: {problem}")
    return Loaded(topology, warnings)


def _parse(path: Path) -> object:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise UserError(
                f"{path}: {size / 1e6:,.0f} MB is no topology file; the limit is {MAX_FILE_BYTES >> 20} MiB"
            )
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a readable topology file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is no UTF-8; save the file as UTF-8 text") from error
    try:
        return json.loads(text) if path.suffix == ".json" else _yaml(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: line {error.lineno}: {error.msg}; mend the JSON there") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{path}: {place}{what}; mend the YAML there") from error
    except RecursionError as error:
        raise UserError(f"{path}: nested too deeply; a topology file needs four levels") from error


def _yaml(text: str) -> object:
    """Safe YAML without aliases: a few lines of them can expand without bound."""
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem=f"aliases (*{event.anchor}) are not read, write the value out",
                problem_mark=cast("yaml.Mark", event.start_mark),
            )
    return yaml.load(text, Loader=_Loader)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML without double keys, of which the last would win in silence."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"field {key.value!r} stands twice; keep one", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _server(entry: ServerEntry, path: Path, warnings: list[str]) -> Server:
    where = f"{path}: servers: {entry.id}: curve"
    spec = entry.curve
    if isinstance(spec, (TableSpec, LlmSpec)):
        try:
            points, repairs = table.repair(table.check(_points(spec, path)))
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        if repairs:
            lifted = "; ".join(str(each) for each in repairs)
            warnings.append(f"{where} is not concave as measured; its concave majorant is used: {lifted}")
        curve: curves.Curve = curves.Table(points)
    else:
        curve = curves.make(msgspec.to_builtins(spec))
    return Server(entry.id, curve, _smoothing(entry, curve, path))


def _smoothing(entry: ServerEntry, curve: curves.Curve, path: Path) -> float | None:
    if isinstance(entry.smoothing, UnsetType):
        return None
    if isinstance(entry.smoothing, Window):
        return entry.smoothing.width
    if entry.smoothing and not curve.kinks:
        raise UserError(
            f"{path}: servers: {entry.id}: smoothing: a {curve.kind} curve has no kink to be relative to; "
            "give {width: …} in units of N, or remove it"
        )
    return entry.smoothing * curves.last_kink(curve)


def _points(spec: TableSpec | LlmSpec, path: Path) -> list[tuple[float, float]]:
    if isinstance(spec, LlmSpec):
        return measured.load(spec.name)
    if isinstance(spec.points, UnsetType) == isinstance(spec.file, UnsetType):
        raise UserError("a table needs points or file, and not both; keep one")
    if not isinstance(spec.points, UnsetType):
        return spec.points
    return read_points(path.parent / cast("str", spec.file))


def read_points(path: Path) -> list[tuple[float, float]]:
    """Points of a measured curve: a CSV file with a header line and two columns, N and rate."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UserError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB is no table of a curve")
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row]
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a CSV file of (N, rate)") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: is no CSV text: {error}; save it as UTF-8 CSV") from error
    points = []
    for number, row in enumerate(rows[1:], start=2):
        try:
            n, rate = row
            points.append((float(n), float(rate)))
        except ValueError as error:
            raise UserError(
                f"{path}: line {number}: {','.join(row)!r} is not two numbers; write N,rate"
            ) from error
    return points


def _edges(entry: TopologyFile, path: Path) -> tuple[Edge, ...]:
    if isinstance(entry.edges, str):
        return tuple(Edge(each.id, server.id) for each in entry.dispatchers for server in entry.servers)
    return tuple(
        Edge(*edge) if isinstance(edge, tuple) else Edge(edge.source, edge.target, edge.delay, edge.weight)
        for edge in entry.edges
    )


def _arrivals(entry: str | ArrivalsEntry, path: Path) -> Arrivals:
    if isinstance(entry, str):
        return Arrivals(entry)
    where = f"{path}: workload.arrivals"
    kind = entry.kind
    if isinstance(kind, UnsetType):
        if isinstance(entry.trace, UnsetType):
            raise UserError(f"{where}: neither kind nor trace; add one of them")
        kind = "trace"
    if (kind == "trace") == isinstance(entry.trace, UnsetType):
        raise UserError(f"{where}: kind trace and field trace go together; give both or neither")
    trace = "" if isinstance(entry.trace, UnsetType) else str((path.parent / entry.trace).resolve())
    return Arrivals(kind, trace, entry.speed, entry.on, entry.off)


def _sizes(entry: str | SizesEntry, path: Path) -> Sizes:
    if isinstance(entry, str):
        return Sizes(entry)
    trace = "" if isinstance(entry.trace, UnsetType) else str((path.parent / entry.trace).resolve())
    mean = None if isinstance(entry.mean, UnsetType) else entry.mean
    return Sizes(entry.kind, mean, entry.sigma, entry.alpha, entry.ratio, trace)
