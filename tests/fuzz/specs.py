"""Small specifications from a tape, and a journal that takes nothing but what a file would."""

import struct
from typing import Any

from gmsr.agents import process
from gmsr.agents.feeds import FEEDS
from gmsr.agents.feeds.correction import CORRECTED, extras
from gmsr.agents.journal import JOB_ROW, VISIT_ROW
from gmsr.agents.policies import POLICIES
from gmsr.agents.spec import load

from .frames import RUN
from .tape import Tape

RATES = (2.0, 0.0, 0.5)
HEARTBEATS = (0.5, 0.1, 4.0)
DURATION_S = 20.0
CURVES: tuple[dict[str, object], ...] = (
    {"kind": "hyperbolic", "a": 4.0, "b": 2.0},
    {"kind": "exponential", "a": 2.0, "b": 1.5},
    {"kind": "multicore", "m": 1.0, "k": 2},
    {"kind": "power", "a": 1.5, "p": 0.5},
    {"kind": "logarithmic", "a": 1.0, "b": 1.0},
    {"kind": "table", "points": [[1.0, 1.0], [4.0, 2.0]]},
)
RULES = [(path, list(load(path).reads)) for path in POLICIES.values()]
"""Every policy, loaded now: what it costs to import is nobody's input's."""


class CheckedRows:
    """A journal in memory: each row fits its format, is opened once and settled once."""

    __slots__ = ("_pack", "open_rows", "settled")

    def __init__(self, row: struct.Struct) -> None:
        self._pack = row.pack
        self.open_rows: dict[int, int] = {}
        self.settled = 0

    def open(self, number: int, peer: int, state: int, *rest: float) -> int:
        self._pack(number, peer, state, *rest)
        place = self.settled + len(self.open_rows)
        self.open_rows[place] = number
        return place

    def settle(self, place: int, number: int, peer: int, state: int, *rest: float) -> None:
        self._pack(number, peer, state, *rest)
        assert self.open_rows.pop(place, None) == number, "a row is settled twice, or for another job"
        self.settled += 1


def _common(tape: Tape) -> dict[str, Any]:
    return {
        "run": RUN,
        "duration": DURATION_S,
        "cooldown": 2.0,
        "heartbeat": tape.pick(HEARTBEATS),
        "seed": tape.byte() % 4,
    }


def _corrected(reads: list[str], wanted: bool) -> dict[str, Any]:
    """Local correction, where the quantities allow for it."""
    allowed = wanted and bool(reads) and set(reads) <= set(CORRECTED)
    return {"extras": list(extras(reads)) if allowed else [], "corrected": allowed}


def dispatcher(tape: Tape, rate: float | None = None) -> tuple[Any, dict[str, Any], CheckedRows]:
    """A machine, its specification and its journal."""
    path, reads = tape.pick(RULES)
    shape, rate = tape.byte(), tape.pick(RATES) if rate is None else rate
    servers = ["s1", "s2", "s3"][: 1 + shape % 3]
    later = shape // 4 % 4 == 3
    spec: Any = {
        **_common(tape),
        "delays": {},
        "id": "d1",
        "life": 2 if later else 1,
        "born": 5.0 if later else 0.0,
        "servers": servers,
        "weights": [1.0, 2.0, 0.0][: len(servers)],
        "reads": reads,
        **_corrected(reads, shape // 16 % 4 == 1),
        "asking": (None, None, {"d": "2"}, {"pool": "2"})[shape // 16 % 4] if reads else None,
        "policy": path,
        "options": {},
        "again": bool(shape & 64),
        "arrivals": {"kind": "poisson", "rate": rate, "on": 1.0, "off": 1.0, "schedule": ""},
        "sizes": {
            "kind": "exponential", "mean": 1.0, "sigma": 1.0, "alpha": 1.5, "ratio": 10.0, "values": "",
        },
    }  # fmt: skip
    rows = CheckedRows(JOB_ROW)
    return process.dispatcher(spec, rows), spec, rows


def server(tape: Tape, _rate: float | None = None) -> tuple[Any, dict[str, Any], CheckedRows]:
    """A machine, its specification and its journal."""
    shape = tape.byte()
    spec: Any = {
        **_common(tape),
        "id": "s1",
        "life": 1,
        "born": 0.0,
        "dispatchers": ["d1", "d2", "d3"][: 1 + shape % 3],
        "curve": tape.pick(CURVES),
        "scale": (1.0, 4.0)[shape // 4 % 2],
        "smoothing": (0.0, 0.5)[shape // 8 % 2],
        "learn": bool(shape & 128),
        "reads": (reads := tape.pick(RULES)[1]),
        "feed": FEEDS[("every-change", "on-change", "periodic", "probe")[shape // 16 % 4]],
        "feed_options": {},
        **_corrected(reads, shape // 16 % 4 == 1),
        "drop": bool(shape & 64),
    }
    rows = CheckedRows(VISIT_ROW)
    return process.server(spec, rows), spec, rows
