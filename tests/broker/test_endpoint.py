"""Two endpoints over real sockets, and whoever else may find their address."""

import os
import select
import stat
import time
from pathlib import Path
from random import Random

import pytest
import zmq

from gmsr.broker import endpoint as module
from gmsr.broker.census import reconcile
from gmsr.broker.endpoint import CUT_OFF_BYTES, FRAMES_A_TURN, Endpoint
from gmsr.broker.wire import (
    BYE,
    COMPLETION,
    HELLO,
    JOB,
    MAX_FRAME_BYTES,
    MAX_MESSAGES,
    REPORT,
    WELCOME,
    Frame,
    Message,
    WireError,
    encode,
)

from .conftest import PATIENCE_S, Wires, receive, until, wait

GREETING: list[Message] = [(HELLO, "run", "d1")]


def differences(*endpoints: tuple[str, Endpoint]) -> list[str]:
    return reconcile({name: each.census.to_plain() for name, each in endpoints})


def dropped(endpoint: Endpoint) -> dict[str, int]:
    return {reason: count for reason, count in endpoint.census.dropped.items() if count}


def test_frames_go_both_ways_and_the_counts_agree(wires: Wires) -> None:
    s1, d1 = wires.server("s1", "d1"), wires.dispatcher("d1", "s1")
    assert d1.send("s1", GREETING) == []
    assert receive(s1) == [("d1", GREETING)]
    answer: list[Message] = [(WELCOME, "run"), (REPORT, 0.25, float("inf"))]
    assert s1.send("d1", answer) == []
    assert receive(d1) == [("s1", answer)]
    assert differences(("s1", s1), ("d1", d1)) == []
    assert not dropped(s1)
    assert not dropped(d1)


def test_one_socket_serves_many_edges_each_to_its_own(wires: Wires) -> None:
    s1, s2 = wires.server("s1", "d1", "d2"), wires.server("s2", "d1", "d2")
    d1, d2 = wires.dispatcher("d1", "s1", "s2"), wires.dispatcher("d2", "s1", "s2")
    number = 0
    for name, dispatcher in (("d1", d1), ("d2", d2)):
        for server, far in (("s1", s1), ("s2", s2)):
            number += 1
            assert dispatcher.send(server, [(JOB, number, 1.0)]) == []
            assert receive(far) == [(name, [(JOB, number, 1.0)])]
            assert far.send(name, [(COMPLETION, number)]) == []
            assert receive(dispatcher) == [(server, [(COMPLETION, number)])]
    assert differences(("s1", s1), ("s2", s2), ("d1", d1), ("d2", d2)) == []


def test_what_is_sent_before_a_server_listens_waits_for_it(wires: Wires) -> None:
    d1 = wires.dispatcher("d1", "s1")
    assert d1.send("s1", GREETING) == []
    assert receive(wires.server("s1", "d1")) == [("d1", GREETING)]


def test_the_descriptor_misses_nothing(wires: Wires) -> None:
    """libzmq marks it once; every round here sends while an answer may already be there."""
    s1, d1 = wires.server("s1", "d1"), wires.dispatcher("d1", "s1")
    heard_s1 = heard_d1 = 0
    for number in range(300):
        d1.send("s1", [(JOB, number, 1.0)])
        if number % 3 == 0:
            d1.send("s1", [(JOB, number, 2.0)])
        wanted = number + 1 + number // 3 + 1
        while heard_s1 < wanted:
            wait(s1)
            for _ in s1.receive():
                heard_s1 += 1
                s1.send("d1", [(COMPLETION, number)])
        while heard_d1 < wanted:
            wait(d1)
            heard_d1 += len(d1.receive())
    assert differences(("s1", s1), ("d1", d1)) == []


def test_a_send_that_takes_the_mark_away_hides_no_frame(wires: Wires) -> None:
    """libzmq looks at its commands in ``send`` too, about once a millisecond, and then the mark is gone."""
    s1, d1 = wires.server("s1", "d1"), wires.dispatcher("d1", "s1")
    d1.send("s1", GREETING)
    receive(s1)
    assert s1.receive() == []
    assert not s1.pending()
    d1.send("s1", [(JOB, 1, 1.0)])
    assert select.select(s1.fds, (), (), PATIENCE_S)[0]
    end = time.monotonic() + PATIENCE_S
    while select.select(s1.fds, (), (), 0)[0]:
        assert time.monotonic() < end, "sending never took the mark away"
        s1.send("d1", [(COMPLETION, 1)])
    assert s1.pending()
    assert s1.receive() == [("d1", (1, 2, [(JOB, 1, 1.0)]))]


def test_one_call_reads_so_much_and_no_more(wires: Wires) -> None:
    s1, d1 = wires.server("s1", "d1"), wires.dispatcher("d1", "s1")
    frames = FRAMES_A_TURN + 100
    for number in range(frames):
        d1.send("s1", [(JOB, number, 1.0)])
    jobs: list[int] = []
    calls = 0
    while len(jobs) < frames:
        wait(s1)
        arrived = s1.receive()
        calls += 1
        assert len(arrived) <= FRAMES_A_TURN
        jobs += [message[1] for _, (_, _, messages) in arrived for message in messages]
    assert calls > 1
    assert jobs == list(range(frames))
    assert not s1.receive()
    assert not s1.pending()


def test_a_peer_that_floods_takes_no_turn_of_another(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """ROUTER reads its peers in turn, and looks who has woken every 100 parts. The flood has filled every queue."""
    monkeypatch.setattr(module, "QUEUED_FRAMES", 4 * FRAMES_A_TURN)
    s1, d2 = wires.server("s1", "d1", "d2"), wires.dispatcher("d2", "s1")
    d2.send("s1", GREETING)
    receive(s1)
    flood = wires.bare("d1", "s1")
    while flood.poll(300, zmq.POLLOUT):
        flood.send(encode([(JOB, 1, 1.0)]))
    assert [peer for peer, _ in s1.receive()] == ["d1"] * FRAMES_A_TURN
    assert s1.pending()  # and the mark is gone: the next one is for d2
    for number in range(10):
        d2.send("s1", [(JOB, number, 1.0)])
    assert select.select(s1.fds, (), (), PATIENCE_S)[0]
    turn = [peer for peer, _ in s1.receive()]
    assert len(turn) == FRAMES_A_TURN, "the flood is still on"
    assert "d2" in turn[:100]


def next_frame(endpoint: Endpoint) -> tuple[str, Frame]:
    end = time.monotonic() + PATIENCE_S
    while not (frames := endpoint.receive()):
        assert time.monotonic() < end, "nothing came"
        select.select(endpoint.fds, (), (), 0.01)
    assert len(frames) == 1
    return frames[0]


def test_frames_are_numbered_by_edge_in_a_life(wires: Wires) -> None:
    s1, s2 = wires.server("s1", "d1"), wires.server("s2", "d1")
    d1 = wires.endpoint("d1", "s1", "s2", life=3)
    for server in ("s1", "s2"):
        d1.connect(server, wires.address(server))
    for number in (1, 2, 3):
        for server, far in (("s1", s1), ("s2", s2)):
            d1.send(server, GREETING)
            assert next_frame(far) == ("d1", (3, number, GREETING))


def test_more_than_a_frame_holds_goes_as_several(wires: Wires) -> None:
    s1, d1 = wires.server("s1", "d1"), wires.dispatcher("d1", "s1")
    jobs: list[Message] = [(JOB, number, 1.0) for number in range(2 * MAX_MESSAGES + 5)]
    assert d1.send("s1", jobs) == []
    arrived = receive(s1, frames=3)
    assert [len(messages) for _, messages in arrived] == [MAX_MESSAGES, MAX_MESSAGES, 5]
    assert [message for _, messages in arrived for message in messages] == jobs
    assert differences(("s1", s1), ("d1", d1)) == []


def test_nothing_due_is_no_frame(wires: Wires) -> None:
    s1, d1 = wires.server("s1", "d1"), wires.dispatcher("d1", "s1")
    assert d1.send("s1", []) == []
    d1.send("s1", GREETING)
    assert receive(s1) == [("d1", GREETING)]
    assert s1.census.received["d1"].frames == 1


@pytest.mark.parametrize("stranger", ["mallory", ""])
def test_a_stranger_is_counted_and_not_heard(wires: Wires, stranger: str) -> None:
    s1, d1 = wires.server("s1", "d1"), wires.dispatcher("d1", "s1")
    bare = wires.bare(stranger, "s1")
    bare.send(encode(GREETING))
    bare.send_multipart([b"d1", encode([(BYE,)])])
    until(lambda: s1.census.dropped["sender"] == 2, s1)
    d1.send("s1", GREETING)
    assert receive(s1) == [("d1", GREETING)]
    assert dropped(s1) == {"sender": 2}


def test_a_message_is_two_parts_or_malformed(wires: Wires) -> None:
    s1 = wires.server("s1", "d1")
    bare = wires.bare("d1", "s1")
    good = encode(GREETING)
    bare.send(b"")
    bare.send_multipart([good, good])
    bare.send_multipart([b"", good])
    bare.send_multipart([good, b"d1", good])  # its last parts are no message of their own
    bare.send_multipart([good] * 20)
    bare.send(good)
    assert receive(s1) == [("d1", GREETING)]
    assert dropped(s1) == {"malformed": 5}
    assert s1.census.received["d1"].frames == 1


def test_bad_frames_among_good_ones(wires: Wires) -> None:
    s1 = wires.server("s1", "d1")
    bare = wires.bare("d1", "s1")
    random, good = Random(7), encode([(JOB, 70_000, 1.5)])
    for _ in range(300):
        bare.send(good[: random.randrange(len(good))])
        bare.send(good)
    arrived = receive(s1, frames=300)
    assert arrived == [("d1", [(JOB, 70_000, 1.5)])] * 300
    assert dropped(s1) == {"malformed": 300}


def test_an_oversized_frame_is_counted_and_a_monstrous_one_cuts_the_connection(wires: Wires) -> None:
    s1 = wires.server("s1", "d1")
    bare = wires.bare("d1", "s1")
    bare.send(bytes(MAX_FRAME_BYTES + 1))
    bare.send(encode(GREETING))
    assert receive(s1) == [("d1", GREETING)]
    assert dropped(s1) == {"oversized": 1}
    bare.send(bytes(CUT_OFF_BYTES + 1))

    def heard_again() -> bool:
        bare.send(encode([(COMPLETION, 7)]))
        return s1.census.received["d1"].counts[COMPLETION] > 0

    until(heard_again, s1)
    assert dropped(s1) == {"oversized": 1}


def test_what_a_vanished_peer_does_not_get_is_handed_back(wires: Wires) -> None:
    s1, d1 = wires.server("s1", "d1"), Endpoint("d1")
    d1.allow(["s1"])
    d1.connect("s1", wires.address("s1"))
    d1.send("s1", GREETING)
    receive(s1)
    d1.close()
    due: list[Message] = [(COMPLETION, 1), (REPORT, 0.5)]
    until(lambda: s1.send("d1", due) == due, s1)
    counted = s1.census.sent["d1"]
    before = (list(counted.counts), list(counted.sizes), counted.frames, counted.frame_bytes)
    assert s1.send("d1", due) == due
    assert s1.census.unsent == {"unroutable": 4, "full": 0}
    assert (counted.counts, counted.sizes, counted.frames, counted.frame_bytes) == before


def test_a_dispatcher_that_never_greeted_cannot_be_reached(wires: Wires) -> None:
    s1 = wires.server("s1", "d1")
    assert s1.send("d1", [(COMPLETION, 1)]) == [(COMPLETION, 1)]
    assert s1.census.unsent["unroutable"] == 1


def test_a_full_queue_hands_back_and_loses_nothing(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUED_FRAMES", 4)
    s1, d1 = wires.server("s1", "d1"), wires.dispatcher("d1", "s1")
    jobs: list[Message] = [(JOB, number, 1.0) for number in range(MAX_MESSAGES)]
    sent = 0
    while not (left := d1.send("s1", jobs)):
        sent += 1
        assert sent < 10_000
    assert left == jobs
    assert d1.census.unsent == {"unroutable": 0, "full": len(jobs)}
    # More than a frame: what went is not handed back, what is handed back did not go.
    two = jobs + jobs
    left = d1.send("s1", two)
    sent += (len(two) - len(left)) // len(jobs)
    receive(s1, frames=sent)
    assert differences(("s1", s1), ("d1", d1)) == []
    until(lambda: not d1.send("s1", [(BYE,)]), s1)
    until(lambda: s1.census.received["d1"].counts[BYE], s1)


def test_the_callers_mistakes_are_raised_and_leave_the_socket_usable(wires: Wires) -> None:
    s1, d1 = wires.server("s1", "d1"), wires.dispatcher("d1", "s1")
    with pytest.raises(WireError):
        d1.send("s1", [(JOB, 1, float("nan"))])
    with pytest.raises(KeyError):
        d1.send("s2", [(BYE,)])
    with pytest.raises(KeyError):
        d1.connect("s2", wires.address("s2"))
    d1.send("s1", GREETING)
    assert receive(s1) == [("d1", GREETING)]
    assert differences(("s1", s1), ("d1", d1)) == []


def test_an_address_that_cannot_be_bound_is_told(wires: Wires) -> None:
    with pytest.raises(zmq.ZMQError):
        wires.endpoint("s1").bind(wires.address("missing/s1"))


def test_a_socket_lies_where_only_the_user_can_enter_and_leaves_no_descriptor(wires: Wires) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    s1 = Endpoint("s1")
    s1.bind(wires.address("s1"))
    folder = Path(wires.address("s1").removeprefix("ipc://")).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["s1"]
    s1.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
