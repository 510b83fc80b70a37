"""Files that a user names, into plain data: bounded, UTF-8, YAML 1.2's core schema or JSON.

YAML is read as JSON is: on, off, yes and no are text, dates are text, 1e3 is a number. What could cost more than
it says is refused: aliases (a few lines of them expand without bound), tags, deep nesting (which makes libyaml
recurse until the process dies).
"""

import json
import re
from pathlib import Path
from typing import Any, cast

import yaml

from .errors import UserError

MAX_FILE_BYTES = 64 << 20
MAX_DEPTH = 32
"""A topology file needs six levels."""


def read_text(path: Path, what: str) -> str:
    """A file's text; ``what`` says in messages what the file should be. Raises UserError, a large file unread."""
    try:
        size = path.stat().st_size
        if size <= MAX_FILE_BYTES:
            with path.open("rb") as file:  # a device or a pipe has no size: what is read is bounded, too
                content = file.read(MAX_FILE_BYTES + 1)
            size = len(content)
        if size > MAX_FILE_BYTES:
            raise UserError(
                f"{path}: {size / 1e6:,.0f} MB is no {what}; the limit is {MAX_FILE_BYTES >> 20} MiB"
            )
        return content.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a readable {what}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is no UTF-8; save the file as UTF-8 text") from error
    except ValueError as error:  # a path with a null character
        raise UserError(f"{str(path)!r}: {error}; name a readable {what}") from error


def read_plain(path: Path, what: str = "topology file") -> object:
    """What a YAML file, or a JSON file (by its ending), holds. Raises UserError with file, line and mend."""
    text = read_text(path, what)
    try:
        return _json(text) if path.suffix.lower() == ".json" else _yaml(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: line {error.lineno}: {error.msg}; mend the JSON there") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{path}: {place}{what}; mend the YAML there") from error
    except RecursionError as error:
        raise UserError(f"{path}: nested too deeply; a topology file needs six levels") from error
    except ValueError as error:  # a whole number of thousands of digits, a field that stands twice
        raise UserError(f"{path}: {str(error).partition('; use sys')[0]}; mend the JSON there") from error


def _json(text: str) -> object:
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object without double keys, of which the last would win in silence."""
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"field {twice!r} stands twice in one object")
    return made


def _yaml(text: str) -> object:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            _refuse(f"aliases (*{event.anchor}) are not read, write the value out", event)
        if getattr(event, "tag", None) is not None:
            _refuse(f"tags ({cast('Any', event).tag}) are not read, write the plain value", event)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                _refuse("nested too deeply, a topology file needs six levels", event)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return yaml.load(text, Loader=_Loader)


def _refuse(problem: str, at: Any) -> None:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML of the core schema, without double keys, of which the last would win in silence."""

    # PyYAML's own are YAML 1.1's: "on" is true, 1:30 is 90, 1e3 is text, 2024-13-45 a crash.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own name and type)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                _refuse("a list or mapping names a field, use plain text", key)
            if key.value in seen:
                _refuse(f"field {key.value!r} stands twice, keep one", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]{0,99})", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})\\Z"), _first)
