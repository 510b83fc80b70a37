"""What a page is put together from: plain data between what is known of a run and how it is shown."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

DIGITS = 5
"""Of numbers in a page's data: more than anybody reads off a chart, and much smaller."""


class Table(NamedTuple):
    """Named columns. A chart knows the table by its name, and its columns by their keys."""

    name: str  # also of its CSV file
    heads: list[str]  # for people, with units
    columns: list[list[Any]]
    keys: Sequence[
        str
    ] = ()  # for charts; none: the first column is "t", each other one a line ("who", "value")

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The same, row by row."""
        return list(zip(*self.columns, strict=True))


class Figure(NamedTuple):
    """A chart with its words and its data; the first table is shown as its equal in numbers."""

    title: str
    caption: str
    chart: dict[str, Any]  # Vega-Lite
    tables: list[Table]

    @property
    def id(self) -> str:
        """Of its element."""
        return f"figure-{self.tables[0].name}"


class Tile(NamedTuple):
    """A figure that is to be seen first."""

    label: str
    value: str
    note: str = ""


class Section(NamedTuple):
    """A heading and what stands under it."""

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    code: Sequence[tuple[str, str]] = ()  # label, text as it is to be copied
    files: Sequence[tuple[str, str]] = ()  # name, content to download
    tiles: Sequence[Tile] = ()


def rounded(values: Iterable[Any]) -> list[Any]:
    """Numbers with few digits; what is none, or infinite, is None."""
    return [_short(value) for value in values]


def wide(name: str, t: Iterable[float], lines: Mapping[str, Iterable[float]], unit: str) -> Table:
    """A table of lines over time."""
    heads = ["time in s", *(f"{who} ({unit})" if unit else who for who in lines)]
    return Table(name, heads, [rounded(t), *(rounded(values) for values in lines.values())])


def by_rows(
    name: str, heads: Sequence[str], rows: Iterable[Sequence[Any]], keys: Sequence[str] = ()
) -> Table:
    """A table given row by row."""
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in heads]
    return Table(name, list(heads), columns, list(keys))


def _short(value: Any) -> Any:
    if isinstance(value, str) or value is None:
        return value
    number = float(value)
    return float(f"{number:.{DIGITS}g}") if isfinite(number) else None
