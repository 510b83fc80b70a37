"""A topology that this machine cannot hold is refused before anything is started."""

import resource
from types import SimpleNamespace

import psutil
import pytest

from gmsr.launch import limits
from gmsr.topology import curves
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology

CURVE = curves.make({"kind": "hyperbolic", "a": 4.0, "b": 2.0})


def star(dispatchers: int) -> Topology:
    """One server for all."""
    return Topology(
        "star",
        tuple(Dispatcher(f"d{index}", 1.0) for index in range(dispatchers)),
        (Server("hub", CURVE),),
        tuple(Edge(f"d{index}", "hub") for index in range(dispatchers)),
    )


@pytest.fixture(autouse=True)
def ample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_task_limits", lambda: [("pid_max", 10**6, 100)])
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1 << 40))


@pytest.fixture
def descriptors(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    state = {"now": (64, 256)}
    monkeypatch.setattr(resource, "getrlimit", lambda _which: state["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _which, both: state.update(now=both))
    return state


def refused(topology: Topology) -> str:
    with pytest.raises(UserError) as error:
        limits.check(topology)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_fits_passes_and_leaves_the_limit_alone(descriptors: dict[str, tuple[int, int]]) -> None:
    limits.check(star(8))
    assert descriptors["now"] == (64, 256)


def test_the_soft_limit_of_descriptors_is_raised_to_the_need(descriptors: dict[str, tuple[int, int]]) -> None:
    limits.check(star(200))
    soft, hard = descriptors["now"]
    assert 200 < soft <= hard == 256


def test_more_edges_than_descriptors_are_refused(descriptors: dict[str, tuple[int, int]]) -> None:
    told = refused(star(300))
    assert "hub has 300 edges" in told
    assert "256" in told
    assert descriptors["now"] == (64, 256)


def test_no_limit_of_descriptors_is_no_limit(descriptors: dict[str, tuple[int, int]]) -> None:
    descriptors["now"] = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    limits.check(star(300))


def test_too_many_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_task_limits", lambda: [("pids.max of the control group", 120, 90)])
    assert refused(star(9)).startswith(
        "topology: 10 agents need about 40 tasks, pids.max of the control group"
    )
    limits.check(star(6))


def test_too_little_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=50 << 20))
    assert "80 MiB of memory, 50 are free" in refused(star(9))


def test_no_place_for_sockets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "home", lambda: None)
    assert refused(star(1)).startswith("TMPDIR: ")
