"""Families on which a naive policy fails: closed forms against the optimum, the balance and the fluid limit."""

import numpy as np
import pytest

from gmsr.topology.check import problems
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology
from gmsr.topology.theory import fluid
from gmsr.topology.theory.balance import balance
from gmsr.topology.theory.fleet import Fleet, Floats, fleet
from gmsr.topology.theory.keys import MARGINAL
from gmsr.topology.theory.naive import FAMILIES, Family, make
from gmsr.topology.theory.network import Network, network, offered
from gmsr.topology.theory.optimum import solve

PARAMETER = pytest.mark.parametrize("parameter", [1, 2, 10, 100])


def rates(topology: Topology) -> dict[str, float]:
    return {each.id: each.rate for each in topology.dispatchers}


def arrays(topology: Topology) -> tuple[Network, Fleet, Floats]:
    return network(topology), fleet(topology.servers), offered(topology, rates(topology))


@pytest.mark.parametrize("name", FAMILIES)
@PARAMETER
@pytest.mark.parametrize("method", ["conic", "balance"])
def test_the_optimum_is_the_closed_form(name: str, parameter: float, method: str) -> None:
    topology = make(name, parameter)
    found = solve(topology, rates(topology), method)
    assert found.workload == pytest.approx(FAMILIES[name].optimum(parameter), rel=1e-8)


@pytest.mark.parametrize("name", FAMILIES)
@PARAMETER
def test_gmsr_is_at_the_optimum(name: str, parameter: float) -> None:
    """As servers report, smoothed: no kink is near."""
    at_rest = balance(*arrays(make(name, parameter)), MARGINAL).workload.sum()
    assert at_rest == pytest.approx(FAMILIES[name].optimum(parameter), rel=1e-12)


@pytest.mark.parametrize("name", ["pigou", "starved-fast"])
@PARAMETER
def test_where_equal_keys_come_to_rest(name: str, parameter: float) -> None:
    family = FAMILIES[name]
    at_rest = balance(*arrays(make(name, parameter)), fluid.RULES[family.policy]).workload.sum()
    assert at_rest == pytest.approx(family.naive(parameter), rel=1e-12)


@PARAMETER
def test_where_equal_shares_come_to_rest(parameter: float) -> None:
    topology = make("weak-one", parameter)
    each = topology.dispatchers[0].rate / len(topology.servers)
    at_rest = sum(server.curve.inverse(each) for server in topology.servers)
    assert at_rest == pytest.approx(FAMILIES["weak-one"].naive(parameter), rel=1e-12)


@PARAMETER
def test_where_the_lone_winner_comes_to_rest(parameter: float) -> None:
    topology = make("rich-get-richer", parameter)
    winner = topology.servers[0].curve.inverse(topology.dispatchers[0].rate)
    assert winner == pytest.approx(FAMILIES["rich-get-richer"].naive(parameter), rel=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("parameter", [1, 3, 20])
def test_the_fluid_settles_there_in_the_time_that_is_told(name: str, parameter: float) -> None:
    """From empty; under ``fastest`` the first of equal servers is ahead."""
    family = FAMILIES[name]
    topology = make(name, parameter)
    net, servers, demand = arrays(topology)
    flow = fluid.shares(net, np.ones(len(net.server)), demand) if family.policy == "random" else None
    path = fluid.integrate(
        net, servers, demand, fluid.RULES[family.policy], duration=family.settling(parameter), flow=flow
    )
    assert path.total[-1] == pytest.approx(family.naive(parameter), rel=0.01)
    assert topology.run.warmup >= family.settling(parameter)


def test_ratios_by_hand() -> None:
    ratios = {name: [round(family.ratio(p), 3) for p in (1, 10, 100)] for name, family in FAMILIES.items()}
    assert ratios == {
        "pigou": [1.0, 1.878, 5.263],
        "starved-fast": [1.0, 5.5, 50.5],
        "weak-one": [1.458, 10.349, 100.335],
        "rich-get-richer": [1.5, 6.0, 51.0],
    }


@pytest.mark.parametrize("name", FAMILIES)
def test_ratios_grow_without_bound(name: str) -> None:
    family: Family = FAMILIES[name]
    parameters = [1.1**power for power in range(150)]
    ratios = [family.ratio(parameter) for parameter in [*parameters, 1e7, 1e9, 1e11]]
    assert ratios == sorted(set(ratios))
    assert ratios[0] >= 1.0
    assert ratios[-1] > 1e5


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_made_is_sound(name: str) -> None:
    topology = make(name, 12)
    assert problems(topology) == []
    assert topology.name == f"{name}-12"
    assert topology.scale == 100.0
    assert make(name, 12, scale=7.0).scale == 7.0
    assert FAMILIES[name].name == name


@pytest.mark.parametrize(
    ("name", "parameter", "message"),
    [
        ("braess", 2.0, "'braess' is unknown; choose one of pigou, "),
        ("pigou", 0.5, "--parameter: pigou takes no 0.5; give a number from 1 to 1e"),
        ("pigou", float("nan"), "--parameter"),
        ("weak-one", float("inf"), "--parameter"),
        ("starved-fast", 2.5, "--parameter: starved-fast takes no 2.5; give a whole number from 1 to 10000"),
        ("starved-fast", 10_001, "--parameter"),
    ],
)
def test_what_cannot_be_made_is_refused(name: str, parameter: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(name, parameter)
    with pytest.raises(UserError, match="--scale"):
        make("pigou", 2.0, scale=0.0)
