"""An agent's own records: fixed-size rows, written by a thread of their own, bounded in memory.

The state machines append rows; nothing they do waits for a disk. A full chunk goes to a writer thread
through a bounded queue. Where the disk cannot keep up the chunk is dropped and its rows are counted:
a run that dropped rows says so in its summary and is not valid.

``launch/record`` turns the rows into Parquet; the ``*_DTYPE`` lists are what ``numpy.dtype`` takes.
Times are emulated seconds, sizes are in the unit of the curve times the scale.
"""

import struct
from queue import SimpleQueue
from threading import Thread

COMPLETED, IN_FLIGHT, LOST = 0, 1, 2
"""States of a dispatcher's row; from LOST on, the loss's cause is ``CAUSES[state - LOST]``."""
CAUSES = ("unroutable",)

DEPARTED, HELD, UNHEARD = 0, 1, 2
"""States of a server's row. UNHEARD: departed after its dispatcher had closed the edge: nobody was told."""

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
    ("departed", "<f8"),  # the exact emulated instant; NaN if still held
    ("noticed", "<f8"),  # when the server woke to it
    ("size", "<f8"),
]

CHUNK_ROWS = 1024
CHUNKS = 256  # 10 MB in all: more than a second of the fastest agent


class Rows:
    """A journal of rows of one kind. ``write`` costs a microsecond and never waits."""

    __slots__ = ("_buffer", "_file", "_pack", "_queue", "_thread", "_used", "_width", "dropped")

    def __init__(self, path: str, row: struct.Struct) -> None:
        self._file = open(path, "xb", buffering=0)
        self._pack = row.pack_into
        self._width = row.size
        self._buffer = bytearray(CHUNK_ROWS * row.size)
        self._used = 0
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread: Thread | None = None
        self.dropped = 0

    def write(self, number: int, peer: int, state: int, *rest: float) -> None:
        """Append a row: the fields of ``JOB_ROW`` or ``VISIT_ROW``."""
        self._pack(self._buffer, self._used, number, peer, state, *rest)
        self._used += self._width
        if self._used == len(self._buffer):
            self.flush()

    def flush(self) -> None:
        """Hand what there is to the writer thread, or drop and count it where that is far behind."""
        if not self._used:
            return
        if self._thread is None:  # started late: an agent that is forked must not hold a thread yet
            self._thread = Thread(target=self._write_out, daemon=True)
            self._thread.start()
        if self._queue.qsize() >= CHUNKS:
            self.dropped += self._used // self._width
        else:
            self._queue.put(bytes(memoryview(self._buffer)[: self._used]))
        self._used = 0

    def close(self) -> None:
        """Write everything out. Waits for the disk; the run is over."""
        self.flush()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        self._file.close()

    def _write_out(self) -> None:
        while (chunk := self._queue.get()) is not None:
            rest = memoryview(chunk)
            try:
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError:  # a full disk: count, and let the agent serve on
                self.dropped += -(-len(rest) // self._width)
