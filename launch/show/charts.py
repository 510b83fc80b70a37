"""Interactive charts as Vega-Lite, for pages that show a run: the report, and whatever shows one while it goes on.

A chart names its data and holds none: whoever shows it hands the rows over by that name (``page.js`` from the page,
a live view from telemetry), so that one chart serves both. Colours come from the page's configuration
(``palette.chart_config``), so that one chart serves light and dark ground. Widths are those of what holds it; how many
columns a legend has is the page's to say too (``config.legend.columns``), for Vega lays legends out but once.

Rows by kind of chart:
- ``lines``      {"t", "who", "value"}: seconds, which line, null for a gap
- ``heat``       {"t", "who", "value"}: the middle of a bin of given width
- ``tail``       {"who", "latency", "share"}; ``density`` {"who", "low", "high", "share"}
- ``graph``      nodes {"id", "role", "x", "y", "rate", "marginal", "workload"}, edges {"from", "to", "y", "y2", "flow"}
- ``bars``       {"who", "value", "part"}; ``matrix`` {"from", "to", "value"}
- ``timeline``   {"what", "begin", "end", "kind"}: faults; also behind ``lines``, as ``bands``
- ``steps``      {"begin", "end", "aim"}: an optimum that changes, over ``lines``
"""

from typing import Any

import altair as alt

Spec = dict[str, Any]

HEIGHT = 260
ROW, FEWEST_ROWS = 18, 3
NODE, LEAST_GRAPH, MOST_GRAPH = 15, 240, 1800
LABELS = "min(150, width * 0.3)"
"""Pixels for names on either side of a graph."""
TIME = "time in s"


def lines(
    data: str,
    y: str,
    *,
    order: list[str],
    aims: dict[str, float] | None = None,
    steps: str | None = None,
    bands: str | None = None,
    log: bool = False,
    zero: bool = True,
) -> Spec:
    """Lines over time; dashed, ``aims``: words and what is to be reached, ``steps``: the same where it changes."""
    layers: list[Any] = []
    if bands:
        layers.append(
            alt.Chart(alt.NamedData(name=bands))
            .mark_rect(opacity=0.13)
            .encode(
                x=alt.X("begin:Q"),
                x2="end:Q",
                tooltip=[
                    alt.Tooltip("what:N", title="fault"),
                    _number("begin", "from, s"),
                    _number("end", "to, s"),
                ],
            )
        )
    scale = alt.Scale(type="log") if log else alt.Scale(zero=zero, nice=True)
    layers.append(
        alt.Chart(alt.NamedData(name=data))
        .mark_line(strokeWidth=1.6, invalid="break-paths-show-domains")
        .encode(
            x=alt.X("t:Q", title=TIME, scale=alt.Scale(nice=False)),
            y=alt.Y("value:Q", title=y, scale=scale),
            color=_colour("who", order),
            tooltip=[alt.Tooltip("who:N", title="line"), _number("t", TIME), _number("value", y)],
        )
    )
    if steps:
        layers.append(
            alt.Chart(alt.NamedData(name=steps))
            .mark_rule(strokeDash=[6, 4], strokeWidth=1.5)
            .encode(
                x=alt.X("begin:Q"),
                x2="end:Q",
                y=alt.Y("aim:Q"),
                tooltip=[_number("aim", "optimum"), _number("begin", "from, s"), _number("end", "to, s")],
            )
        )
    for words, value in (aims or {}).items():
        aim = alt.Chart(alt.InlineData(values=[{"aim": value, "words": words}]))
        layers.append(aim.mark_rule(strokeDash=[6, 4], strokeWidth=1.5).encode(y=alt.Y("aim:Q")))
        layers.append(
            aim.mark_text(align="right", baseline="bottom", dy=-3, dx=-4, fontWeight="bold")
            .encode(y=alt.Y("aim:Q"), x=alt.value("width"), text="words:N")
        )  # fmt: skip
    return _spec(alt.layer(*layers), HEIGHT)


def heat(data: str, value: str, *, order: list[str], width_s: float, most: float) -> Spec:
    """A row for each of many, time to the right, colour by value: from 0 to ``most``, and beyond."""
    chart = (
        alt.Chart(alt.NamedData(name=data))
        .transform_calculate(low=f"datum.t - {width_s / 2}", high=f"datum.t + {width_s / 2}")
        .mark_rect(stroke=None, invalid="filter")
        .encode(
            x=alt.X("low:Q", title=TIME, scale=alt.Scale(nice=False, zero=False)),
            x2="high:Q",
            y=alt.Y("who:N", title=None, sort=order, axis=_names(len(order))),
            color=alt.Color("value:Q", title=value, **_ramp(most)),
            tooltip=[alt.Tooltip("who:N", title="server"), _number("t", TIME), _number("value", value)],
        )
    )
    return _spec(chart, _rows(len(order), 8 if len(order) > 30 else ROW))


def density(data: str, *, order: list[str]) -> Spec:
    """Share of jobs by latency, logarithmic to the right."""
    chart = (
        alt.Chart(alt.NamedData(name=data))
        .mark_area(line=True, opacity=0.18, interpolate="step-after")
        .encode(
            x=alt.X("low:Q", title="latency in s", scale=alt.Scale(type="log", nice=False), axis=_decades()),
            y=alt.Y("share:Q", title="share of jobs", stack=None, axis=alt.Axis(format="%")),
            color=_colour("who", order),
            tooltip=[
                alt.Tooltip("who:N", title="run"), _number("low", "from, s"), _number("high", "to, s"),
                alt.Tooltip("share:Q", title="share of jobs", format=".2%"),
            ],
        )
    )  # fmt: skip
    return _spec(chart, HEIGHT)


def tail(data: str, *, order: list[str]) -> Spec:
    """How many jobs took longer than so long, both logarithmic."""
    chart = (
        alt.Chart(alt.NamedData(name=data))
        .mark_line(strokeWidth=1.8)
        .encode(
            x=alt.X("latency:Q", title="latency in s", scale=alt.Scale(type="log", nice=False), axis=_decades()),
            y=alt.Y(
                "share:Q", title="share of jobs that took longer", scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(format="~%", values=[10.0**-power for power in range(8)]),
            ),
            order="share:Q",
            color=_colour("who", order),
            tooltip=[
                alt.Tooltip("who:N", title="run"), _number("latency", "latency, s"),
                alt.Tooltip("share:Q", title="took longer", format=".3~%"),
            ],
        )
    )  # fmt: skip
    return _spec(chart, HEIGHT)


def graph(nodes: str, edges: str, *, count: int, widest: float, most: float) -> Spec:
    """Dispatchers to the left, servers to the right; edges as wide as their flow, servers coloured by marginal rate.

    ``count`` nodes on the longer side; ``widest``: the flow of the widest edge; ``most``: the last colour's marginal.
    """
    height = min(max(NODE * count, LEAST_GRAPH), MOST_GRAPH)
    across = alt.Scale(domain=[0, 1], range=[alt.ExprRef(LABELS), alt.ExprRef(f"width - {LABELS}")])
    x, y = {"scale": across, "axis": None}, {"scale": alt.Scale(domain=[0, 1]), "axis": None}
    wide = alt.Scale(domain=[0, widest or 1.0], range=[0, 9], clamp=True)
    flows = (
        alt.Chart(alt.NamedData(name=edges))
        .mark_rule(opacity=0.55, strokeCap="butt")
        .encode(
            x=alt.X("x:Q", **x), x2="x2:Q", y=alt.Y("y:Q", **y), y2="y2:Q",
            strokeWidth=alt.StrokeWidth("flow:Q", scale=wide, legend=None),
            tooltip=[alt.Tooltip("from:N"), alt.Tooltip("to:N"), _number("flow", "jobs/s")],
        )
    )  # fmt: skip
    thin = flows.mark_rule(opacity=0.25, strokeWidth=0.7).encode(strokeWidth=alt.value(0.7))
    facts = [
        alt.Tooltip("id:N"), _number("rate", "offered, jobs/s"), _number("marginal", "marginal rate"),
        _number("workload", "workload N"),
    ]  # fmt: skip
    spots = alt.Chart(alt.NamedData(name=nodes)).encode(
        x=alt.X("x:Q", **x), y=alt.Y("y:Q", **y), tooltip=facts
    )
    size = 110 if count <= 60 else 50
    servers = (
        spots.transform_filter("datum.role == 'server'")
        .mark_circle(size=size, opacity=1)
        .encode(color=alt.Color("marginal:Q", title="marginal rate μ′", **_ramp(most)))
    )  # fmt: skip
    dispatchers = spots.transform_filter("datum.role == 'dispatcher'").mark_square(size=size, opacity=1)
    label = {
        "baseline": "middle",
        "limit": alt.ExprRef(f"{LABELS} - 14"),
        "fontSize": 12 if count <= 60 else 10,
    }
    left = spots.transform_filter("datum.role == 'dispatcher'").mark_text(align="right", dx=-10, **label)
    right = spots.transform_filter("datum.role == 'server'").mark_text(align="left", dx=10, **label)
    return _spec(
        alt.layer(thin, flows, servers, dispatchers, left.encode(text="id:N"), right.encode(text="id:N")),
        height,
    )


def bars(data: str, value: str, *, rows: list[str], parts: list[str], stacked: bool = False) -> Spec:
    """Bars to the right, cut into parts where there are several; ``stacked``: parts of a whole, as shares."""
    x = alt.X(
        "value:Q",
        title=value,
        stack="normalize" if stacked else None,
        axis=alt.Axis(format="%" if stacked else "~s"),
    )
    chart = (
        alt.Chart(alt.NamedData(name=data))
        .mark_bar()
        .encode(
            x=x,
            y=alt.Y("who:N", title=None, sort=rows, axis=_names(len(rows))),
            tooltip=[alt.Tooltip("who:N", title="of"), alt.Tooltip("part:N", title="part"), _number("value", value)],
        )
    )  # fmt: skip
    if len(parts) > 1:
        chart = chart.encode(color=_colour("part", parts))
        if not stacked:
            chart = chart.encode(yOffset=alt.YOffset("part:N", sort=parts))
    return _spec(chart, _rows(len(rows), ROW * (1 if stacked or len(parts) < 2 else len(parts))))


def matrix(
    data: str, *, rows: list[str], columns: list[str], value: str = "share", most: float | None = None
) -> Spec:
    """Colour for each pair: which share went where, or another value from 0 to ``most``."""
    told = {"format": ".1%"} if most is None else {"format": ",.6~g"}
    chart = (
        alt.Chart(alt.NamedData(name=data))
        .mark_rect()
        .encode(
            x=alt.X(
                "to:N", title="server", sort=columns, axis=alt.Axis(labels=len(columns) <= 40, ticks=False)
            ),
            y=alt.Y("from:N", title=None, sort=rows, axis=_names(len(rows))),
            color=alt.Color("value:Q", title=value, **_ramp(most)),
            tooltip=[alt.Tooltip("from:N"), alt.Tooltip("to:N"), alt.Tooltip("value:Q", title=value, **told)],
        )
    )
    return _spec(chart, _rows(len(rows), 8 if len(rows) > 30 else ROW))


def timeline(data: str, *, order: list[str], end: float) -> Spec:
    """Faults, one below the other."""
    chart = (
        alt.Chart(alt.NamedData(name=data))
        .mark_bar(height=11, cornerRadius=2)
        .encode(
            x=alt.X("begin:Q", title=TIME, scale=alt.Scale(domain=[0, end], nice=False)),
            x2="end:Q",
            y=alt.Y("what:N", title=None, sort=order, axis=alt.Axis(labelLimit=220)),
            color=_colour("kind", None),
            tooltip=[
                alt.Tooltip("what:N", title="fault"),
                _number("begin", "from, s"),
                _number("end", "to, s"),
            ],
        )
    )
    return _spec(chart, _rows(len(order), ROW))


def _ramp(most: float | None = None) -> dict[str, Any]:
    """Colour that stands for a number from 0 to ``most``, and beyond; of a share where that is not said."""
    scale = {} if most is None else {"scale": alt.Scale(domain=[0.0, most or 1.0], clamp=True)}
    shares = {"format": "%"} if most is None else {}
    return {**scale, "legend": alt.Legend(orient="top", gradientLength=180, **shares)}


def _number(field: str, title: str) -> alt.Tooltip:
    return alt.Tooltip(f"{field}:Q", title=title, format=".4~g")


def _decades() -> alt.Axis:
    """Ticks of a logarithmic axis, as many as there is room for."""
    return alt.Axis(format="~g", tickCount=alt.ExprRef("max(3, width / 70)"), labelOverlap=True)


def _names(count: int) -> alt.Axis:
    """Names of rows: all of them while they can be read."""
    return alt.Axis(
        labelFontSize=12 if count <= 30 else 9, labelOverlap=count > 30, ticks=False, domain=False
    )


def _rows(count: int, height: int) -> int:
    return max(count, FEWEST_ROWS) * height


def _colour(field: str, order: list[str] | None) -> alt.Color:
    legend = alt.Legend(orient="top", title=None)  # in columns as the page has room
    scale = alt.Scale(domain=order) if order else alt.Undefined
    return alt.Color(
        f"{field}:N", scale=scale, legend=None if order is not None and len(order) < 2 else legend
    )


def _spec(chart: Any, height: int) -> Spec:
    made: Spec = chart.properties(width="container", height=height).to_dict(validate=True)
    made.pop("config", None)  # the page's, by its ground
    made["autosize"] = {"type": "fit-x", "contains": "padding"}
    return made
