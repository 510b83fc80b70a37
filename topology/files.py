"""Topology files: YAML or JSON in, ``Topology`` out, every refusal a line with file, field and mend.

The types below are the file format. They check a file, and the JSON Schema that editors use is generated
from the same types (``schema``; ``schema.json`` beside this file is its copy).
"""

import csv
import json
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, cast

import msgspec
import yaml
from msgspec import UNSET, Meta, Struct, UnsetType

from . import curves, measured, table
from .check import problems
from .errors import UserError
from .graph import Arrivals, Dispatcher, Edge, RunDefaults, Server, Sizes, Topology

MAX_FILE_BYTES = 64 << 20

Id = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="letters, digits, . _ -")]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Point = tuple[NotNegative, NotNegative]


class Strict(Struct, forbid_unknown_fields=True):
    """Unknown fields are errors."""


class HyperbolicSpec(Strict, tag_field="kind", tag="hyperbolic"):
    """aN/(b+N)."""

    a: Positive
    b: Positive


class ExponentialSpec(Strict, tag_field="kind", tag="exponential"):
    """a(1 − e^(−N/b))."""

    a: Positive
    b: Positive


class MulticoreSpec(Strict, tag_field="kind", tag="multicore"):
    """m·min(N, k)."""

    m: Positive
    k: Positive


class PowerSpec(Strict, tag_field="kind", tag="power"):
    """aN^p."""

    a: Positive
    p: Annotated[float, Meta(gt=0, lt=1)]


class LogarithmicSpec(Strict, tag_field="kind", tag="logarithmic"):
    """a·ln(1+N/b)."""

    a: Positive
    b: Positive


class TableSpec(Strict, tag_field="kind", tag="table"):
    """Points (N, μ) here, or in a CSV file of two columns under a header line."""

    points: list[Point] | UnsetType = UNSET
    file: str | UnsetType = UNSET


class LlmSpec(Strict, tag_field="kind", tag="llm"):
    """A measured decode curve of the project's own library."""

    name: str


CurveSpec = HyperbolicSpec | ExponentialSpec | MulticoreSpec | PowerSpec | LogarithmicSpec | TableSpec | LlmSpec


class Window(Strict):
    """Smoothing window in units of N."""

    width: NotNegative


class DispatcherEntry(Strict):
    """A dispatcher; rate in jobs per second at scale 1."""

    id: Id
    rate: NotNegative


class ServerEntry(Strict):
    """A server; smoothing relative to its curve's last kink, or an absolute window."""

    id: Id
    curve: CurveSpec
    smoothing: NotNegative | Window | UnsetType = UNSET


class EdgeEntry(Strict, rename={"source": "from", "target": "to"}):
    """An edge; delay one way in seconds; weight is what policy static goes by."""

    source: str
    target: str
    delay: NotNegative = 0.0
    weight: NotNegative = 1.0


class ArrivalsEntry(Strict):
    """Arrivals that need parameters."""

    kind: Literal["poisson", "deterministic", "on-off", "trace"] | UnsetType = UNSET
    trace: str | UnsetType = UNSET
    speed: Positive = 1.0
    on: Positive = 1.0
    off: Positive = 1.0


class SizesEntry(Strict):
    """Sizes that need parameters."""

    kind: Literal["exponential", "deterministic", "lognormal", "bounded-pareto", "trace"]
    mean: Positive | UnsetType = UNSET
    sigma: Positive = 1.0
    alpha: Positive = 1.5
    ratio: Annotated[float, Meta(gt=1)] = 1000.0
    trace: str | UnsetType = UNSET


class WorkloadEntry(Strict):
    """What arrives."""

    arrivals: Literal["poisson", "deterministic", "on-off"] | ArrivalsEntry = "poisson"
    sizes: Literal["exponential", "deterministic", "lognormal", "bounded-pareto", "trace"] | SizesEntry = (
        "exponential"
    )


class RunEntry(Strict):
    """Defaults of gmsr run; times in emulated seconds."""

    policy: str = "gmsr"
    duration: Positive = 60.0
    warmup: NotNegative = 10.0
    seed: int = 1


class TopologyFile(Strict):
    """A gmsr topology."""

    dispatchers: Annotated[list[DispatcherEntry], Meta(min_length=1)]
    servers: Annotated[list[ServerEntry], Meta(min_length=1)]
    edges: Literal["complete"] | list[tuple[str, str] | EdgeEntry]
    name: str = ""
    scale: Positive = 1.0
    workload: WorkloadEntry = msgspec.field(default_factory=WorkloadEntry)
    run: RunEntry = msgspec.field(default_factory=RunEntry)


class Loaded(NamedTuple):
    """A topology, and what the user should know about how its file was read."""

    topology: Topology
    warnings: list[str]


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the topology file."""
    made = cast("dict[str, Any]", msgspec.json.schema(TopologyFile))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gmsr topology", **made}


def load(path: str | Path) -> Loaded:
    """Read a topology file. Raises UserError with one line on whatever is wrong with it."""
    path = Path(path)
    return resolve(_parse(path), path)


def resolve(content: object, path: Path) -> Loaded:
    """A file's parsed content as a topology; ``path`` names it in messages, and other files start from it."""
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise UserError(f"{path}: holds {found}, not a mapping; start with 'dispatchers:', 'servers:', 'edges:'")
    try:
        entry = _Converter(content).convert()
    except _Refused as error:
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
        return json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=_Loader)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: line {error.lineno}: {error.msg}; mend the JSON there") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{path}: {place}{what}; mend the YAML there") from error
    except RecursionError as error:
        raise UserError(f"{path}: nested too deeply; a topology file needs four levels") from error


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML without anchors (a few lines of them can expand without bound) and without double keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()
            raise yaml.constructor.ConstructorError(
                None, None, "aliases (*name) are not read; write the value out", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"field {key.value!r} stands twice; keep one", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Refused(Exception):
    """A field that is wrong, without the file's name."""


class _Converter:
    """Turns parsed content into the types above, or says in plain words what is wrong where."""

    def __init__(self, content: dict[Any, Any]) -> None:
        self._content = content

    def convert(self) -> TopologyFile:
        self._refuse_not_finite(self._content, "")
        try:
            # Not strict: YAML 1.1 takes 1e3 for text, and a number in quotes is a number meant.
            return msgspec.convert(self._content, TopologyFile, strict=False)
        except msgspec.ValidationError as error:
            raise _Refused(self._explain(str(error))) from error

    def _refuse_not_finite(self, value: object, place: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                self._refuse_not_finite(item, f"{place}.{key}" if place else str(key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._refuse_not_finite(item, f"{place}[{index}]")
        elif (isinstance(value, float) and not abs(value) < float("inf")) or (
            isinstance(value, str) and value.strip().lower() in {"nan", "inf", "-inf", "infinity", "-infinity"}
        ):
            raise _Refused(f"{self._name(place)}: {value} is no finite number; give one")

    def _explain(self, message: str) -> str:
        """msgspec's message, its place first: 'servers[1] (s2).curve.a: expected float > 0'."""
        what, _, place = message.partition(" - at `")
        place = place.rstrip("`").removeprefix("$").removeprefix(".")
        what = what[0].lower() + what[1:]
        value = self._value(place)
        if place.endswith(".kind"):
            known = self._kinds(place)
            what, mend = f"unknown kind {value!r}", f"choose one of {known}"
        elif "unknown field" in what:
            field = what.split("`")[1]
            what, mend = f"unknown field '{field}'", "remove it, or mend its spelling"
        elif "missing required field" in what:
            field = what.split("`")[1]
            what, mend = f"field '{field}' is missing", "add it"
        else:
            shown = "" if value is None or isinstance(value, (dict, list)) else f", got {value!r}"
            what, mend = what.replace("`", "") + shown, "mend the value"
        return f"{self._name(place)}: {what}; {mend}"

    @staticmethod
    def _kinds(place: str) -> str:
        if ".curve" in place:
            return ", ".join([*curves.KINDS, "llm"])
        known = SizesEntry if "sizes" in place else ArrivalsEntry
        kinds = known.__annotations__["kind"]
        literal = kinds if not hasattr(kinds, "__args__") else kinds.__args__
        names = [name for part in literal for name in getattr(part, "__args__", (part,)) if isinstance(name, str)]
        return ", ".join(names)

    def _steps(self, place: str) -> list[str | int]:
        return [
            int(step) if step.isdigit() else step
            for step in place.replace("[", ".").replace("]", "").split(".")
            if step
        ]

    def _value(self, place: str) -> object:
        value: Any = self._content
        for step in self._steps(place):
            try:
                value = value[step]
            except (LookupError, TypeError):
                return None
        return cast("object", value)

    def _name(self, place: str) -> str:
        """The place, with the id of the dispatcher or server that it is in."""
        if not place:
            return "file"
        steps = self._steps(place)
        if steps[0] in ("dispatchers", "servers") and len(steps) > 1:
            item = self._value(f"{steps[0]}[{steps[1]}]")
            if isinstance(item, dict) and isinstance(item.get("id"), str):
                head = f"{steps[0]}[{steps[1]}]"
                return place.replace(head, f"{head} ({item['id']})", 1)
        return place


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
