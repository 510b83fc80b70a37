"""Colours of all charts and pages, for all kinds of colour vision, on light and on dark ground."""

from typing import Any

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Okabe and Ito's palette. For print, and pages on light ground."""
ON_DARK = ("#4fa8e0", "#f08a4b", "#2fc597", "#e3a0c5", "#f2b93b", "#9ad4f5", "#ffffff", "#a8a8a8")
"""The same hues, lighter; what was black is white."""
SEQUENCE = "viridis"
"""From little to much: rises evenly in lightness, so that it survives grey print and all kinds of colour vision."""

LIGHT = {
    "ground": "#ffffff", "panel": "#f6f7f9", "text": "#1b1f24", "faint": "#59636e", "line": "#d5dae0",
    "accent": "#0b5f94", "bad": "#a33b00",
}  # fmt: skip
DARK = {
    "ground": "#14171b", "panel": "#1d2127", "text": "#e8eaed", "faint": "#a3acb6", "line": "#3a414a",
    "accent": "#7cc0f0", "bad": "#ffab7a",
}  # fmt: skip
"""Of pages. Text has a contrast of at least 4.5 on its ground and panel."""


def chart_config(dark: bool) -> dict[str, Any]:
    """A Vega configuration: what all interactive charts look like on one ground."""
    tone = DARK if dark else LIGHT
    font = "system-ui, sans-serif"
    words = {"labelColor": tone["text"], "titleColor": tone["text"], "labelFont": font, "titleFont": font}
    return {
        "background": None,
        "font": font,
        "view": {"stroke": None},
        "axis": {
            **words, "domainColor": tone["faint"], "tickColor": tone["faint"], "gridColor": tone["line"],
            "titleFontWeight": "normal", "labelFontSize": 12, "titleFontSize": 12, "labelLimit": 140,
        },
        "legend": {**words, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 180},
        "range": {
            "category": list(ON_DARK if dark else COLOURS),
            "ramp": {"scheme": SEQUENCE}, "heatmap": {"scheme": SEQUENCE},
        },
        "rule": {"color": tone["text"]},
        "text": {"color": tone["text"], "font": font, "fontSize": 12},
        "circle": {"stroke": tone["text"], "strokeWidth": 0.8},  # the sequence begins as dark as the ground
        "bar": {"color": (ON_DARK if dark else COLOURS)[0]},
        "rect": {"color": tone["faint"]},
    }  # fmt: skip
