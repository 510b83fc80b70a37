"""Topology files: YAML or JSON in, ``Topology`` out, every refusal a line with file, field and mend.

``format`` holds the file format's types; ``schema.json`` beside this file is the schema made from them.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
from msgspec import UnsetType

from . import curves, faults, measured, table
from .check import problems
from .errors import UserError
from .explain import File, Refused, convert
from .faults import Fault
from .format import (
    ArrivalsEntry,
    CurveSpec,
    FaultEntry,
    FaultsFile,
    LlmSpec,
    PolicyChange,
    ServerEntry,
    SizesEntry,
    Slow,
    TableSpec,
    TopologyFile,
    TraceSizes,
    Window,
)
from .graph import Arrivals, Dispatcher, Edge, RunDefaults, Server, Sizes, Topology
from .reading import read_plain, read_text


class Loaded(NamedTuple):
    """A topology, and what the user should know about how its file was read."""

    topology: Topology
    warnings: list[str]


def load(path: str | Path) -> Loaded:
    """Read a topology file. Raises UserError with one line on whatever is wrong with it."""
    path = Path(path)
    return resolve(read_plain(path), path)


def resolve(content: object, path: Path) -> Loaded:
    """A file's parsed content as a topology; ``path`` names it in messages, and other files start from it."""
    entry = _convert(content, TopologyFile, path, "'dispatchers:', 'servers:', 'edges:'")
    warnings: list[str] = []
    servers = tuple(_server(server, path, warnings) for server in entry.servers)
    dispatchers = tuple(Dispatcher(each.id, each.rate, each.host or "") for each in entry.dispatchers)
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
    schedule = _faults(entry.faults, topology, topology.run.duration, path, warnings)
    return Loaded(topology._replace(faults=schedule), warnings)


def load_faults(path: str | Path, topology: Topology, warnings: list[str] | None = None) -> tuple[Fault, ...]:
    """Read a schedule of faults from a file of its own. Raises UserError with one line on whatever is wrong with it.

    The caller, who knows how long the run is and what the topology's own faults are, has both checked
    (``faults.problems``). ``warnings`` is added to, as in ``Loaded``.
    """
    path = Path(path)
    entry = _convert(read_plain(path), FaultsFile, path, "'faults:'")
    return _faults(entry.faults, topology, None, path, [] if warnings is None else warnings)


def _convert(content: object, kind: type[File], path: Path, start: str) -> File:
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise UserError(f"{path}: holds {found}, not a mapping; start with {start}")
    try:
        return convert(content, kind)
    except Refused as error:
        raise UserError(f"{path}: {error}") from error


def _faults(
    entries: Sequence[FaultEntry], topology: Topology, duration: float | None, path: Path, warnings: list[str]
) -> tuple[Fault, ...]:
    made = []
    for index, entry in enumerate(entries):
        where = f"{path}: faults[{index}]"
        plain: dict[str, Any] = msgspec.to_builtins(entry)
        if plain["kind"] in faults.ON_EDGES:
            _exactly_one(plain, ("edge", "agent", "group", "hosts"), where)
        if isinstance(entry, PolicyChange) and {"dispatcher", "group"} <= plain.keys():
            raise UserError(f"{where}: dispatcher and group are given; keep one, or none for all dispatchers")
        if isinstance(entry, Slow):
            _exactly_one(plain, ("factor", "curve"), where)
            if not isinstance(entry.curve, UnsetType):
                plain["curve"] = _curve(entry.curve, f"{where}.curve", path, warnings).describe()
        made.append(faults.make(plain, topology.edges, topology.hosts))
    for problem in faults.problems(made, topology, duration):
        raise UserError(f"{path}: {problem}")
    return tuple(made)


def _exactly_one(plain: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    given = [name for name in names if name in plain]
    if not given:
        raise UserError(f"{where}: none of {', '.join(names)} is given; add one")
    if len(given) > 1:
        raise UserError(f"{where}: {' and '.join(given)} are given; keep one")


def _server(entry: ServerEntry, path: Path, warnings: list[str]) -> Server:
    curve = _curve(entry.curve, f"{path}: servers: {entry.id}: curve", path, warnings)
    if entry.learn and not isinstance(entry.smoothing, UnsetType):
        raise UserError(
            f"{path}: servers: {entry.id}: smoothing: a server that learns smooths what it learned in its own way; "
            "remove smoothing, or learn"
        )
    return Server(entry.id, curve, _smoothing(entry, curve, path), entry.host or "", entry.learn)


def _curve(spec: CurveSpec, where: str, path: Path, warnings: list[str]) -> curves.Curve:
    if not isinstance(spec, (TableSpec, LlmSpec)):
        return curves.make(msgspec.to_builtins(spec))
    try:
        points, repairs = table.repair(table.check(_points(spec, path)))
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if repairs:
        lifted = "; ".join(str(each) for each in repairs)
        warnings.append(f"{where} is not concave as measured; its concave majorant is used: {lifted}")
    return curves.Table(points)


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
    lines = csv.reader(io.StringIO(read_text(path, "CSV file of (N, rate)"), newline=""))
    points = []
    try:
        for row in lines:
            numbers = _numbers(row)
            if lines.line_num == 1:
                if numbers:
                    raise UserError(
                        f"{path}: line 1 holds numbers; write a header there, as concurrency,rate"
                    )
            elif numbers:
                points.append(numbers)
            elif row:
                shown = ",".join(row)[:60]
                raise UserError(f"{path}: line {lines.line_num}: {shown!r} is not two numbers; write N,rate")
    except csv.Error as error:
        raise UserError(f"{path}: line {lines.line_num}: {error}; save it as CSV text") from error
    return points


def _numbers(row: list[str]) -> tuple[float, float] | None:
    try:
        n, rate = row
        return float(n), float(rate)
    except ValueError:
        return None


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
    given = {
        name: value for name, value in msgspec.structs.asdict(entry).items() if value is not msgspec.UNSET
    }
    if not {"kind", "trace"} & given.keys():
        raise UserError(f"{where}: neither kind nor trace; add one of them")
    kind = given.pop("kind", "trace")
    if kind == "trace" and "trace" not in given:
        raise UserError(f"{where}: kind trace needs field 'trace'; name the file there")
    own = {"trace": ("trace", "speed"), "on-off": ("on", "off")}.get(kind, ())
    for name in given:
        if name not in own:
            raise UserError(f"{where}: {kind} arrivals have no field {name!r}; remove it, or change the kind")
    if "trace" in given:
        given["trace"] = _beside(path, given["trace"])
    return Arrivals(kind, **given)


def _sizes(entry: str | SizesEntry, path: Path) -> Sizes:
    if isinstance(entry, str):
        return Sizes(entry)
    given = {
        name: value for name, value in msgspec.structs.asdict(entry).items() if value is not msgspec.UNSET
    }
    if isinstance(entry, TraceSizes) and "trace" in given:
        given["trace"] = _beside(path, given["trace"])
    return Sizes(entry.kind, **given)


def _beside(path: Path, other: str) -> str:
    """The absolute path of a file that a topology file names relative to itself."""
    try:
        return str((path.parent / other).resolve())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {other!r} is no path: {error}; name a file") from error
