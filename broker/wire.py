"""The wire format: the one file of definitions. ``PROTOCOL.md`` says the same in words.

A frame is one msgpack array, ``[VERSION, life, number, message, message, …]``; a message is an array of its kind
and its fields. ``life`` counts the incarnations of the sender, ``number`` its frames on this edge in this life,
from 1: ``inlet`` makes of them that each frame is taken once, in order, and that a loss is noticed.

Encoding is canonical (shortest unsigned integers, 64-bit floats): a list of messages has exactly one frame, and a
frame that is not the encoding of its own messages is malformed. The bytes of each message therefore follow from
its fields, and both ends count them with the same arithmetic, in ``count``, where every field is checked too. A
sender refuses to encode what the other end would refuse to read.

Measured (2 noisy cores, µs a message in frames of 1, 4 and 32 jobs): encode 0.49, 0.25, 0.18; decode 0.81,
0.37, 0.23, checks, canonical comparison and counts included. A prototype with columns grouped by kind, without
the last two, decoded in 1.5, 0.39, 0.14: slower at low rates, where frames are small, and it loses the order
of messages; so the plain layout stays.

Nothing here knows what a message is for. Whoever changes a kind changes ``count``, PROTOCOL.md and
vectors.json, and raises VERSION.
"""

from collections.abc import Sequence
from typing import Any

from msgpack import Packer, unpackb

VERSION = 4

HELLO, WELCOME, JOB, COMPLETION, REPORT, BYE = range(6)
PING, PONG, MISSED, ASK, HELD, REFUSED, LEAVING, PROBE, SENT = range(6, 15)
KIND_NAMES = (
    "hello", "welcome", "job", "completion", "report", "bye",
    "ping", "pong", "missed", "ask", "held", "refused", "leaving", "probe", "sent",
)  # fmt: skip
KINDS = len(KIND_NAMES)

MAX_FRAME_BYTES = 1 << 20
MAX_MESSAGES = 4096
"""So many of the widest messages (a greeting of two names of 63 bytes: 132 bytes) still fit in a frame."""
MAX_JOB = 2**32 - 1
MAX_LIFE = 31
MAX_NUMBER = 2**53 - 1
"""Of a frame. Every language's numbers are exact up to here."""
MAX_NAME_BYTES = 63
MAX_REPORT_VALUES = 10
MAX_HELD = 24
"""Jobs in one message of an inventory: no wider than a greeting."""

REASONS = ("malformed", "oversized", "version", "head", "kind", "fields")
"""Why a frame is refused."""

Message = tuple[Any, ...]
Frame = tuple[int, int, list[Message]]
"""The sender's life, the frame's number on this edge, what it holds."""


class WireError(ValueError):
    """A frame that is no frame of ours; ``reason`` is one of ``REASONS``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Tally:
    """What frames held, by kind: number of messages, and their bytes (the frames' own heads excluded)."""

    __slots__ = ("counts", "frame_bytes", "frames", "sizes")

    def __init__(self) -> None:
        self.counts = [0] * KINDS
        self.sizes = [0] * KINDS
        self.frames = 0
        self.frame_bytes = 0

    def add(self, other: "Tally", times: int = 1) -> None:
        """Count as well what another has counted; −1 times takes back what turned out not to have gone."""
        self.counts = [mine + times * its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.sizes = [mine + times * its for mine, its in zip(self.sizes, other.sizes, strict=True)]
        self.frames += times * other.frames
        self.frame_bytes += times * other.frame_bytes


_pack = Packer().pack
_INFINITY = float("inf")


def encode(messages: Sequence[Message], tally: Tally | None = None, life: int = 1, number: int = 1) -> bytes:
    """One frame of messages, which ``tally`` counts.

    Raises WireError, and counts nothing, where ``decode`` would refuse the frame.
    """
    if len(messages) > MAX_MESSAGES:
        raise WireError("oversized")
    if not 1 <= life <= MAX_LIFE or not 1 <= number <= MAX_NUMBER:
        raise WireError("head")
    count(messages, tally)
    frame: bytes = _pack([VERSION, life, number, *messages])
    if tally is not None:
        tally.frames += 1
        tally.frame_bytes += len(frame)
    return frame


def decode(frame: bytes, tally: Tally | None = None) -> Frame:
    """What a frame holds, every field checked; ``tally`` counts its messages.

    One bad message condemns its frame: nothing of it can be trusted, and nothing of it is counted. Raises
    WireError, and nothing else, whatever the bytes.
    """
    if len(frame) > MAX_FRAME_BYTES:
        raise WireError("oversized")
    try:
        content = unpackb(frame, use_list=False, max_map_len=0, max_bin_len=0, max_ext_len=0)
        canonical = _pack(content) == frame  # no wider integer, narrower float, longer head
    except Exception as error:  # msgpack raises many kinds, by what is broken; all mean the same here
        raise WireError("malformed") from error
    if type(content) is not tuple or not content:
        raise WireError("malformed")
    version = content[0]
    if type(version) is not int or version != VERSION:
        raise WireError("version")
    if not canonical:
        raise WireError("malformed")
    if len(content) < 3:
        raise WireError("head")
    _, life, number, *messages = content
    if type(life) is not int or type(number) is not int:
        raise WireError("head")
    if not 1 <= life <= MAX_LIFE or not 1 <= number <= MAX_NUMBER:
        raise WireError("head")
    if len(messages) > MAX_MESSAGES:
        raise WireError("oversized")
    count(messages, tally)
    if tally is not None:
        tally.frames += 1
        tally.frame_bytes += len(frame)
    return life, number, messages


def stamped(messages: Sequence[Message], now: float) -> list[Message]:
    """Messages that go over an edge with a delay of its own: they say first when they were sent."""
    return [(SENT, now), *messages]


def sent_at(messages: Sequence[Message]) -> float | None:
    """When a frame was sent (``stamped``); None if it does not say."""
    if messages and messages[0][0] == SENT:
        return float(messages[0][1])
    return None


def head_bytes(messages: int) -> int:
    """Bytes of a frame of so many messages that belong to none of them, but for its number."""
    return 3 if messages < 13 else 5


def number_bytes(last: int) -> int:
    """Bytes of the numbers of the first ``last`` frames."""
    return last + sum(
        wider * max(last - limit + 1, 0)
        for limit, wider in ((0x80, 1), (0x100, 1), (0x10000, 2), (1 << 32, 4))
    )


def count(messages: Sequence[Message], tally: Tally | None) -> None:
    """Check every message, then count them all. Raises WireError and counts nothing if one is bad.

    The hot loop of the testbed: the three kinds that come in numbers are checked in place, in local names.
    ``type`` is compared because True is an int; NaN is the float that no range holds.
    """
    jobs = job_bytes = completions = completion_bytes = reports = report_bytes = 0
    rest: list[Message] = []
    for message in messages:
        if type(message) is not tuple or not message:
            raise WireError("malformed")
        kind = message[0]
        if type(kind) is not int:
            raise WireError("kind")
        if kind == REPORT:
            length = len(message)
            if not 2 <= length <= MAX_REPORT_VALUES + 1:
                raise WireError("fields")
            for value in message[1:]:
                if type(value) is not float or not -_INFINITY <= value <= _INFINITY:
                    raise WireError("fields")
            reports += 1
            report_bytes += 9 * length - 7
        elif kind == COMPLETION:
            if len(message) != 2:
                raise WireError("fields")
            job = message[1]
            if type(job) is not int or not 0 <= job <= MAX_JOB:
                raise WireError("fields")
            completions += 1
            completion_bytes += 7 if job > 65535 else 5 if job > 255 else 4 if job > 127 else 3
        elif kind == JOB:
            if len(message) != 3:
                raise WireError("fields")
            _, job, size = message
            if type(job) is not int or not 0 <= job <= MAX_JOB:
                raise WireError("fields")
            if type(size) is not float or not 0.0 < size < _INFINITY:
                raise WireError("fields")
            jobs += 1
            job_bytes += 16 if job > 65535 else 14 if job > 255 else 13 if job > 127 else 12
        else:
            _check_rare(message)
            rest.append(message)
    if tally is None:
        return
    counts, sizes = tally.counts, tally.sizes
    if jobs:
        counts[JOB] += jobs
        sizes[JOB] += job_bytes
    if completions:
        counts[COMPLETION] += completions
        sizes[COMPLETION] += completion_bytes
    if reports:
        counts[REPORT] += reports
        sizes[REPORT] += report_bytes
    for message in rest:
        counts[message[0]] += 1
        sizes[message[0]] += (1 if len(message) < 16 else 3) + sum(map(_field_bytes, message))


_NAMES = {HELLO: 2, WELCOME: 1}
_INTEGERS = {PING: 1, PONG: 1, ASK: 1, REFUSED: 1, BYE: 0, MISSED: 0, LEAVING: 0, PROBE: 0}
"""How many fields the rare kinds have, by what these are; ``HELD`` and ``SENT`` have rules of their own."""


def _check_rare(message: Message) -> None:
    """Raise WireError unless ``message`` is a good one of a kind that is rare."""
    kind, fields = message[0], message[1:]
    if kind in _NAMES:
        good = len(fields) == _NAMES[kind] and all(map(_is_name, fields))
    elif kind in _INTEGERS:
        good = len(fields) == _INTEGERS[kind] and all(map(_is_integer, fields))
    elif kind == HELD:
        good = 2 <= len(fields) <= MAX_HELD + 2 and all(map(_is_integer, fields)) and fields[1] <= 1
    elif kind == SENT:
        good = len(fields) == 1 and type(fields[0]) is float and 0.0 <= fields[0] < _INFINITY
    else:
        raise WireError("kind")
    if not good:
        raise WireError("fields")


def _is_integer(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_JOB


def _is_name(value: object) -> bool:
    if type(value) is not str:
        return False
    try:
        return 0 < len(value.encode()) <= MAX_NAME_BYTES
    except UnicodeEncodeError:  # half a surrogate pair
        return False


def _field_bytes(value: str | float) -> int:
    if isinstance(value, int):
        return _integer_bytes(value)
    if isinstance(value, float):
        return 9
    length = len(value.encode())
    return length + (1 if length < 32 else 2)


def _integer_bytes(value: int) -> int:
    for limit, width in ((0x80, 1), (0x100, 2), (0x10000, 3), (1 << 32, 5)):
        if value < limit:
            return width
    return 9
