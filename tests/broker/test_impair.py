"""The delay line: every frame comes out once, in order, exactly its edge's delay later."""

from hypothesis import given
from hypothesis import strategies as st

from gmsr.broker.impair import NEVER, DelayLine
from gmsr.broker.wire import COMPLETION, Message


def frame(number: int) -> list[Message]:
    return [(COMPLETION, number)]


def test_frames_wait_for_their_time() -> None:
    line = DelayLine({"s1": 0.5, "s2": 0.125})
    assert line.deadline() == NEVER
    line.push("s1", frame(1), 1.0)
    line.push("s2", frame(2), 1.0)
    line.push("s2", frame(3), 1.25)
    assert line.deadline() == 1.125
    assert line.due(1.0) == []
    assert line.due(1.125) == [("s2", frame(2))]
    assert line.deadline() == 1.375
    assert line.due(2.0) == [("s2", frame(3)), ("s1", frame(1))]
    assert line.deadline() == NEVER


def test_an_edge_without_a_delay_passes_at_once() -> None:
    line = DelayLine({"s1": 0.5})
    line.push("s2", frame(1), 3.0)
    assert line.due(3.0) == [("s2", frame(1))]


@given(
    st.lists(st.tuples(st.sampled_from(("a", "b", "c")), st.integers(0, 40))),
    st.fixed_dictionaries({"a": st.integers(0, 30), "b": st.integers(0, 30)}),
)
def test_each_once_in_order_never_early(pushes: list[tuple[str, int]], delays: dict[str, int]) -> None:
    line = DelayLine({peer: float(delay) for peer, delay in delays.items()})
    pushes.sort(key=lambda push: push[1])
    out: list[tuple[str, int]] = []
    waiting = list(enumerate(pushes))
    for now in range(80):
        while waiting and waiting[0][1][1] == now:
            number, (peer, _) = waiting.pop(0)
            line.push(peer, frame(number), float(now))
        deadline = line.deadline()
        released = line.due(float(now))
        assert bool(released) == (deadline <= now)
        for peer, messages in released:
            number = messages[0][1]
            assert pushes[number] == (peer, now - delays.get(peer, 0))
            out.append((peer, number))
    assert sorted(number for _, number in out) == list(range(len(pushes)))
    for peer in "abc":
        mine = [number for other, number in out if other == peer]
        assert mine == sorted(mine)
