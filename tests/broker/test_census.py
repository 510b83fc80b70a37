"""The two ends of an edge agree, or the difference is told."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmsr.broker.census import Census, reconcile
from gmsr.broker.wire import COMPLETION, JOB, REPORT, Message, count, decode, encode

Plain = Mapping[str, Any]


def census(*peers: str) -> Census:
    made = Census()
    for peer in peers:
        made.meet(peer)
    return made


def carry(sender: Census, receiver: Census, names: tuple[str, str], messages: list[Message]) -> None:
    decode(encode(messages, sender.sent[names[1]]), receiver.received[names[0]])


def test_plain_form() -> None:
    d1, s1 = census("s1"), census("d1")
    carry(d1, s1, ("d1", "s1"), [(JOB, 1, 1.0), (JOB, 300, 1.0)])
    s1.dropped["sender"] += 1
    count([(JOB, 1, 1.0)], s1.lost["d1"])
    count([(JOB, 300, 1.0)], s1.stale["d1"])
    plain = s1.to_plain()
    assert plain["received"] == {"d1": {"job": [2, 12 + 14]}}
    assert plain["sent"] == {"d1": {}}
    assert plain["lost"] == {"d1": {"job": [1, 12]}}
    assert plain["stale"] == {"d1": {"job": [1, 14]}}
    assert plain["frames"] == {"sent": {"d1": 0}, "received": {"d1": 1}}
    assert plain["frame_bytes"] == {"sent": {"d1": 0}, "received": {"d1": 4 + 12 + 14}}
    assert plain["dropped"] == {
        "malformed": 0, "oversized": 0, "version": 0, "head": 0, "kind": 0, "fields": 0, "sender": 1, "stale": 0,
    }  # fmt: skip
    assert plain["unsent"] == {"unroutable": 0, "full": 0}
    assert plain["strangers"] == 0


message = st.one_of(
    st.tuples(st.just(JOB), st.integers(0, 2**32 - 1), st.floats(0.1, 10.0)),
    st.tuples(st.just(COMPLETION), st.integers(0, 2**32 - 1)),
    st.tuples(st.just(REPORT), st.floats(allow_nan=False)),
)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(("s1", "s2")), st.lists(message, max_size=5))))
def test_what_is_carried_balances_and_a_lost_frame_does_not(
    frames: list[tuple[bool, str, list[Message]]],
) -> None:
    d1, servers = census("s1", "s2"), {"s1": census("d1"), "s2": census("d1")}
    for down, server, messages in frames:
        if down:
            carry(d1, servers[server], ("d1", server), messages)
        else:
            carry(servers[server], d1, (server, "d1"), messages)
    statements = {"d1": d1.to_plain(), **{name: each.to_plain() for name, each in servers.items()}}
    assert reconcile(statements) == []
    encode([(JOB, 1, 1.0)], d1.sent["s2"])
    lost = reconcile(statements | {"d1": d1.to_plain()})
    assert len(lost) == 1
    assert lost[0].startswith("d1 sent s2 ")
    assert "\n" not in lost[0]


def test_bytes_are_compared_too() -> None:
    ours: dict[str, Any] = {"sent": {"b": {"job": [1, 12]}}, "received": {}}
    theirs: dict[str, Any] = {"sent": {}, "received": {"a": {"job": [1, 13]}}}
    assert reconcile({"a": ours, "b": theirs}) == [
        "a sent b 1 of kind job (12 bytes), b received 1 (13 bytes)"
    ]


def test_what_nobody_says_to_have_sent_is_told() -> None:
    silent: Plain = {"sent": {}, "received": {}}
    hearing: Plain = {"sent": {}, "received": {"a": {"bye": [1, 2]}}}
    assert reconcile({"a": silent, "b": hearing}) == [
        "a sent b 0 of kind bye (0 bytes), b received 1 (2 bytes)"
    ]


@pytest.mark.parametrize(("sent", "received", "agree"), [(2, 1, True), (1, 0, False), (1, 2, False)])
def test_a_repeated_goodbye_may_find_nobody_but_one_must_come(sent: int, received: int, agree: bool) -> None:
    ours: Plain = {"sent": {"b": {"bye": [sent, 2 * sent]}}, "received": {}}
    theirs: Plain = {"sent": {}, "received": {"a": {"bye": [received, 2 * received]}}}
    assert (reconcile({"a": ours, "b": theirs}) == []) == agree


def test_a_peer_without_a_statement_has_no_say() -> None:
    assert reconcile({"a": {"sent": {"gone": {"job": [1, 12]}}, "received": {"lost": {}}}}) == []


def test_meeting_twice_keeps_the_account() -> None:
    made = census("s1")
    encode([(JOB, 1, 1.0)], made.sent["s1"])
    made.meet("s1")
    assert made.sent["s1"].frames == 1
