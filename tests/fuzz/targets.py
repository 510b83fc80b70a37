"""What is fuzzed: functions of bytes that raise on a finding. ``run.py`` hands them to the fuzzer, the test replays."""

from typing import Any

from gmsr.broker.wire import Tally, WireError, decode, encode

from . import channel, specs
from .session import Seen, Session
from .tape import Tape

NAN, INF = float("nan"), float("inf")
FACTORS = (2.0, 0.5, 4.0, 1.0, 0.0, -1.0, NAN, INF, 5e-324, 2, "2", None)
DISPATCHERS_ORDERS: list[dict[str, Any]] = [
    {"tell": "drain"},
    {"tell": "join", "peer": "s4", "weight": 1.0},
    {"tell": "join", "peer": "s1", "weight": 1.0},
    {"tell": "join", "peer": "s5", "weight": 0.0},
    *({"tell": "join", "peer": "s6", "weight": weight} for weight in (NAN, INF, -1.0, 1, "1", None)),
    {"tell": "join", "peer": 7, "weight": 1.0},
    {"tell": "join"},
    *({"tell": "surge", "factor": factor} for factor in FACTORS),
    {"tell": "surge"},
    {"tell": "slow", "factor": 0.5},
    {"tell": "pause"},
    {"tell": "dance"},
    {"tell": None},
    {},
]
SERVERS_ORDERS: list[dict[str, Any]] = [
    {"tell": "pause"},
    {"tell": "resume"},
    {"tell": "drain"},
    {"tell": "join", "peer": "d4", "weight": 1.0},
    {"tell": "join", "peer": "d1", "weight": 1.0},
    {"tell": "join", "peer": b"d1"},
    *({"tell": "slow", "factor": factor} for factor in FACTORS),
    *({"tell": "slow", "curve": curve} for curve in specs.CURVES),
    {"tell": "slow", "curve": {}},
    {"tell": "slow", "curve": {"kind": "hyperbolic"}},
    {"tell": "slow", "curve": 5},
    {"tell": "surge", "factor": 2.0},
    {"tell": "dance"},
    {},
]


def decoder(data: bytes, seen: Seen | None = None) -> None:
    """Any bytes: a refusal that counts nothing, or messages that are encoded to the same bytes and counted as such."""
    tally, again = Tally(), Tally()
    try:
        life, number, messages = decode(data, tally)
    except WireError as error:
        assert not tally.frames and not any(tally.counts) and not any(tally.sizes), (
            "a refused frame is counted"
        )
        if seen is not None:
            seen[error.reason] += 1
        return
    assert encode(messages, again, life, number) == data, "a frame has one encoding"
    assert (tally.counts, tally.sizes) == (again.counts, again.sizes), "both ends count alike"
    assert (tally.frames, tally.frame_bytes) == (1, len(data)) == (again.frames, again.frame_bytes)
    assert sum(tally.counts) == len(messages)
    head = len(encode([], None, life, number)) + (0 if len(messages) < 13 else 2)
    assert sum(tally.sizes) + head == len(data), "a frame's bytes are its messages' and its head's"
    if seen is not None:
        seen.update(f"kind {message[0]}" for message in messages)


def dispatcher(data: bytes, seen: Seen | None = None) -> None:
    """A dispatcher among peers that say anything."""
    _session(data, specs.dispatcher, DISPATCHERS_ORDERS, seen)


def server(data: bytes, seen: Seen | None = None) -> None:
    """A server among peers that say anything."""
    _session(data, specs.server, SERVERS_ORDERS, seen)


def orders(data: bytes, seen: Seen | None = None) -> None:
    """Any datagrams on the side channel of a running agent."""
    with channel.harmless() as clock:
        channel.obey(Tape(data), clock, Seen() if seen is None else seen)


def _session(data: bytes, make: Any, told: list[dict[str, Any]], seen: Seen | None) -> None:
    tape = Tape(data)
    machine, spec, rows = make(tape)
    session = Session(tape, machine, spec, rows, Seen() if seen is None else seen)
    session.come_up()
    session.play(told)
