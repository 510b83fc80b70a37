"""Bipartite graphs from elsewhere, read by NetworkX: edge lists, GraphML, JSON node-link.

A graph brings nodes and edges; rates and curves are given to it as to a generated one. Which side a node is
on is told by a node attribute ``side`` (or NetworkX's own ``bipartite``: 0, 1), or by the order in each line of
an edge list: dispatcher first.
"""

import json
import re
from pathlib import Path
from typing import Any

import networkx as nx

from .errors import UserError

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
SIDES = {"dispatcher": 0, "d": 0, "0": 0, "server": 1, "s": 1, "1": 1}
MAX_BYTES = 64 << 20


def read(path: Path) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """Dispatchers, servers and edges of a graph file, by its ending: .graphml, .json, anything else a list.

    Raises UserError with file, place and mend.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES >> 20} MiB; cut it")
        if path.suffix == ".graphml":
            graph = nx.read_graphml(path)
        elif path.suffix == ".json":
            graph = nx.node_link_graph(json.loads(path.read_text(encoding="utf-8")), edges="links")
        else:
            return _listed(path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a readable graph") from error
    except UserError:
        raise
    except Exception as error:  # NetworkX and its parsers raise many kinds
        raise UserError(
            f"{path}: {type(error).__name__}: {error}; give GraphML, node-link JSON or edges"
        ) from error
    return _sided(path, graph)


def _listed(path: Path) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """Lines "dispatcher server", separated by blanks, tabs or a comma; # starts a comment."""
    edges = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
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
    sides: dict[str, int] = {}
    for node, attributes in graph.nodes(data=True):
        said = str(attributes.get("side", attributes.get("bipartite", ""))).lower()
        if said not in SIDES:
            raise UserError(
                f"{path}: node {node}: no attribute side (dispatcher or server), nor bipartite (0 or 1); add it"
            )
        sides[str(node)] = SIDES[said]
    edges = []
    for left, right in graph.edges():
        pair = (str(left), str(right))
        if sides[pair[0]] == sides[pair[1]]:
            raise UserError(f"{path}: edge {left} to {right} joins two of one side; edges join both sides")
        edges.append(pair if sides[pair[0]] == 0 else (pair[1], pair[0]))
    groups = [[name for name, side in sides.items() if side == which] for which in (0, 1)]
    return _checked(path, groups[0], groups[1], edges)


def _checked(
    path: Path, dispatchers: list[str], servers: list[str], edges: list[tuple[str, str]]
) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    if not edges:
        raise UserError(f"{path}: holds no edge; a topology needs one at least")
    for name in (*dispatchers, *servers):
        if not ID.fullmatch(name):
            raise UserError(f"{path}: {name!r} is no id; use letters, digits, '.', '_' and '-', 63 at most")
    return dispatchers, servers, list(dict.fromkeys(edges))
