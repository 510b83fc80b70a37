"""Traces of LLM requests in the Azure format, and the schedules that dispatchers play from them.

``TIMESTAMP,ContextTokens,GeneratedTokens``, one request a line. A job's size is its generated tokens; a
request that generated none still took a step, and counts as 1.
"""

import csv
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmsr.topology.errors import UserError

HEADER = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"]
MAX_BYTES = 256 << 20

Doubles = NDArray[np.float64]


class Trace(NamedTuple):
    """Requests in order of time."""

    seconds: Doubles  # since the first request
    context: Doubles  # tokens of the prompt
    sizes: Doubles  # generated tokens, at least 1

    @property
    def rate(self) -> float:
        """Requests per second over the whole trace."""
        return len(self.seconds) / self.span

    @property
    def span(self) -> float:
        """Seconds from the first request to one mean gap after the last."""
        count = len(self.seconds)
        return float(self.seconds[-1]) * count / (count - 1)


def read(path: Path) -> Trace:
    """Read a trace. Raises UserError with file, line and mend on whatever is wrong with it."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(f"{path}: {size / 1e6:,.0f} MB; at most {MAX_BYTES >> 20} MiB are read: cut it")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a readable trace") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is no UTF-8; save the trace as UTF-8 text") from error
    torn = text.count("\n") + 1 if not text.endswith("\n") else 0  # the published file has no last newline
    rows = csv.reader(text.splitlines())
    if next(rows, None) != HEADER:
        raise UserError(f"{path}: line 1: is not {','.join(HEADER)}; give a trace in the Azure format")
    times, tokens = [], []
    for number, row in enumerate(rows, start=2):
        try:
            stamp, context, generated = row
            times.append(_stamp(stamp))
            tokens.append((int(context), int(generated)))
        except ValueError as error:
            mend = (
                "the file is half-written: fetch it whole"
                if number == torn
                else "write time stamp,tokens,tokens"
            )
            raise UserError(f"{path}: line {number}: {','.join(row)!r} is no request; {mend}") from error
        if tokens[-1][1] < 0 or tokens[-1][0] < 0:
            raise UserError(f"{path}: line {number}: a negative number of tokens; mend it")
        if len(times) > 1 and times[-1] < times[-2]:
            raise UserError(f"{path}: line {number}: is earlier than the line before; sort the trace by time")
    if len(times) < 2 or times[-1] == times[0]:
        raise UserError(f"{path}: holds {len(times)} requests at one time; a trace needs two times at least")
    both = np.array(tokens, dtype=np.float64)
    seconds = np.array([time - times[0] for time in times])
    return Trace(seconds, both[:, 0], np.maximum(both[:, 1], 1.0))


def write(path: Path, trace: Trace, begin: datetime) -> None:
    """Write a trace that ``read`` reads; ``begin`` is the time of its first request."""
    with path.open("x", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(HEADER)
        for second, context, size in zip(*trace, strict=True):
            # Whole microseconds by integers: adding a float would round differently on the way back.
            stamp = np.datetime64(begin, "us") + np.timedelta64(round(float(second) * 1e6), "us")
            out.writerow([str(stamp).replace("T", " ") + "0", int(context), int(size)])


def split(trace: Trace, shares: Mapping[str, float], seed: int, speed: float) -> dict[str, Doubles]:
    """Each dispatcher's schedule: rows (arrival in emulated seconds, size).

    Request k goes to a dispatcher by a seeded hash (BLAKE2b of "seed/k", the same on every platform), each
    with a probability in proportion to its share; time runs ``speed`` times as fast as in the trace.
    """
    bounds = np.array(list(accumulate(shares.values()))) / sum(shares.values())
    draws = np.array([_draw(seed, number) for number in range(len(trace.seconds))])
    owners = np.minimum(np.searchsorted(bounds, draws, side="right"), len(bounds) - 1)
    rows = np.column_stack([trace.seconds / speed, trace.sizes])
    return {name: rows[owners == index] for index, name in enumerate(shares)}


def save_doubles(path: Path, values: Doubles) -> None:
    """Native doubles, row by row, as agents map them."""
    np.ascontiguousarray(values, dtype=np.float64).tofile(path)


def _draw(seed: int, number: int) -> float:
    digest = blake2b(f"{seed}/{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64


def _stamp(text: str) -> float:
    """Seconds since 1970; the Azure format has seven digits of fraction, one more than datetime takes."""
    whole, _, fraction = text.partition(".")
    if fraction and not fraction.isdigit():
        raise ValueError(text)
    moment = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S")
    seconds = (moment - datetime(1970, 1, 1)).total_seconds()
    return seconds + (int(fraction) / 10.0 ** len(fraction) if fraction else 0.0)


def _dispersion(trace: Trace, width_s: float) -> float:
    """Variance over mean of the number of requests in windows of ``width_s``; 1 for Poisson arrivals."""
    counts = np.bincount((trace.seconds / width_s).astype(np.int64))
    return float(counts.var() / counts.mean())


def statistics(trace: Trace) -> dict[str, Any]:
    """Figures by which traces are compared."""
    return {
        "requests": len(trace.seconds),
        "seconds": round(trace.span, 1),
        "rate": trace.rate,
        "size_mean": float(trace.sizes.mean()),
        "size_median": float(np.median(trace.sizes)),
        "size_p99": float(np.quantile(trace.sizes, 0.99)),
        "size_max": float(trace.sizes.max()),
        "context_median": float(np.median(trace.context)),
        **{f"dispersion_{width:g}s": _dispersion(trace, width) for width in (1.0, 10.0, 60.0)},
    }
