"""The project's own small library of measured curves (``library/decode.json``; SOURCES.md says whence)."""

import json
from importlib.resources import files

from .errors import UserError


def names() -> list[str]:
    """Names of all curves."""
    return sorted(_library())


def load(name: str) -> list[tuple[float, float]]:
    """Points (sequences in the batch, tokens per second) as measured.

    Raises UserError (without a file's name) if there is no such curve.
    """
    library = _library()
    if name not in library:
        raise UserError(f"no measured curve is called {name!r}; choose one of {', '.join(sorted(library))}")
    return [(float(n), float(rate)) for n, rate in library[name]]


def _library() -> dict[str, list[list[float]]]:
    text = files("gmsr.topology").joinpath("library/decode.json").read_text(encoding="utf-8")
    curves: dict[str, list[list[float]]] = json.loads(text)["curves"]
    return curves
