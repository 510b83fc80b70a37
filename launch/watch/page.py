"""The page of ``gmsr watch``: its files, and its charts as Vega-Lite, whose data the page's script fills in."""

from typing import Any

import jinja2

from ..show import charts as chart
from ..show import vega
from ..show.palette import DARK, LIGHT, chart_config

LINES = 8
"""Of more servers a chart has rows of colour."""
COLUMNS = 120
"""So many moments are shown of each row."""
LOOKS = {
    "configs": {"light": chart_config(dark=False), "dark": chart_config(dark=True)},
    "columns": COLUMNS,
    "lines": LINES,
}
FIGURES = (
    ("graph", "Who sends how much where",
     "Edges are as wide as their flow. Servers are coloured by what one more job would add to their service rate: at "
     "the optimum those that a dispatcher uses have the same colour."),
    ("workload", "Jobs in the system, ΣN",
     "Jobs at all servers over the scale n. Dashed: the optimum, as faults change it. Grey: a fault was there."),
    ("latency", "Latency", "Mean of the jobs that completed lately, and since the warm-up. Dashed: the optimum."),
    ("marginals", "Marginal service rates", "What one more job would add to each server's rate."),
    ("rates", "Jobs a second", "That arrived, and that completed."),
    ("messages", "Messages a second", "Sent by all agents, by kind."),
)  # fmt: skip
"""Name of the chart and of its data, title, caption."""


def files() -> dict[str, tuple[str, bytes]]:
    """Everything that the page loads, by name: its kind, and its content."""
    loader = jinja2.ChoiceLoader(
        [jinja2.PackageLoader("gmsr.launch.watch"), jinja2.PackageLoader("gmsr.launch.show")]
    )
    templates = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )

    def made(name: str, **given: Any) -> bytes:
        return templates.get_template(name).render(**given).encode()

    return {
        "": ("text/html", made("watch.html", figures=FIGURES)),
        "watch.css": ("text/css", made("watch.css", grounds=[("light", LIGHT), ("dark", DARK)])),
        "watch.js": ("text/javascript", made("watch.js")),
        "vega.js": ("text/javascript", vega.script().encode()),
    }


def charts(about: dict[str, Any]) -> dict[str, Any]:
    """Vega-Lite by name of figure; all over the whole duration."""
    servers = [name for name, _ in about["servers"]]
    count = max(len(servers), len(about["dispatchers"]))
    duration, pace = about["plan"]["duration"], about["plan"].get("pace", 1.0)
    made = {
        "graph": chart.graph("nodes", "edges", count=count, widest=about["widest"], most=about["most"]),
        "workload": chart.lines("workload", "workload ΣN", order=["ΣN"], steps="aims", bands="faults"),
        "latency": chart.lines(
            "latency", "latency in s", order=["now", "so far"], steps="latency-aims", bands="faults"
        ),
        "rates": chart.lines("rates", "jobs a second", order=["offered", "completed"], bands="faults"),
        "messages": chart.lines("messages", "messages a second", order=about["kinds"], bands="faults"),
    }
    if len(servers) <= LINES:
        made["marginals"] = chart.lines(
            "marginals", "marginal rate μ′", order=sorted(servers), bands="faults", zero=False
        )
    else:
        width = max(duration / COLUMNS, pace)
        made["marginals"] = chart.heat(
            "marginals", "marginal rate μ′", order=servers, width_s=width, most=about["most"]
        )
    for name, spec in made.items():
        if name != "graph":
            _over(spec, duration)
    return made


def _over(spec: dict[str, Any], duration: float) -> None:
    """Time from 0 to the end of the run, so that what has come stands where it will stand."""
    for layer in spec.get("layer", [spec]):
        x = layer["encoding"].get("x", {})
        if "field" in x:
            x["scale"] = {"domain": [0.0, duration], "nice": False}
        layer["mark"] = {**layer["mark"], "clip": True}
