"""A picture of a topology: dispatchers to the left, servers to the right, edges between them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmsr.topology.generate import crossings_reduced
from gmsr.topology.graph import Topology

from .figure import panels, save, writable
from .palette import COLOURS

INCHES_A_NODE = 0.22
INCHES_MAX = 400.0
"""Matplotlib draws at most 65,536 pixels: beyond 1,800 nodes a side they move closer."""
DISPATCHER_COLOUR = COLOURS[0]
KIND_COLOURS = {
    "hyperbolic": "#009e73",
    "exponential": "#e69f00",
    "multicore": "#d55e00",
    "power": "#cc79a7",
    "logarithmic": "#56b4e9",
    "table": "#999999",
}


def draw(topology: Topology, out: Path, volume: Mapping[str, float]) -> None:
    """Draw to an SVG or PNG file. Areas of circles go by offered volume and by capacity.

    Raises UserError if the file exists, or its ending is neither.
    """
    writable(out, "--out")
    import matplotlib as mpl
    from matplotlib.collections import LineCollection

    at_left, at_right = heights(topology)
    count = max(len(at_left), len(at_right))
    height = min(INCHES_MAX, max(3.0, INCHES_A_NODE * count + 1.5))
    figure, (axes,) = panels(1, 9.0, height)
    edges = topology.edges
    fade = min(0.9, max(0.4, 25.0 / len(edges)))
    lines = [[(0.0, at_left[edge.dispatcher]), (1.0, at_right[edge.server])] for edge in edges]
    hues = mpl.colormaps["tab10"]  # an edge has its dispatcher's hue, so that the eye can follow it
    place = {name: place for place, name in enumerate(at_left)}
    colours = [hues(place[edge.dispatcher] % 10) for edge in edges]
    axes.add_collection(LineCollection(lines, colors=colours, alpha=fade, linewidths=1.0, zorder=1))
    _dispatchers(axes, topology, at_left, volume)
    _servers(axes, topology, at_right)
    axes.set_xlim(-0.35, 1.45)
    margin = 0.3 / height
    axes.set_ylim(-margin, 1.0 + margin)
    axes.axis("off")
    axes.set_title(
        f"{topology.name}: {len(at_left)} dispatchers, {len(at_right)} servers, {len(edges)} edges",
        fontsize=11,
    )
    save(figure, out, "--out")


def heights(topology: Topology) -> tuple[dict[str, float], dict[str, float]]:
    """Where dispatchers and servers stand, by id, from the top (1) to the bottom (0), so that few edges cross."""
    left = {dispatcher.id: index for index, dispatcher in enumerate(topology.dispatchers)}
    right = {server.id: index for index, server in enumerate(topology.servers)}
    pairs = [(left[edge.dispatcher], right[edge.server]) for edge in topology.edges]
    orders = crossings_reduced(len(left), len(right), pairs)
    at_left = {
        topology.dispatchers[index].id: _height(place, len(left)) for place, index in enumerate(orders[0])
    }
    at_right = {
        topology.servers[index].id: _height(place, len(right)) for place, index in enumerate(orders[1])
    }
    return at_left, at_right


def _height(place: int, count: int) -> float:
    """From 1 at the top to 0; a side of one node sits in the middle."""
    return 0.5 if count == 1 else 1.0 - place / (count - 1)


def _area(value: float, largest: float) -> float:
    return 25.0 + 130.0 * value / largest if largest > 0.0 else 60.0


def _dispatchers(axes: Any, topology: Topology, at: Mapping[str, float], volume: Mapping[str, float]) -> None:
    largest = max(volume.values())
    for dispatcher in topology.dispatchers:
        share = volume[dispatcher.id]
        axes.scatter([0.0], [at[dispatcher.id]], s=_area(share, largest), color=DISPATCHER_COLOUR, zorder=2)
        axes.annotate(
            f"{dispatcher.id}  {share:.4g}/s", (0.0, at[dispatcher.id]), (-9, 0), textcoords="offset points",
            ha="right", va="center", fontsize=8,
        )  # fmt: skip


def _servers(axes: Any, topology: Topology, at: Mapping[str, float]) -> None:
    finite = [server.curve.cap for server in topology.servers if server.curve.cap < float("inf")]
    largest = max(finite, default=0.0)
    shown = set()
    for server in topology.servers:
        cap, kind = server.curve.cap, server.curve.kind
        label = kind if kind not in shown else None
        shown.add(kind)
        axes.scatter(
            [1.0],
            [at[server.id]],
            s=_area(min(cap, largest), largest),
            color=KIND_COLOURS[kind],
            zorder=2,
            label=label,
        )
        text = f"{server.id}  up to {cap:.4g}/s" if cap < float("inf") else f"{server.id}  no cap"
        axes.annotate(
            text, (1.0, at[server.id]), (9, 0), textcoords="offset points", ha="left", va="center", fontsize=8
        )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=len(shown), fontsize=8, frameon=False)
