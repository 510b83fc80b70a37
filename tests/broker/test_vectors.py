"""``vectors.json`` against the code, in both directions."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gmsr.agents import server, suspicion
from gmsr.broker import wire
from gmsr.broker.census import DROPPED
from gmsr.broker.wire import KIND_NAMES, REASONS, Message, Tally, WireError, decode, encode

FILE = Path(wire.__file__).with_name("vectors.json")
VECTORS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
GOOD: list[dict[str, Any]] = VECTORS["good"]
BAD: list[dict[str, Any]] = VECTORS["bad"]


def message(plain: list[Any]) -> Message:
    """``["report", "inf"]`` as the code has it."""
    fields = (float(field) if field in ("inf", "-inf") else field for field in plain[1:])
    return (KIND_NAMES.index(plain[0]), *fields)


def counts(tally: Tally) -> dict[str, list[int]]:
    rows = zip(KIND_NAMES, tally.counts, tally.sizes, strict=True)
    return {name: [count, size] for name, count, size in rows if count}


@pytest.mark.parametrize("vector", GOOD, ids=lambda vector: vector["meaning"])
def test_good_frames_are_read_written_and_counted_as_told(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["hex"])
    life, number, messages = vector["life"], vector["number"], list(map(message, vector["messages"]))
    read, written = Tally(), Tally()
    # repr tells -0.0 from 0.0 and 1 from 1.0
    assert repr(decode(frame, read)) == repr((life, number, messages))
    assert encode(messages, written, life, number) == frame
    for tally in (read, written):
        assert counts(tally) == vector["counts"]
        assert (tally.frames, tally.frame_bytes) == (1, len(frame))
    own = wire.number_bytes(number) - wire.number_bytes(number - 1)
    assert wire.head_bytes(len(messages)) + own + sum(read.sizes) == len(frame)


@pytest.mark.parametrize("vector", BAD, ids=lambda vector: vector["why"])
def test_bad_frames_are_refused_for_the_reason_told(vector: dict[str, Any]) -> None:
    tally = Tally()
    with pytest.raises(WireError) as refusal:
        decode(bytes.fromhex(vector["hex"]), tally)
    assert refusal.value.reason == vector["reason"]
    assert (tally.frames, tally.frame_bytes, sum(tally.counts), sum(tally.sizes)) == (0, 0, 0, 0)


def test_the_vectors_leave_nothing_out() -> None:
    assert VECTORS["version"] == wire.VERSION
    assert {plain[0] for vector in GOOD for plain in vector["messages"]} == set(KIND_NAMES)
    assert {vector["life"] for vector in GOOD} == {1, wire.MAX_LIFE}
    widths = {1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, wire.MAX_NUMBER}
    assert {vector["number"] for vector in GOOD} == widths
    # A frame above the limits is too long to print: test_wire.py has those.
    assert {vector["reason"] for vector in BAD} == set(REASONS) - {"oversized"}
    everything = [vector["hex"] for vector in GOOD + BAD]
    assert len(everything) == len(set(everything))


def test_the_protocol_in_words_tells_the_same_numbers() -> None:
    words = FILE.with_name("PROTOCOL.md").read_text(encoding="utf-8")
    assert f"version {wire.VERSION}" in words.splitlines()[0]
    for number in (wire.MAX_FRAME_BYTES, wire.MAX_MESSAGES, wire.MAX_JOB, wire.MAX_NUMBER):
        assert f"{number:,}" in words
    assert f"| life | integer | 1 to {wire.MAX_LIFE}" in words
    assert f"0 to {wire.MAX_HELD} jobs" in words
    assert f"1 to {wire.MAX_NAME_BYTES} bytes" in words
    assert f"1 to {wire.MAX_REPORT_VALUES} values" in words
    for kind, name in enumerate(KIND_NAMES):
        assert f"| {kind} | {name} |" in words
    for reason in DROPPED:
        assert f"| {reason} |" in words


def test_the_protocol_in_words_tells_when_silence_means_death() -> None:
    words = FILE.with_name("PROTOCOL.md").read_text(encoding="utf-8")
    assert f"T = max({suspicion.PATIENCE:g} H, srtt + 4 rttvar)" in words
    assert f"after {suspicion.DEAD_AFTER:g} T" in words
    assert f"every {suspicion.DEAD_ASKED:g} H" in words
    assert f"for {server.SILENT_AFTER:g} H" in words


def test_the_frame_that_the_protocol_takes_apart() -> None:
    words = FILE.with_name("PROTOCOL.md").read_text(encoding="utf-8")
    told = re.findall(r"`(\[4, .*\])` is `([0-9a-f ]+)`", words)
    assert len(told) == 1
    content, frame = json.loads(told[0][0]), bytes.fromhex(told[0][1])
    assert decode(frame) == (content[1], content[2], [tuple(each) for each in content[3:]])
