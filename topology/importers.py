"""Bipartite graphs from elsewhere, read by NetworkX: edge lists, GraphML, JSON node-link.

A graph brings nodes and edges; rates and curves are given to it as to a generated one. Which side a node is
on is told by a node attribute ``side`` (or NetworkX's own ``bipartite``: 0, 1), by the direction of edges where no
node has one, or by the order in each line of an edge list: dispatcher first. An undirected graph without the
attribute is refused: its two sides could be told, but not which of them routes.
"""

import json
import re
from pathlib import Path
from typing import Any

import networkx as nx

from .errors import UserError
from .reading import read_text

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
SIDES = {"dispatcher": 0, "d": 0, "0": 0, "server": 1, "s": 1, "1": 1}


def read(path: Path) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """Dispatchers, servers and edges of a graph file, by its ending: .graphml, .json, anything else a list.

    Raises UserError with file, place and mend.
    """
    text = read_text(path, "graph")
    form = path.suffix.lower()
    if form not in (".graphml", ".json"):
        return _listed(path, text)
    try:
        graph = nx.parse_graphml(text) if form == ".graphml" else _linked(json.loads(text))
    except Exception as error:  # NetworkX and its parsers raise many kinds
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"{path}: {what}; give GraphML, node-link JSON or edges") from error
    return _sided(path, graph)


def _linked(content: Any) -> Any:
    """Node-link JSON, with its edges under ``edges`` (NetworkX from 3.6 on) or ``links`` (before)."""
    edges = "edges" if "edges" in content else "links"
    return nx.node_link_graph(content, edges=edges)


def _listed(path: Path, text: str) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """Lines "dispatcher server", separated by blanks, tabs or a comma; # starts a comment."""
    edges = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        if len(words) != 2:
            raise UserError(f"{path}: line {number}: {line.strip()!r} is no edge; write dispatcher server")
        edges.append((words[0], words[1]))
    both = {left for left, _ in edges} & {right for _, right in edges}
    if both:
        raise UserError(f"{path}: {min(both)} stands on both sides; give its two roles two names")
    return _checked(
        path, list(dict.fromkeys(d for d, _ in edges)), list(dict.fromkeys(s for _, s in edges)), edges
    )


def _sided(path: Path, graph: Any) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    sides = _sides(path, graph)
    edges = []
    for left, right in graph.edges():
        pair = (str(left), str(right))
        if sides[pair[0]] == sides[pair[1]]:
            raise UserError(f"{path}: edge {left} to {right} joins two of one side; edges join both sides")
        edges.append(pair if sides[pair[0]] == 0 else (pair[1], pair[0]))
    groups = [[name for name, side in sides.items() if side == which] for which in (0, 1)]
    return _checked(path, groups[0], groups[1], edges)


def _sides(path: Path, graph: Any) -> dict[str, int]:
    """0 for dispatchers, 1 for servers."""
    said = {node: data.get("side", data.get("bipartite")) for node, data in graph.nodes(data=True)}
    if graph.is_directed() and all(side is None for side in said.values()):
        return _directed(path, graph)
    sides: dict[str, int] = {}
    for node, side in said.items():
        if side is None:
            mend = (
                "add it" if graph.is_directed() else "add it, or direct the edges from dispatcher to server"
            )
            raise UserError(
                f"{path}: node {node}: no attribute side (dispatcher or server), nor bipartite (0 or 1); {mend}"
            )
        if str(side).lower() not in SIDES:
            raise UserError(f"{path}: node {node}: side {side!r} is none; write dispatcher or server")
        sides[str(node)] = SIDES[str(side).lower()]
    return sides


def _directed(path: Path, graph: Any) -> dict[str, int]:
    """Sides by direction: what has outgoing edges is a dispatcher, what has incoming ones a server."""
    sides = {}
    for node in graph.nodes():
        leaves, arrives = graph.out_degree(node) > 0, graph.in_degree(node) > 0
        if leaves == arrives:
            what = "edges both leave and reach it" if leaves else "it has no edge"
            raise UserError(f"{path}: node {node}: {what}, so its side is not told; add an attribute side")
        sides[str(node)] = 0 if leaves else 1
    return sides


def _checked(
    path: Path, dispatchers: list[str], servers: list[str], edges: list[tuple[str, str]]
) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    if not edges:
        raise UserError(f"{path}: holds no edge; a topology needs one at least")
    for name in (*dispatchers, *servers):
        if not ID.fullmatch(name):
            raise UserError(f"{path}: {name!r} is no id; use letters, digits, '.', '_' and '-', 63 at most")
    return dispatchers, servers, list(dict.fromkeys(edges))
