"""The way in: each frame is taken once, in order, and a loss is noticed."""

from random import Random
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from gmsr.broker.census import Census
from gmsr.broker.inlet import Inlet
from gmsr.broker.wire import COMPLETION, JOB, Frame, Message, stamped


def inlet(**delays: float) -> tuple[Inlet, Census]:
    census = Census()
    for peer in ("d1", "d2"):
        census.meet(peer)
    return Inlet(census, delays, Random(1)), census


def frame(number: int, life: int = 1) -> Frame:
    return life, number, [(COMPLETION, number)]


Arrival = tuple[str, int, list[Message], bool]
"""Peer, life, messages, and whether something was missed before them."""


class Machine:
    """Remembers what it is handed."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self._missed: list[str] = []

    def missed(self, peer: str) -> None:
        self._missed.append(peer)

    def received(self, peer: str, life: int, messages: list[Message], _now: float) -> None:
        self.arrivals.append((peer, life, messages, peer in self._missed))
        self._missed.clear()


def handed(
    made: Inlet, frames: list[tuple[str, Frame]], now: float = 0.0, begun: bool = True
) -> list[Arrival]:
    machine = Machine()
    made.take(frames, now, machine, begun)
    return machine.arrivals


def taken(made: Inlet, *frames: Frame, now: float = 0.0) -> list[tuple[int, int, bool]]:
    """Life, number, and whether something was missed before it."""
    arrivals = handed(made, [("d1", each) for each in frames], now)
    return [(life, messages[0][1], missed) for _, life, messages, missed in arrivals]


def test_what_comes_in_order_misses_nothing() -> None:
    made, census = inlet()
    assert taken(made, frame(1), frame(2), frame(3)) == [(1, 1, False), (1, 2, False), (1, 3, False)]
    assert census.dropped["stale"] == 0


def test_what_the_machine_gets() -> None:
    made, _ = inlet()
    messages: list[Message] = [(JOB, 7, 1.0), (JOB, 8, 1.0)]
    assert handed(made, [("d2", (3, 1, messages))]) == [("d2", 3, messages, False)]


def test_a_skipped_number_is_a_loss_once() -> None:
    made, _ = inlet()
    assert taken(made, frame(1), frame(4), frame(5)) == [(1, 1, False), (1, 4, True), (1, 5, False)]


def test_a_first_frame_that_is_not_the_first_is_a_loss() -> None:
    made, _ = inlet()
    assert taken(made, frame(2)) == [(1, 2, True)]


def test_copies_and_what_was_overtaken_are_dropped_and_counted() -> None:
    made, census = inlet()
    assert taken(made, frame(1), frame(1), frame(3), frame(2)) == [(1, 1, False), (1, 3, True)]
    assert census.dropped["stale"] == 2
    assert (census.stale["d1"].counts[COMPLETION], census.stale["d1"].sizes[COMPLETION]) == (2, 6)
    assert sum(census.stale["d2"].counts) == 0


def test_a_later_life_begins_anew_and_the_earlier_is_over() -> None:
    made, census = inlet()
    frames = [frame(1), frame(2), frame(1, life=2), frame(3), frame(2, life=2), frame(5, life=4)]
    assert taken(made, *frames) == [(1, 1, False), (1, 2, False), (2, 1, False), (2, 2, False), (4, 5, True)]
    assert census.dropped["stale"] == 1


def test_peers_are_told_apart() -> None:
    made, _ = inlet()
    arrivals = handed(made, [("d1", frame(1)), ("d2", frame(1)), ("d1", frame(2)), ("d2", frame(3))])
    assert [(peer, missed) for peer, _, _, missed in arrivals] == [
        ("d1", False), ("d2", False), ("d1", False), ("d2", True),
    ]  # fmt: skip


def test_a_delay_comes_before_the_order() -> None:
    made, _ = inlet(d1=0.5)
    assert taken(made, frame(1)) == []
    assert made.deadline() == 0.5
    assert taken(made, frame(2), now=0.5) == [(1, 1, False)]
    assert taken(made, now=1.0) == [(1, 2, False)]


def test_before_time_has_begun_there_is_no_delay() -> None:
    made, _ = inlet(d1=0.5)
    assert handed(made, [("d1", frame(1))], begun=False) == [("d1", 1, [(COMPLETION, 1)], False)]


def test_what_falls_to_the_network_is_counted_and_noticed() -> None:
    made, census = inlet()
    made.impair("d1", {"cut": 1.0})
    assert taken(made, frame(1), frame(2)) == []
    made.impair("d1", {"cut": 0.0})
    assert taken(made, frame(3)) == [(1, 3, True)]
    assert census.lost["d1"].counts[COMPLETION] == 2
    assert census.dropped["stale"] == 0, "what is lost is no copy"


class Sent(NamedTuple):
    """One frame of one life, and what becomes of it on the way."""

    life: int
    number: int
    copies: int  # 0: lost
    places: tuple[float, ...]  # where in the order of arrival each copy comes


@st.composite
def ways(draw: st.DrawFn) -> list[Sent]:
    sent: list[Sent] = []
    for life in range(1, draw(st.integers(1, 4)) + 1):
        for number in range(1, draw(st.integers(0, 8)) + 1):
            copies = draw(st.sampled_from((0, 1, 1, 1, 2, 3)))
            spread = draw(st.sampled_from((0.0, 0.0, 3.0)))
            places = draw(st.lists(st.floats(0.0, spread), min_size=copies, max_size=copies))
            sent.append(Sent(life, number, copies, tuple(len(sent) + place for place in places)))
    return sent


@given(ways(), st.integers(1, 5))
def test_any_way_gives_each_frame_once_at_most_in_order_and_tells_every_gap(
    sent: list[Sent], lump: int
) -> None:
    made, census = inlet()
    on_the_way = sorted((place, each.life, each.number) for each in sent for place in each.places)
    frames = [frame(number, life) for _, life, number in on_the_way]
    out = []
    for start in range(0, len(frames), lump):  # however they are read
        out += taken(made, *frames[start : start + lump])
    got = [(life, number) for life, number, _ in out]
    assert got == sorted(set(got)), "never twice, never back, never an earlier life after a later"
    assert set(got) <= {(each.life, each.number) for each in sent if each.copies}
    last = (0, 0)
    for life, number, missed in out:
        follows = number == (last[1] + 1 if life == last[0] else 1)
        assert missed == (not follows)
        last = (life, number)
    assert census.dropped["stale"] == len(frames) - len(out)
    assert census.stale["d1"].counts[COMPLETION] == len(frames) - len(out)
    assert made.last("d1") == last
    if all(each.copies == 1 for each in sent) and frames == [frame(each.number, each.life) for each in sent]:
        assert [missed for _, _, missed in out] == [False] * len(sent), "a perfect way misses nothing"


def sent_at(number: int, time: float) -> Frame:
    life, _, messages = frame(number)
    return life, number, stamped(messages, time)


def test_a_delay_counts_from_when_a_frame_was_sent() -> None:
    """Whatever of it the transport has taken; and nobody is told of more than what was sent."""
    made, _ = inlet(d1=1.0)
    assert taken(made, sent_at(1, 4.0), now=4.25) == []
    assert made.deadline() == 5.0
    assert taken(made, now=5.0) == [(1, 1, False)]
    assert taken(made, sent_at(2, 5.0), now=7.5) == [(1, 2, False)]  # the transport took longer


def test_a_frame_from_the_future_was_sent_now() -> None:
    made, _ = inlet(d1=1.0)
    assert taken(made, sent_at(1, 1e9), now=4.0) == []
    assert made.deadline() == 5.0


def test_who_expects_no_stamp_takes_it_off_all_the_same() -> None:
    made, _ = inlet()
    assert taken(made, sent_at(1, 0.0), frame(2)) == [(1, 1, False), (1, 2, False)]
