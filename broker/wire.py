"""The wire format: the one file of definitions. ``PROTOCOL.md`` says the same in words.

A frame is one msgpack array, ``[VERSION, message, message, …]``; a message is an array of its kind and its
fields. Encoding is canonical (shortest integers, 64-bit floats), so that the bytes of each message follow
from its fields: both ends count bytes by kind without parsing twice, and a frame whose length is not the
sum of its parts is malformed.

Nothing here knows what a message is for. Whoever changes a kind changes ``_check``, ``_width``,
PROTOCOL.md and vectors.json, and raises VERSION.
"""

from collections.abc import Sequence
from math import isnan
from typing import Any, NamedTuple

from msgpack import Packer, unpackb

VERSION = 1

HELLO, WELCOME, JOB, COMPLETION, REPORT, BYE = range(6)
KIND_NAMES = ("hello", "welcome", "job", "completion", "report", "bye")
KINDS = len(KIND_NAMES)

MAX_FRAME_BYTES = 1 << 20
MAX_MESSAGES = 32_000
"""Of the widest messages that are sent in numbers (job, report of one value) so many fit in a frame."""
MAX_JOB = 2**32 - 1
MAX_NAME_BYTES = 63
MAX_REPORT_VALUES = 8

REASONS = ("malformed", "oversized", "version", "kind", "fields")
"""Why a frame is refused."""

Message = tuple[Any, ...]


class WireError(ValueError):
    """A frame that is no frame of ours; ``reason`` is one of ``REASONS``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Tally(NamedTuple):
    """What a frame holds, by kind: number of messages, and their bytes (the header's excluded)."""

    counts: list[int]
    sizes: list[int]


_pack = Packer().pack
_INFINITY = float("inf")


def encode(messages: Sequence[Message]) -> tuple[bytes, Tally]:
    """One frame of well-formed messages, and what it holds. The caller keeps to the limits."""
    frame = _pack([VERSION, *messages])
    counts, sizes = [0] * KINDS, [0] * KINDS
    for message in messages:
        kind = message[0]
        counts[kind] += 1
        sizes[kind] += _width(message)
    return frame, Tally(counts, sizes)


def decode(frame: bytes) -> tuple[list[Message], Tally]:
    """The messages of a frame, every field checked, and what it holds.

    One bad message condemns its frame: nothing of it can be trusted. Raises WireError, and nothing else,
    whatever the bytes.
    """
    if len(frame) > MAX_FRAME_BYTES:
        raise WireError("oversized")
    try:
        content = unpackb(frame, use_list=False)
    except Exception as error:  # msgpack raises many kinds, by what is broken; all mean the same here
        raise WireError("malformed") from error
    if type(content) is not tuple or not content:
        raise WireError("malformed")
    if content[0] != VERSION or type(content[0]) is not int:
        raise WireError("version")
    messages = list(content[1:])
    if len(messages) > MAX_MESSAGES:
        raise WireError("oversized")
    counts, sizes = [0] * KINDS, [0] * KINDS
    for message in messages:
        _check(message)
        kind = message[0]
        counts[kind] += 1
        sizes[kind] += _width(message)
    if header_bytes(len(messages)) + sum(sizes) != len(frame):
        raise WireError("malformed")
    return messages, Tally(counts, sizes)


def header_bytes(messages: int) -> int:
    """Bytes of a frame beside its messages: the array's head and the version."""
    return 2 if messages < 15 else 4


def _check(message: Any) -> None:
    """Raise WireError unless ``message`` is of a known kind, with fields of its types and ranges."""
    if type(message) is not tuple or not message:
        raise WireError("malformed")
    kind = message[0]
    if type(kind) is not int or not 0 <= kind < KINDS:
        raise WireError("kind")
    if kind == JOB:
        good = len(message) == 3 and _is_job(message[1]) and _is_size(message[2])
    elif kind == COMPLETION:
        good = len(message) == 2 and _is_job(message[1])
    elif kind == REPORT:
        # No number compares with NaN: one would poison every choice.
        good = 2 <= len(message) <= MAX_REPORT_VALUES + 1 and all(
            type(value) is float and not isnan(value) for value in message[1:]
        )
    elif kind == BYE:
        good = len(message) == 1
    else:
        good = len(message) == (3 if kind == HELLO else 2) and all(_is_name(name) for name in message[1:])
    if not good:
        raise WireError("fields")


def _is_job(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_JOB


def _is_size(value: object) -> bool:
    return type(value) is float and 0.0 < value < _INFINITY


def _is_name(value: object) -> bool:
    return type(value) is str and 0 < len(value.encode()) <= MAX_NAME_BYTES


def _width(message: Message) -> int:
    """Bytes of a well-formed message."""
    kind = message[0]
    if kind == REPORT:
        return 9 * len(message) - 7
    if kind in (JOB, COMPLETION):
        job = message[1]
        width = 3 if job < 128 else 4 if job < 256 else 5 if job < 65536 else 7
        return width if kind == COMPLETION else width + 9
    if kind == BYE:
        return 2
    return 2 + sum(_name_width(name) for name in message[1:])


def _name_width(name: str) -> int:
    length = len(name.encode())
    return length + (1 if length < 32 else 2)
