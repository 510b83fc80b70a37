"""Parsed content into the format's types, or one plain sentence on what is wrong where, and how to mend it."""

import re
from typing import Any, TypeVar, cast

import msgspec

from . import curves, faults
from .format import Strict

File = TypeVar("File", bound=Strict)

MAX_DEPTH = 32
ARRIVALS = "poisson, deterministic, on-off, or {trace: FILE}"
SIZES = "exponential, deterministic, lognormal, bounded-pareto, trace"
ID_RULE = "use letters, digits, '.', '_' and '-', a letter or digit first, 63 at most"
WORDS = {
    "object": "a mapping",
    "array": "a list",
    "str": "text",
    "float": "a number",
    "int": "a whole number",
}
"""What msgspec calls by Python's and JSON's names."""


class Refused(Exception):
    """A field that is wrong, without the file's name."""


def convert(content: dict[Any, Any], kind: type[File]) -> File:
    """A file's content, checked. Raises Refused, with the field and the mend."""
    _refuse_not_finite(content, content, "", 0)
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise Refused(
            " ".join(_explain(content, str(error)).split())
        ) from error  # a name may hold a line's end


def _refuse_not_finite(content: object, value: object, place: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Refused(f"{place[:60]}…: nested too deeply; a topology file needs six levels")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_not_finite(content, item, f"{place}.{key}" if place else str(key), depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_not_finite(content, item, f"{place}[{index}]", depth + 1)
    elif isinstance(value, float) and not abs(value) < float("inf"):
        raise Refused(f"{_name(content, place)}: {value} is no finite number; give one")


def _explain(content: object, message: str) -> str:
    """msgspec's message, its place first: 'servers[1] (s2).curve.a: expected a number > 0, got -1; …'."""
    what, _, place = message.partition(" - at `")
    place, of_key = place.rstrip("`"), place.startswith("key` in `")
    place = place.removeprefix("key` in `").removeprefix("$").removeprefix(".")
    where = _name(content, place)
    if of_key:
        return f"{where}: a field's name is no text; put it in quotes"
    if "unknown field" in what:
        return f"{where}: unknown field '{what.split('`')[1]}'; remove it, or mend its spelling"
    if "missing required field" in what:
        field = what.split("`")[1]
        known = f": one of {_known(place + '.kind')}" if field == "kind" else ""
        return f"{where}: field '{field}' is missing; add it{known}"
    value = _value(content, place)
    known = _known(place)
    if known and (what.startswith("Invalid") or place.endswith(".kind")):
        return f"{where}: unknown kind {_shown(value)}; choose one of {known}"
    if re.search(r"\.(id|host)$|^hosts\[\d+\]\.name$", place) and isinstance(value, str):
        return f"{where}: {_shown(value)} is no id; {ID_RULE}"
    what = re.sub(r", got .*", "", what.removeprefix("Expected "))
    what = re.sub(r"`([^`]*)`", lambda found: _plain(found[1]), what).replace(".0", "")
    what = f"expected {what}" if message.startswith("Expected") else what[0].lower() + what[1:]
    return f"{where}: {what}, got {_shown(value)}; {_mend(place, what, value)}"


def _plain(types: str) -> str:
    """'float | object' as 'a number or a mapping'."""
    return " or ".join(WORDS.get(each, each) for each in types.split(" | "))


def _mend(place: str, what: str, value: object) -> str:
    if re.fullmatch(r"edges\[\d+\](\[\d+\])?", place):
        return (
            "write [dispatcher, server] or {from: dispatcher, to: server}; ids that are numbers go in quotes"
        )
    if re.fullmatch(r"faults(\[\d+\])?", place):
        entry = "{kind: …, at: seconds, …}"
        return f"write {entry}" if place != "faults" else f"write a list of {entry}"
    if place.endswith(".edge"):
        return "write [dispatcher, server]"
    if place.endswith(".group"):
        return "write a list of ids"
    if re.search(r"points\[\d+\]$", place):
        return "write [N, rate]"
    if place.endswith(".curve"):
        return "write {kind: …} with the kind's parameters"
    if place.endswith(".smoothing"):
        return "write 0 (none), a share of the last kink, or {width: …} in units of N"
    if place == "edges":
        return "write a list of [dispatcher, server], or complete"
    if "text" in what and isinstance(value, (int, float)):
        return "put it in quotes"
    if "number" in what and isinstance(value, str):
        return "write a plain number, without quotes"
    return "mend the value"


def _known(place: str) -> str:
    """The kinds that may stand at a place."""
    if place.endswith(".curve.kind"):
        return ", ".join([*curves.KINDS, "llm"])
    if re.fullmatch(r"faults\[\d+\]\.kind", place):
        return ", ".join(faults.KINDS)
    if place in ("workload.arrivals", "workload.arrivals.kind"):
        return ARRIVALS
    if place in ("workload.sizes", "workload.sizes.kind"):
        return SIZES
    return "complete, or a list of [dispatcher, server]" if place == "edges" else ""


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "a mapping"
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _steps(place: str) -> list[str | int]:
    steps = place.replace("[", ".").replace("]", "").split(".")
    return [int(step) if step.isdigit() else step for step in steps if step]


def _value(content: object, place: str) -> object:
    value: Any = content
    for step in _steps(place):
        try:
            value = value[step]
        except (LookupError, TypeError):
            return None
    return cast("object", value)


def _name(content: object, place: str) -> str:
    """The place, with the name of the dispatcher, server or host that it is in."""
    steps = _steps(place)
    if len(steps) > 1 and steps[0] in ("dispatchers", "servers", "hosts"):
        head = f"{steps[0]}[{steps[1]}]"
        item = _value(content, head)
        known = (item.get("id") or item.get("name")) if isinstance(item, dict) else None
        if isinstance(known, str) and known.isprintable():
            return place.replace(head, f"{head} ({known[:70]})", 1)
    return place or "file"
