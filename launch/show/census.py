"""Who said how much to whom: the census of messages, edge by edge."""

from typing import Any

from gmsr.broker.census import unstamped

from ..record.folder import read_json
from . import charts
from .graph import heights
from .parts import Figure, Section, by_rows
from .shown import Shown

MOST_EDGES = 20_000
"""Of more edges those with the most messages are told."""
HEADS = ["dispatcher", "server", "messages", "bytes", "messages to the server", "bytes to it", "messages back",
         "bytes back"]  # fmt: skip
KEYS = ["from", "to", "value", "bytes", "to_count", "to_bytes", "back_count", "back_bytes"]


def by_edge(shown: Shown) -> Section:
    """Messages and bytes both ways on every edge."""
    topology = shown.run.topology
    assert topology is not None
    said = _said(read_json(shown.run.path / "messages.json")["agents"])
    rows: list[Any] = []
    for edge in topology.edges:
        there = said.get((edge.dispatcher, edge.server), (0, 0))
        back = said.get((edge.server, edge.dispatcher), (0, 0))
        total = [one + other for one, other in zip(there, back, strict=True)]
        rows.append((edge.dispatcher, edge.server, *total, *there, *back))
    rows.sort(key=lambda row: -row[2])
    left, right = heights(topology)
    name = f"{shown.key}-census"
    most = max((row[2] for row in rows), default=0)
    chart = charts.matrix(name, rows=list(left), columns=list(right), value="messages", most=float(most))
    more = f" Of {len(rows)} edges the {MOST_EDGES} with the most messages." if len(rows) > MOST_EDGES else ""
    caption = (
        "Messages between each dispatcher and each of its servers, both ways, as their senders counted them in the "
        "whole run. Who was killed took its counts along." + more
    )
    table = by_rows(name, HEADS, rows[:MOST_EDGES], KEYS)
    return Section("Messages by edge", figures=[Figure("Census by edge", caption, chart, [table])])


def _said(agents: dict[str, Any]) -> dict[tuple[str, str], tuple[int, int]]:
    """Sender and receiver → messages, bytes; of all lives."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for life, census in agents.items():
        sender = life.partition("@")[0]
        for receiver, kinds in census["sent"].items():
            count, size = found.get((sender, receiver), (0, 0))
            told = unstamped(kinds).values()
            found[sender, receiver] = (
                count + sum(each[0] for each in told),
                size + sum(each[1] for each in told),
            )
    return found
