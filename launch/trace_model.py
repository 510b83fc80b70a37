"""Synthetic traces: a model fitted to a real trace's rates and sizes, and traces drawn from it.

What is kept: how long the service is busy and how long it is silent (in slots of a second, by their
empirical quantiles), the rate of each busy spell, the distributions of prompt and generated tokens. What is
not: correlation between spells, between one request's tokens (−0.02 in the real trace), between neighbours' sizes
(−0.01), and what happens within a spell, which is Poisson here.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmsr.topology.errors import UserError

from .traces import Trace

SLOT_S = 1.0
LEVELS = np.concatenate(
    [np.linspace(0.0, 0.95, 20), [0.97, 0.98, 0.985, 0.99, 0.995, 0.998, 0.999, 0.9995, 1.0]]
)
"""Quantiles that a distribution is kept by; closer in the tail, which carries much of the mean."""
BEGIN = datetime(2000, 1, 1)
"""Synthetic traces start here, so that nobody takes one for a measurement."""

Doubles = NDArray[np.float64]


class TraceModel(NamedTuple):
    """Quantiles at ``LEVELS``."""

    busy: Doubles  # slots of a busy spell
    silent: Doubles  # slots between two spells
    rate: Doubles  # requests per slot of a busy spell
    context: Doubles  # tokens of a prompt
    sizes: Doubles  # generated tokens


def fit(trace: Trace) -> TraceModel:
    """Fit the model. Raises UserError where the trace has no silence between two busy spells."""
    counts = np.bincount((trace.seconds / SLOT_S).astype(np.int64))
    active = (counts > 0).astype(np.int8)
    turns = np.flatnonzero(np.diff(active)) + 1
    spells = np.split(counts, turns)  # alternately busy and silent; a trace starts with a request
    busy, silent = spells[0::2], spells[1::2]
    if len(busy) < 3 or not silent:
        raise UserError("trace: fewer than three busy spells with silence between them; give a longer one")
    return TraceModel(
        _quantiles([len(spell) for spell in busy]),
        _quantiles([len(spell) for spell in silent]),
        _quantiles([spell.mean() for spell in busy]),
        _quantiles(trace.context),
        _quantiles(trace.sizes),
    )


def generate(model: TraceModel, requests: int, seed: int) -> Trace:
    """``requests`` requests drawn from the model; a pure function of the seed."""
    random = np.random.Generator(np.random.PCG64(seed))
    clock, count = 0.0, 0
    times: list[Doubles] = []
    while count < requests:
        length = max(1.0, round(_draw(model.busy, random, 1)[0])) * SLOT_S
        mean = _draw(model.rate, random, 1)[0] / SLOT_S * length
        number = max(1, int(random.poisson(mean)))  # a spell without a request would be silence
        times.append(clock + np.sort(random.random(number)) * length)
        clock += length + max(1.0, round(_draw(model.silent, random, 1)[0])) * SLOT_S
        count += number
    seconds = np.concatenate(times)[:requests]
    context = np.rint(_draw(model.context, random, requests))
    sizes = np.maximum(np.rint(_draw(model.sizes, random, requests)), 1.0)
    return Trace(seconds - seconds[0], context, sizes)


def save(path: Path, model: TraceModel, origin: str) -> None:
    """Write a model as JSON to a new file."""
    plain = {name: [round(float(value), 4) for value in values] for name, values in model._asdict().items()}
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump(
                {"origin": origin, "levels": [round(float(level), 6) for level in LEVELS], **plain},
                file,
                indent=1,
            )
            file.write("\n")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a new file that can be written") from error


def load(path: Path) -> TraceModel:
    """Read a model. Raises UserError if it is none."""
    try:
        plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not np.allclose(plain["levels"], LEVELS):
            raise ValueError("other levels")
        fields = {name: np.array(plain[name], dtype=np.float64) for name in TraceModel._fields}
        if any(len(values) != len(LEVELS) or not np.isfinite(values).all() for values in fields.values()):
            raise ValueError("a field of another length")
        return TraceModel(**fields)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a trace model") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is no trace model ({error}); make one with gmsr trace fit") from error


def _quantiles(values: Any) -> Doubles:
    made: Doubles = np.quantile(np.asarray(values, dtype=np.float64), LEVELS)
    return made


def _draw(quantiles: Doubles, random: np.random.Generator, count: int) -> Doubles:
    """By inverse transform, linear between the levels."""
    made: Doubles = np.interp(random.random(count), LEVELS, quantiles)
    return made
