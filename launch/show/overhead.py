"""Picture of ``gmsr overhead``: latency over the optimum against messages, and messages against the graph."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .figure import panels, save
from .palette import COLOURS

MARKS = "os^Dvp*X"


def draw(found: Mapping[str, Any], out: Path) -> None:
    """Draw what ``launch.overhead`` found."""
    figure, axes = panels(2 if found["growth"] else 1)
    _trade(axes[0], found["costs"])
    if found["growth"]:
        _growth(axes[1], found["growth"])
    figure.suptitle("What dispatchers know, and what it costs", fontsize=11)
    save(figure, out)


def _trade(axes: Any, costs: Any) -> None:
    policies = list(dict.fromkeys(each["policy"] for each in costs))
    feeds = list(dict.fromkeys(each["feed"] for each in costs))
    for each in costs:
        value = each["ratio"] or each["latency"]
        if value is None:
            continue
        axes.plot(
            each["told_per_job"],
            value,
            MARKS[policies.index(each["policy"]) % len(MARKS)],
            color=COLOURS[feeds.index(each["feed"]) % len(COLOURS)],
            label=f"{each['policy']}, {each['feed']}",
        )
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_xlabel("reports and questions a job")
    axes.set_ylabel("mean latency over the optimum" if costs[0]["ratio"] else "mean latency in s")
    axes.legend(fontsize=6, frameon=False)


def _growth(axes: Any, rows: Any) -> None:
    fewest = min(each["servers"] for each in rows)
    for index, feed in enumerate(dict.fromkeys(each["feed"] for each in rows)):
        own = [each for each in rows if each["feed"] == feed and each["servers"] == fewest]
        counts = [each["dispatchers"] for each in own]
        colour = COLOURS[index % len(COLOURS)]
        axes.loglog(counts, [each["told_per_job"] for each in own], "o", color=colour, label=feed)
        axes.loglog(counts, [each["told_per_job_by_formula"] for each in own], color=colour, linewidth=0.8)
    axes.set_xlabel("dispatchers (same load in all)")
    axes.set_ylabel("reports and questions a job")
    axes.set_title("dots: counted, lines: formula", fontsize=10)
    axes.legend(fontsize=6, frameon=False)
