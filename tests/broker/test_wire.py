"""Encode and decode: what goes in comes out, and nothing else does."""

import math
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmsr.broker.wire import (
    ASK,
    BYE,
    COMPLETION,
    HELD,
    HELLO,
    JOB,
    LEAVING,
    MAX_FRAME_BYTES,
    MAX_HELD,
    MAX_JOB,
    MAX_LIFE,
    MAX_MESSAGES,
    MAX_NAME_BYTES,
    MAX_NUMBER,
    MAX_REPORT_VALUES,
    MISSED,
    PING,
    PONG,
    REFUSED,
    REPORT,
    VERSION,
    WELCOME,
    Message,
    Tally,
    WireError,
    decode,
    encode,
    head_bytes,
    number_bytes,
)

jobs = st.integers(0, MAX_JOB) | st.sampled_from((0, 127, 128, 255, 256, 65535, 65536, MAX_JOB))
sizes = st.floats(min_value=0.0, exclude_min=True, allow_infinity=False)
values = st.floats(allow_nan=False)
names = st.text(min_size=1, max_size=MAX_NAME_BYTES).filter(lambda name: len(name.encode()) <= MAX_NAME_BYTES)
messages = st.one_of(
    st.tuples(st.just(HELLO), names, names),
    st.tuples(st.just(WELCOME), names),
    st.tuples(st.just(JOB), jobs, sizes),
    st.tuples(st.just(COMPLETION), jobs),
    st.lists(values, min_size=1, max_size=MAX_REPORT_VALUES).map(lambda read: (REPORT, *read)),
    st.tuples(st.sampled_from((PING, PONG, ASK, REFUSED)), jobs),
    st.tuples(st.just(HELD), jobs, st.integers(0, 1), st.lists(jobs, max_size=MAX_HELD)).map(
        lambda part: (*part[:3], *part[3])
    ),
    st.sampled_from(((BYE,), (MISSED,), (LEAVING,))),
)
lives = st.integers(1, MAX_LIFE)
numbers = st.integers(1, MAX_NUMBER) | st.sampled_from(
    (1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32)
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.dictionaries(st.text(), inner, max_size=2),
)


def reason(frame: bytes) -> str:
    with pytest.raises(WireError) as refusal:
        decode(frame)
    return refusal.value.reason


@given(st.lists(messages, max_size=40), lives, numbers)
def test_what_is_sent_is_what_arrives(sent: list[Message], life: int, number: int) -> None:
    out, back = Tally(), Tally()
    frame = encode(sent, out, life, number)
    received = decode(frame, back)
    assert repr(received) == repr((life, number, sent))
    assert (out.counts, out.sizes, out.frames) == (back.counts, back.sizes, back.frames)
    assert out.frame_bytes == back.frame_bytes == len(frame)


@given(st.lists(messages, max_size=40), lives, numbers)
def test_bytes_by_kind_are_the_bytes_of_each_message(sent: list[Message], life: int, number: int) -> None:
    tally = Tally()
    frame = encode(sent, tally, life, number)
    for kind in range(len(tally.sizes)):
        assert tally.sizes[kind] == sum(len(msgpack.packb(message)) for message in sent if message[0] == kind)
    own = number_bytes(number) - number_bytes(number - 1)
    assert head_bytes(len(sent)) + own + sum(tally.sizes) == len(frame)


def test_bytes_of_many_numbers() -> None:
    for last in (0, 1, 127, 128, 255, 256, 257, 70_000):
        assert number_bytes(last) == sum(len(msgpack.packb(number)) for number in range(1, last + 1))


@given(st.lists(messages | anything, max_size=5))
def test_a_sender_refuses_what_a_receiver_would_refuse(sent: list[Any]) -> None:
    tally = Tally()
    try:
        frame = encode(sent, tally)
    except WireError:
        reason(msgpack.packb([VERSION, 1, 1, *sent]))
        assert (tally.frames, sum(tally.counts)) == (0, 0)
    else:
        assert repr(decode(frame)) == repr((1, 1, sent))


@given(anything | st.lists(messages | anything, max_size=3).map(lambda content: [VERSION, 1, 1, *content]))
def test_any_msgpack_is_read_or_refused(content: Any) -> None:
    frame = msgpack.packb(content)
    try:
        life, number, read = decode(frame)
    except WireError:
        return
    assert encode(read, None, life, number) == frame


@pytest.mark.parametrize(
    ("life", "number"), [(0, 1), (MAX_LIFE + 1, 1), (1, 0), (1, MAX_NUMBER + 1), (-1, 1)]
)
def test_a_head_out_of_range_is_neither_sent_nor_read(life: int, number: int) -> None:
    tally = Tally()
    with pytest.raises(WireError, match="head"):
        encode([(BYE,)], tally, life, number)
    assert (tally.frames, sum(tally.counts)) == (0, 0)
    assert reason(msgpack.packb([VERSION, life, number, [BYE]])) == "head"


@given(st.lists(messages, min_size=1, max_size=6), st.binary(min_size=1, max_size=9))
def test_a_tail_condemns_a_frame(sent: list[Message], tail: bytes) -> None:
    assert reason(encode(sent) + tail) == "malformed"


@pytest.mark.parametrize(
    "sent",
    [
        [(HELLO, "run-1", "d" * 40)],
        [(WELCOME, "run-1"), (REPORT, 0.25, math.inf)],
        [(JOB, 70_000, 1.5), (JOB, 7, 2.5)],
        [(COMPLETION, 300), (BYE,)],
        [(PING, 1), (HELD, 70_000, 1, *range(24)), (LEAVING,)],
        [(BYE,)] * 20,
    ],
)
def test_a_frame_cut_anywhere_is_malformed(sent: list[Message]) -> None:
    frame = encode(sent, None, MAX_LIFE, MAX_NUMBER)
    for end in range(len(frame)):
        assert reason(frame[:end]) == "malformed"


def test_one_bad_message_condemns_all_and_counts_nothing() -> None:
    tally = Tally()
    with pytest.raises(WireError):
        decode(msgpack.packb([VERSION, 1, 1, [JOB, 1, 1.0], [COMPLETION, 2], [JOB, 3, -1.0]]), tally)
    assert (sum(tally.counts), sum(tally.sizes), tally.frames, tally.frame_bytes) == (0, 0, 0, 0)


def test_half_a_surrogate_pair_is_not_sent() -> None:
    with pytest.raises(WireError):
        encode([(WELCOME, "\ud800")])


def test_limits_of_a_frame() -> None:
    widest: list[Message] = [
        (HELLO, "r" * MAX_NAME_BYTES, "d" * MAX_NAME_BYTES),
        (HELD, MAX_JOB, 1, *[MAX_JOB] * MAX_HELD),
        (REPORT, *[1.0] * MAX_REPORT_VALUES),
    ]
    for message in widest:
        full = encode([message] * MAX_MESSAGES, None, MAX_LIFE, MAX_NUMBER)
        assert len(full) <= MAX_FRAME_BYTES  # so that counting messages is enough
        assert len(decode(full)[2]) == MAX_MESSAGES
    with pytest.raises(WireError, match="oversized"):
        encode([(BYE,)] * (MAX_MESSAGES + 1))
    assert reason(msgpack.packb([VERSION, 1, 1, *[[BYE]] * (MAX_MESSAGES + 1)])) == "oversized"
    assert reason(bytes(MAX_FRAME_BYTES + 1)) == "oversized"
    assert reason(bytes(MAX_FRAME_BYTES)) == "malformed"


def test_a_refused_frame_leaves_no_trace_in_the_next() -> None:
    """Packer and unpacker are reused, or stateless: content too deep for either must not stick."""
    good = encode([(COMPLETION, 7)])
    for depth in (400, 600, 1100):
        assert reason(b"\x94\x04\x01\x01" + b"\x91" * depth + b"\x90") in ("malformed", "kind")
        assert encode([(COMPLETION, 7)]) == good
        assert decode(good) == (1, 1, [(COMPLETION, 7)])


def test_a_tally_takes_back_what_it_added() -> None:
    tally, unmade = Tally(), Tally()
    encode([(COMPLETION, 1), (REPORT, 0.5)], tally)
    before = (list(tally.counts), list(tally.sizes), tally.frames, tally.frame_bytes)
    encode([(COMPLETION, 2), (BYE,)], tally)
    encode([(COMPLETION, 2), (BYE,)], unmade)
    tally.add(unmade, -1)
    assert (tally.counts, tally.sizes, tally.frames, tally.frame_bytes) == before
