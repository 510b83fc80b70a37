"""Schedules drawn at random: always possible, within their bounds, and the same for the same seed anywhere."""

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmsr.launch.faults import draw as module
from gmsr.launch.faults.draw import LIVE, MOST_FAULTS, SIMULATED, draw
from gmsr.topology import generate
from gmsr.topology.faults import LIVE_ONLY, SIMULATED_ONLY, Fault, make, problems
from gmsr.topology.graph import Topology


def graph(kind: str = "random", dispatchers: int = 4, servers: int = 6, seed: int = 1) -> Topology:
    return generate.generate(kind, dispatchers, servers, 2, seed, "uniform", "mixed", 3.0)


GRAPHS = st.builds(
    graph,
    st.sampled_from([kind for kind in generate.FAMILIES if kind != "path"]),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 99),
)
SEEDS = st.integers(0, 1 << 64)
KINDS = st.sets(st.sampled_from(SIMULATED), min_size=1)


@given(GRAPHS, SEEDS, st.floats(1e-3, 1e6), KINDS, st.integers(1, 60))
def test_a_drawn_schedule_is_possible(
    topology: Topology, seed: int, duration: float, kinds: set[str], most: int
) -> None:
    drawn = draw(topology, seed, duration, kinds=kinds, most=most)
    assert problems(drawn, topology, duration) == []
    assert len(drawn) <= most
    assert {fault.kind for fault in drawn} <= kinds
    assert drawn == draw(topology, seed, duration, kinds=sorted(kinds), most=most)
    assert drawn == tuple(make(fault.to_dict(), topology.edges) for fault in drawn)


@given(GRAPHS, SEEDS, st.floats(1e-3, 1e6))
def test_bounds(topology: Topology, seed: int, duration: float) -> None:
    drawn = draw(topology, seed, duration, kinds=SIMULATED, most=60)
    for fault in drawn:
        assert 0.1 * duration <= fault.at <= 0.7 * duration
        assert fault.kind == "drain" or fault.until <= 0.75 * duration
        assert 0.2 <= fault.factor <= 5.0
        assert fault.seconds + fault.jitter <= 0.2 + 1e-9
        assert fault.share <= 0.3
        assert (fault.share > 0.0) == (fault.kind in ("loss", "duplicate", "reorder"))
    gone = {fault.agents[0] for fault in drawn if fault.kind == "drain"}
    assert 2 * len(gone) < len(topology.servers)
    for dispatcher in topology.dispatchers:
        assert dispatcher.id not in gone
        assert any(edge.server not in gone for edge in topology.servers_of(dispatcher.id))


def test_seeds_differ_in_kinds_and_in_number() -> None:
    """Swarm: no schedule of all kinds each time."""
    schedules = [draw(graph(), seed, 60.0, kinds=SIMULATED) for seed in range(300)]
    kinds = Counter(kind for faults in schedules for kind in {fault.kind for fault in faults})
    assert {*kinds} == {*SIMULATED}
    assert max(kinds.values()) < 200
    sizes = {len(faults) for faults in schedules}
    assert min(sizes) == 1
    assert max(sizes) > MOST_FAULTS // 2
    slow = [fault for faults in schedules for fault in faults if fault.kind == "slow"]
    assert {fault.curve is None for fault in slow} == {True, False}
    cuts = [fault.to_dict() for faults in schedules for fault in faults if fault.kind == "cut"]
    assert all(any(target in cut for cut in cuts) for target in ("edge", "agent", "group"))


def test_what_is_drawn_of_itself() -> None:
    assert not {*LIVE} & {*SIMULATED_ONLY, *LIVE_ONLY, "join"}
    assert {*SIMULATED} - {*LIVE} == {*SIMULATED_ONLY}
    assert {*module._WHAT} == {*SIMULATED}
    for kinds in ((), ("join",), ("crash", "kill-launcher")):
        with pytest.raises(ValueError, match="only kinds of"):
            draw(graph(), 1, 60.0, kinds=kinds)


@given(SEEDS)
def test_it_fits_in_with_the_files_own_faults(seed: int) -> None:
    own = (
        Fault("join", 30.0, agents=("s2",)),
        Fault("freeze", 20.0, 25.0, ("d1",)),
        Fault("drain", 9.0, agents=("s1",)),
    )
    topology = graph()._replace(faults=own)
    drawn = draw(topology, seed, 60.0, most=40)
    assert problems([*own, *drawn], topology, 60.0) == []


def test_drains_of_a_file_forbid_no_other_fault() -> None:
    everybody = tuple(Fault("drain", 9.0, agents=(server.id,)) for server in graph().servers)
    assert draw(graph()._replace(faults=everybody), 1, 60.0, kinds=("surge",))
    assert draw(graph()._replace(faults=everybody), 1, 60.0, kinds=("drain",)) == ()


def test_one_server_is_never_drained() -> None:
    assert draw(graph("star", 3, 1), 1, 60.0, kinds=("drain",)) == ()


@pytest.mark.slow
def test_the_same_in_every_process() -> None:
    program = """
from gmsr.launch.faults.draw import SIMULATED, draw
from gmsr.topology.generate import generate
topology = generate("random", 4, 6, 2, 1, "uniform", "mixed", 3.0)
print([draw(topology, seed, 60.0, kinds={*SIMULATED}) for seed in range(20)])
"""
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": number},
        ).stdout
        for number in ("0", "1")
    }
    assert told == {f"{[draw(graph(), seed, 60.0, kinds=SIMULATED) for seed in range(20)]}\n"}
