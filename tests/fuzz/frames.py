"""Frames from a tape: bytes as they stand, and well-formed messages of every kind with any fields, mutated or not.

Fields are drawn near what the machine itself has said (its jobs, its questions), or arbitrary noise would never get
beyond the first check.
"""

from gmsr.broker.wire import (
    ASK,
    BYE,
    COMPLETION,
    HELD,
    HELLO,
    JOB,
    KINDS,
    LEAVING,
    MAX_JOB,
    MAX_LIFE,
    MAX_NUMBER,
    MISSED,
    PING,
    PONG,
    PROBE,
    REFUSED,
    REPORT,
    SENT,
    WELCOME,
    Message,
    WireError,
    encode,
)

from .tape import Tape

RUN = "run"
FLOATS = (
    1.0, 0.5, 0.0, 2.0, 3.25, 1e-9, 0.125, 40.0, 5e-324, 1.7976931348623157e308, 1e300, -1.0,
    float("inf"), float("-inf"), float("nan"), -0.0,
)  # fmt: skip
NAMES = (RUN, "s1", "d1", "d2", "s2", "other", "", "é" * 31, "x" * 64)
REMEMBERED = 32

DISPATCHERS_VIEW = (
    COMPLETION, SENT, REPORT, HELD, PROBE, PONG, MISSED, REFUSED, WELCOME, LEAVING, BYE,
    HELLO, JOB, PING, ASK, KINDS,
)  # fmt: skip
"""What a dispatcher is told, the usual first. ``KINDS``: there is no such kind."""
SERVERS_VIEW = (
    JOB, JOB, SENT, PROBE, HELLO, PING, ASK, BYE,
    COMPLETION, REPORT, HELD, PONG, MISSED, REFUSED, WELCOME, LEAVING,
)  # fmt: skip


class Writer:
    """Writes as one peer of the machine; ``number`` and ``life`` go on as an honest sender's do."""

    __slots__ = ("_usual", "asked", "fresh", "life", "name", "number", "said")

    def __init__(self, name: str, usual: tuple[int, ...]) -> None:
        self.name = name
        self.life = 1
        self.number = 0
        self.fresh = 0  # the next job of its own
        self.said = [0]  # jobs that the machine has sent to it, the last ones
        self.asked = [0]  # and questions
        self._usual = usual

    def hear(self, messages: list[Message]) -> None:
        """The machine has written this to the peer."""
        for message in messages:
            if message[0] in (PING, ASK):
                self.asked.append(message[1])
            elif len(message) > 1 and type(message[1]) is int:
                self.said.append(message[1])
        del self.said[:-REMEMBERED], self.asked[:-REMEMBERED]

    def frame(self, tape: Tape) -> bytes:
        """One frame, good or bad."""
        how = tape.byte()
        if how % 16 == 15:
            return tape.raw()
        life, number = self._head(tape, how)
        messages = [self._message(tape) for _ in range(1 + how // 16 % 4)]
        try:
            frame = encode(messages, None, life, number)
        except WireError:  # it would not be sent; the decoder's own target has such bytes
            return b""
        return _mutated(tape, frame) if how % 16 == 14 else frame

    def _head(self, tape: Tape, how: int) -> tuple[int, int]:
        match how % 16:
            case 9:  # started anew
                self.life, self.number = min(self.life + 1, MAX_LIFE), 0
            case 10:  # a frame before it is lost
                self.number += 1 + tape.byte() % 3
            case 11:  # a copy
                return self.life, max(self.number, 1)
            case 12:  # of any life
                return 1 + tape.byte() % MAX_LIFE, 1 + tape.byte()
            case 13:  # any number
                return self.life, tape.pick((1, 2, 127, 128, 255, 256, 65536, 1 << 32, MAX_NUMBER))
        self.number = min(self.number + 1, MAX_NUMBER)
        return self.life, self.number

    def _message(self, tape: Tape) -> Message:
        kind = tape.pick(self._usual)
        match kind:
            case 0:  # HELLO
                odd = tape.byte()
                names = (RUN, self.name) if odd < 224 else (tape.pick(NAMES), tape.pick(NAMES))
                return (HELLO, *names)
            case 1:  # WELCOME
                odd = tape.byte()
                return WELCOME, RUN if odd < 224 else tape.pick(NAMES)
            case 2:  # JOB
                return JOB, self._own(tape), tape.pick(FLOATS)
            case 4:  # REPORT
                return (REPORT, *(tape.pick(FLOATS) for _ in range(1 + max(tape.byte() - 200, 0) % 9)))
            case 10:  # HELD
                count, more = divmod(tape.byte(), 2)
                jobs = [self._heard(tape, self.said) for _ in range(count % 6)]
                return HELD, self._heard(tape, self.asked), more, *jobs
            case 5 | 8 | 12 | 13:  # BYE, MISSED, LEAVING, PROBE
                return (kind,)
            case 14:  # SENT
                return SENT, tape.pick(FLOATS)
            case 6 | 7 | 9:  # PING, PONG, ASK
                return kind, self._heard(tape, self.asked)
            case _:
                return kind, self._heard(tape, self.said)

    def _own(self, tape: Tape) -> int:
        odd = tape.byte()
        if odd < 224:
            self.fresh += 1
            return self.fresh
        return tape.pick((0, 1, self.fresh, 1 << 27, MAX_JOB))

    def _heard(self, tape: Tape, these: list[int]) -> int:
        odd = tape.byte()
        if odd < 224:
            return these[-1 - odd % len(these)]
        return tape.pick((0, 1, 2, 1 << 27, MAX_JOB))


def _mutated(tape: Tape, frame: bytes) -> bytes:
    changed = bytearray(frame)
    for _ in range(1 + tape.byte() % 3):
        changed[tape.byte() % len(changed)] = tape.byte()
    return bytes(changed)
