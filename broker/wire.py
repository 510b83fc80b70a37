"""The wire format: the one file of definitions. ``PROTOCOL.md`` says the same in words.

A frame is one msgpack array, ``[VERSION, message, message, …]``; a message is an array of its kind and its
fields. Encoding is canonical (shortest unsigned integers, 64-bit floats): a list of messages has exactly
one frame, and a frame that is not the encoding of its own messages is malformed. The bytes of each message
therefore follow from its fields, and both ends count them with the same arithmetic, in ``_count``, where
every field is checked too. A sender refuses to encode what the other end would refuse to read.

Measured (2 noisy cores, µs a message in frames of 1, 4 and 32 jobs): encode 0.6, 0.3, 0.2; decode 1.0, 0.4,
0.3, checks and counts included. Fields grouped by kind, as columns, decode in half of that from some 10 messages
a frame on, but in 1.5 µs alone, lose the order of messages, and are less plain: the socket costs more.

Nothing here knows what a message is for. Whoever changes a kind changes ``_count``, PROTOCOL.md and
vectors.json, and raises VERSION.
"""

from collections.abc import Sequence
from typing import Any

from msgpack import Packer, unpackb

VERSION = 1

HELLO, WELCOME, JOB, COMPLETION, REPORT, BYE = range(6)
KIND_NAMES = ("hello", "welcome", "job", "completion", "report", "bye")
KINDS = len(KIND_NAMES)

MAX_FRAME_BYTES = 1 << 20
MAX_MESSAGES = 12_000
"""A frame of so many of the widest messages (a report of 8 values, 83 bytes with its head) still fits."""
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


class Tally:
    """What frames held, by kind: number of messages, and their bytes (the frames' own heads excluded)."""

    __slots__ = ("counts", "frame_bytes", "frames", "sizes")

    def __init__(self) -> None:
        self.counts = [0] * KINDS
        self.sizes = [0] * KINDS
        self.frames = 0
        self.frame_bytes = 0

    def take_back(self, other: "Tally") -> None:
        """Uncount what turned out not to have gone."""
        self.counts = [mine - its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.sizes = [mine - its for mine, its in zip(self.sizes, other.sizes, strict=True)]
        self.frames -= other.frames
        self.frame_bytes -= other.frame_bytes


_pack = Packer().pack
_INFINITY = float("inf")


def encode(messages: Sequence[Message], tally: Tally | None = None) -> bytes:
    """One frame of messages, which ``tally`` counts.

    Raises WireError, and counts nothing, where ``decode`` would refuse the frame.
    """
    if len(messages) > MAX_MESSAGES:
        raise WireError("oversized")
    counted = _count(messages)
    frame: bytes = _pack([VERSION, *messages])
    if tally is not None:
        _add(tally, counted, len(frame))
    return frame


def decode(frame: bytes, tally: Tally | None = None) -> list[Message]:
    """The messages of a frame, every field checked, which ``tally`` counts.

    One bad message condemns its frame: nothing of it can be trusted, and nothing of it is counted. Raises
    WireError, and nothing else, whatever the bytes.
    """
    if len(frame) > MAX_FRAME_BYTES:
        raise WireError("oversized")
    try:
        content = unpackb(frame, use_list=False, max_map_len=0, max_bin_len=0, max_ext_len=0)
    except Exception as error:  # msgpack raises many kinds, by what is broken; all mean the same here
        raise WireError("malformed") from error
    if type(content) is not tuple or not content:
        raise WireError("malformed")
    messages = list(content)
    version = messages.pop(0)
    if type(version) is not int or version != VERSION:
        raise WireError("version")
    if len(messages) > MAX_MESSAGES:
        raise WireError("oversized")
    counted = _count(messages)
    if _pack(content) != frame:  # a wider integer, a narrower float, a longer head
        raise WireError("malformed")
    if tally is not None:
        _add(tally, counted, len(frame))
    return messages


def _add(tally: Tally, counted: tuple[int, int, int, int, int, Sequence[Message]], frame_bytes: int) -> None:
    tally.frames += 1
    tally.frame_bytes += frame_bytes
    jobs, job_bytes, completions, completion_bytes, report_bytes, rest = counted
