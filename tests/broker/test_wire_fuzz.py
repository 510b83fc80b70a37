"""100,000 random and mutated frames against the decoder: only WireError ever escapes."""

from collections import Counter
from random import Random

import pytest

from gmsr.broker.wire import (
    ASK,
    BYE,
    COMPLETION,
    HELD,
    HELLO,
    JOB,
    LEAVING,
    MISSED,
    PING,
    REASONS,
    REFUSED,
    REPORT,
    WELCOME,
    Tally,
    WireError,
    decode,
    encode,
)

FRAMES = 100_000
CORPUS = [
    encode([(HELLO, "run-1", "d1")]),
    encode([(WELCOME, "run-1"), (REPORT, 0.25)]),
    encode([(JOB, number * 1000, 0.5 + number) for number in range(20)]),
    encode([(COMPLETION, 7), (REPORT, 0.5, float("inf")), (BYE,)]),
    encode([(PING, 300), (ASK, 70_000), (MISSED,)], None, 31, 2**53 - 1),
    encode([(HELD, 3, 1, *range(0, 240, 10)), (HELD, 3, 0), (REFUSED, 9), (LEAVING,)], None, 2, 300),
]


def mutated(random: Random) -> bytes:
    """Noise, or a good frame cut, lengthened, flipped, overwritten or spliced with another."""
    frame = bytearray(random.choice(CORPUS))
    at = random.randrange(len(frame))
    match random.randrange(6):
        case 0:
            return random.randbytes(random.randrange(64))
        case 1:
            del frame[at:]
        case 2:
            frame += random.randbytes(random.randrange(1, 9))
        case 3:
            frame[at] ^= 1 << random.randrange(8)
        case 4:
            for _ in range(random.randrange(1, 5)):
                frame[random.randrange(len(frame))] = random.randrange(256)
        case _:
            frame[at:] = random.choice(CORPUS)[random.randrange(8) :]
    return bytes(frame)


@pytest.mark.slow
def test_nothing_but_a_refusal_escapes_and_the_count_is_exact() -> None:
    random, tally = Random(20241), Tally()
    outcomes: Counter[str] = Counter()
    good_bytes = 0
    for _ in range(FRAMES):
        frame = mutated(random)
        try:
            life, number, messages = decode(frame, tally)
        except WireError as refusal:
            outcomes[refusal.reason] += 1
        else:
            outcomes["good"] += 1
            good_bytes += len(frame)
            assert encode(messages, None, life, number) == frame
    assert sum(outcomes.values()) == FRAMES
    assert (tally.frames, tally.frame_bytes) == (outcomes["good"], good_bytes)
    assert set(outcomes) == {"good", *REASONS} - {"oversized"}


def test_every_bit_flip_of_the_corpus() -> None:
    for frame in CORPUS:
        for bit in range(8 * min(len(frame), 80)):
            flipped = bytearray(frame)
            flipped[bit // 8] ^= 1 << bit % 8
            try:
                life, number, messages = decode(bytes(flipped))
            except WireError:
                continue
            assert encode(messages, None, life, number) == flipped
