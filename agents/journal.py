"""An agent's own records: fixed-size rows in a file that is mapped into memory.

A row is opened when a job begins its stay and settled when its fate is known. What is written is in the
kernel's hands at once, without a system call: an agent that is killed leaves every row behind, those of open
jobs too. Nothing waits for a disk but the kernel's own write-back; where the disk is full rows are dropped
and counted, and a run that dropped rows says so in its summary and is not valid.

The file grows by segments; a segment whose rows are all settled is let go, so that memory stays flat. An unused
row is all zeros, which no row of a job is: sizes are positive.

``launch/record`` turns the rows into Parquet; the ``*_DTYPE`` lists are what ``numpy.dtype`` takes.
Times are emulated seconds, sizes are in the unit of the curve times the scale.
"""

import mmap
import os
import struct
from typing import Protocol

COMPLETED, IN_FLIGHT, RESENT, RETURNED, LOST = 0, 1, 2, 3, 4
"""States of a dispatcher's row. RESENT: this attempt was given up and the job sent again, which has a row of its
own; RETURNED: the same of an attempt that never left. From LOST on, the loss's cause is ``CAUSES[state - LOST]``."""
CAUSES = ("unroutable", "full", "nobody", "refused", "dead", "transit", "dispatcher", "policy")
"""unroutable: the transport had no way to the server. full: too many jobs in flight, or frames waiting. nobody: no
server could be chosen. refused: the server was full. dead: the server was silent too long, or came back without its
jobs. transit: the job or the word of its end was lost on the way. dispatcher: the dispatcher itself died. policy: the
policy failed."""
UNSENT_CAUSES = ("unroutable", "full", "nobody", "policy")
"""With these a job never left."""

DEPARTED, HELD, UNHEARD, DROPPED = 0, 1, 2, 3
"""States of a server's row. UNHEARD: departed when its dispatcher had closed the edge or was gone: nobody was told.
DROPPED: its dispatcher was gone, and the server was asked not to work for the dead."""

JOB_ROW = struct.Struct("<IHBdddd")
JOB_DTYPE = [
    ("job", "<u4"),
    ("server", "<u2"),
    ("state", "u1"),
    ("arrival", "<f8"),  # as scheduled
    ("sent", "<f8"),  # when the dispatcher woke to send it
    ("done", "<f8"),  # when the completion was booked; NaN if it was not
    ("size", "<f8"),
]

VISIT_ROW = struct.Struct("<IHBdddd")
VISIT_DTYPE = [
    ("job", "<u4"),
    ("dispatcher", "<u2"),
    ("state", "u1"),
    ("arrived", "<f8"),
    ("departed", "<f8"),  # the exact emulated instant; NaN if it did not depart
    ("noticed", "<f8"),  # when the server woke to it, or threw the job out; NaN if still held
    ("size", "<f8"),
]

SEGMENT_ROWS = 4096
"""39 pages of rows."""


class Rows(Protocol):
    """A journal of rows of one kind."""

    def open(self, number: int, peer: int, state: int, *rest: float) -> int:
        """Begin a row (the fields of ``JOB_ROW`` or ``VISIT_ROW``); returns its place, for ``settle``."""

    def settle(self, place: int, number: int, peer: int, state: int, *rest: float) -> None:
        """Write an open row anew, for the last time."""


class _Segment:
    __slots__ = ("map", "open")

    def __init__(self, mapped: mmap.mmap) -> None:
        self.map = mapped
        self.open = 0


class MappedRows:
    """Rows in a mapped file. Raises OSError where it exists, or cannot be made."""

    __slots__ = ("_fd", "_full", "_next", "_pack", "_segments", "_width", "dropped")

    def __init__(self, path: str, row: struct.Struct) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        self._pack = row.pack_into
        self._width = row.size
        self._segments: list[_Segment | None] = []
        self._next = 0
        self._full = False
        self.dropped = 0

    def open(self, number: int, peer: int, state: int, *rest: float) -> int:
        """Begin a row; -1 if there is no room for it."""
        place = self._next
        index, row = divmod(place, SEGMENT_ROWS)
        if not row and not self._grow():
            self.dropped += 1
            return -1
        self._next = place + 1
        segment = self._segments[index]
        assert segment is not None
        segment.open += 1
        self._pack(segment.map, row * self._width, number, peer, state, *rest)
        return place

    def settle(self, place: int, number: int, peer: int, state: int, *rest: float) -> None:
        """Write an open row anew, for the last time."""
        if place < 0:
            return
        index, row = divmod(place, SEGMENT_ROWS)
        segment = self._segments[index]
        assert segment is not None
        self._pack(segment.map, row * self._width, number, peer, state, *rest)
        segment.open -= 1
        if not segment.open and index + 1 < len(self._segments):
            segment.map.close()
            self._segments[index] = None

    def close(self) -> None:
        """Cut the file to its rows. The last call."""
        for segment in self._segments:
            if segment is not None:
                segment.map.close()
        os.ftruncate(self._fd, self._next * self._width)
        os.close(self._fd)

    def _grow(self) -> bool:
        """Add a segment. False on a full disk: then no later row is taken, so that none is out of place."""
        size = SEGMENT_ROWS * self._width
        begin = len(self._segments) * size
        try:
            if self._full:
                return False
            os.posix_fallocate(self._fd, begin, size)  # a mapped hole on a full disk would kill us
            self._segments.append(_Segment(mmap.mmap(self._fd, size, offset=begin)))
        except OSError:
            self._full = True
            return False
        last = self._segments[-2] if len(self._segments) > 1 else None
        if last is not None and not last.open:
            last.map.close()
            self._segments[-2] = None
        return True
