"""The emulated network: what it does to frames, and what it leaves alone."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmsr.broker.impair import ECHO_S, NEVER, Impairment, Network
from gmsr.broker.wire import COMPLETION, Frame

shares = st.sampled_from((0.0, 0.3, 1.0))
impairments = st.builds(
    Impairment,
    delay=st.sampled_from((0.0, 0.5)),
    jitter=st.sampled_from((0.0, 2.0)),
    loss=shares,
    duplicate=shares,
    reorder=shares,
    cut=st.sampled_from((0.0, 1.0)),
)


def frame(number: int) -> Frame:
    return 1, number, [(COMPLETION, number)]


def network(delays: dict[str, float] | None = None, seed: int = 1, **changes: float) -> Network:
    """``changes``: what befalls frames from ``s1``."""
    made = Network(delays or {}, Random(seed))
    made.impair("s1", changes)
    return made


def through(made: Network, count: int, gap: float = 0.01) -> list[tuple[float, int]]:
    """Sends ``count`` frames from s1, one every ``gap``; when each comes out, and its number."""
    out = []
    for number in range(count):
        made.push("s1", frame(number), number * gap)
    while made.deadline() < NEVER:
        now = made.deadline()
        out += [(now, each[1]) for _, each in made.due(now)]
    return out


def test_frames_wait_for_their_time() -> None:
    line = network({"s1": 0.5, "s2": 0.125})
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
    line = network({"s1": 0.5})
    line.push("s2", frame(1), 3.0)
    assert line.due(3.0) == [("s2", frame(1))]


@given(
    st.lists(st.tuples(st.sampled_from(("a", "b", "c")), st.integers(0, 40))),
    st.fixed_dictionaries({"a": st.integers(0, 30), "b": st.integers(0, 30)}),
)
def test_each_once_in_order_never_early(pushes: list[tuple[str, int]], delays: dict[str, int]) -> None:
    line = network({peer: float(delay) for peer, delay in delays.items()})
    pushes.sort(key=lambda push: push[1])
    out: list[tuple[str, int]] = []
    waiting = list(enumerate(pushes))
    for now in range(80):
        while waiting and waiting[0][1][1] == now:
            number, (peer, _) = waiting.pop(0)
            assert line.push(peer, frame(number), float(now))
        deadline = line.deadline()
        released = line.due(float(now))
        assert bool(released) == (deadline <= now)
        for peer, (_, number, _) in released:
            assert pushes[number] == (peer, now - delays.get(peer, 0))
            out.append((peer, number))
    assert sorted(number for _, number in out) == list(range(len(pushes)))
    for peer in "abc":
        mine = [number for other, number in out if other == peer]
        assert mine == sorted(mine)


def test_a_network_that_does_nothing_says_so() -> None:
    made = network()
    assert made.perfect
    made.impair("s1", {"loss": 0.5})
    assert not made.perfect
    made.impair("s1", {"loss": 0.0})
    assert made.perfect
    assert not network({"s1": 0.1}).perfect


def test_a_network_is_not_perfect_while_frames_are_under_way() -> None:
    made = network(delay=1.0)
    made.push("s1", frame(1), 0.0)
    made.impair("s1", {"delay": 0.0})
    assert not made.perfect, "what passes at once would overtake it"
    assert made.due(1.0) == [("s1", frame(1))]
    assert made.perfect


@given(st.floats(0.0, 1.0), st.floats(0.001, 5.0), st.integers(0, 99))
def test_jitter_delays_those_behind_too(delay: float, jitter: float, seed: int) -> None:
    out = through(network(seed=seed, delay=delay, jitter=jitter), 60)
    assert [number for _, number in out] == list(range(60))
    for when, number in out:
        assert number * 0.01 + delay - 1e-9 <= when <= number * 0.01 + delay + jitter + 1e-9


def test_a_shorter_delay_lets_nobody_overtake() -> None:
    made = network(delay=1.0)
    made.push("s1", frame(1), 0.0)
    made.impair("s1", {"delay": 0.1})
    made.push("s1", frame(2), 0.0)
    assert made.due(0.5) == []
    assert made.due(1.0) == [("s1", frame(1)), ("s1", frame(2))]


def test_reorder_lets_frames_be_overtaken_but_not_for_long() -> None:
    out = through(network(reorder=0.3), 2000, gap=0.001)
    numbers = [number for _, number in out]
    assert sorted(numbers) == list(range(2000)), "each once"
    assert numbers != sorted(numbers)
    late = [when - 0.001 * number for when, number in out]
    assert min(late) + 1e-9 >= 0.0
    assert max(late) <= ECHO_S + 1e-9
    assert sum(each > 1e-9 for each in late) == pytest.approx(600, abs=4.0 * (2000 * 0.3 * 0.7) ** 0.5)


def test_so_large_a_share_is_lost() -> None:
    made = network(loss=0.2)
    passed = sum(made.push("s1", frame(number), 0.0) for number in range(5000))
    assert passed == pytest.approx(4000, abs=4.0 * (5000 * 0.2 * 0.8) ** 0.5)
    assert len(made.due(0.0)) == passed


def test_so_large_a_share_comes_twice() -> None:
    out = through(network(duplicate=0.2), 5000)
    copies = Counter(number for _, number in out)
    assert set(copies.values()) == {1, 2}
    assert len(out) - 5000 == pytest.approx(1000, abs=4.0 * (5000 * 0.2 * 0.8) ** 0.5)
    first: dict[int, float] = {}
    for when, number in out:
        assert when - first.setdefault(number, when) <= ECHO_S


def test_nothing_passes_a_cut_and_all_passes_after_it() -> None:
    made = network(cut=1.0)
    assert not made.push("s1", frame(1), 0.0)
    assert made.push("s2", frame(1), 0.0), "another edge is whole"
    made.impair("s1", {"cut": 0.0})
    assert made.push("s1", frame(2), 1.0)
    assert made.due(1.0) == [("s2", frame(1)), ("s1", frame(2))]


def test_what_was_under_way_when_an_edge_was_cut_arrives() -> None:
    made = network(delay=1.0)
    made.push("s1", frame(1), 0.0)
    made.impair("s1", {"cut": 1.0})
    assert made.due(1.0) == [("s1", frame(1))]


def test_a_change_of_one_field_keeps_the_others() -> None:
    made = network(delay=1.0)
    made.impair("s1", {"loss": 1.0})
    assert not made.push("s1", frame(1), 0.0)
    made.impair("s1", {"loss": 0.0})
    assert made.push("s1", frame(2), 0.0)
    assert made.deadline() == 1.0


def test_the_edges_own_delay_stays_below_what_is_imposed() -> None:
    made = network({"s1": 0.25}, delay=0.5)
    made.push("s1", frame(1), 0.0)
    assert made.deadline() == 0.75
    made.impair("s1", {"delay": 0.0})
    made.push("s1", frame(2), 1.0)
    assert made.due(0.75) == [("s1", frame(1))]
    assert made.deadline() == 1.25


@given(st.integers(0, 99))
def test_latency_is_anybodys_and_keeps_the_order(seed: int) -> None:
    made = Network({}, Random(seed), latency=0.5)
    assert not made.perfect
    out = through(made, 60)
    assert [number for _, number in out] == list(range(60))
    assert all(-1e-9 <= when - 0.01 * number <= 0.5 + 1e-9 for when, number in out)


def test_a_field_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="colour"):
        network(colour=1.0)


@given(impairments, st.integers(0, 9))
def test_the_same_seed_is_the_same_fate(chosen: Impairment, seed: int) -> None:
    one, other = (through(network(seed=seed, **chosen._asdict()), 50) for _ in range(2))
    assert one == other
    if chosen.cut or chosen.loss == 1.0:
        assert one == []
    elif not chosen.loss:
        assert {number for _, number in one} == set(range(50))
