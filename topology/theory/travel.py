"""Travel in the central optimum: what it costs, and a method for it at any size.

Over an edge with one-way delay τ a job is on its way for 2τ: there, and its completion back. At x volume per second,
jobs of mean size s, that is c·x of workload with c = 2τ/s. The optimum minimises Σⱼ Nⱼ + Σᵢⱼ cᵢⱼxᵢⱼ, and a dispatcher
with price yᵢ (workload per unit of volume) sends only where wⱼ + cᵢⱼ = yᵢ is least, wⱼ being one over a supergradient
of μⱼ. The balance method does not apply: what a dispatcher goes by is no longer a figure of the server alone.

``relax`` finds prices that meet this to within ε, then to within a quarter of that, and so on (Bertsekas, Polymenakos
and Tseng, "An ε-relaxation method for separable convex cost network flow problems", SIAM J. Optimization 7, 1997).
Each stage goes upwards first: a dispatcher gives what it has left to its cheapest server; that one's price rises until
it covers what the server carries, or until some dispatcher does better elsewhere by ε and gets its volume back. Then
downwards, the mirror image: servers dearer than what they carry lower their prices and draw volume. A price moves by
half an ε at least, and volume never goes round in a circle meanwhile: so each stage ends.
"""

from typing import NamedTuple

import numpy as np

from ..graph import Topology
from .balance import balance
from .compiled import compiled
from .fleet import EXPONENTIAL, HYPERBOLIC, LOGARITHMIC, POWER, Fleet, Floats, place, value
from .network import Network

FINER = 0.25
LAST = 1e-12
"""The last ε, over the mean price."""
DIGITS = 1e-13
"""No ε is smaller than this share of the largest price, and rates that differ by a smaller share are the same."""
STEPS = 20_000
"""A stage is given up after so many steps of each agent on average; 1,000 × 1,000 at load 0.999 take some hundreds."""


class NoPrices(Exception):
    """The relaxation was given up."""


class Prices(NamedTuple):
    """The state of a relaxation: changed in place."""

    cost: Floats  # (E,) c, workload per unit of volume
    flow: Floats  # (E,)
    inflow: Floats  # (J,)
    left: Floats  # (I,) what a dispatcher has still to send; below 0: it has sent too much
    front: Floats  # (I,) y; −∞ where nothing is offered
    back: Floats  # (J,) w


def delayed(topology: Topology) -> bool:
    """Whether any edge has a delay."""
    return any(edge.delay > 0.0 for edge in topology.edges)


def without_delays(topology: Topology) -> Topology:
    """The same with instant edges: what the fluid limit and the slotted model are about."""
    return topology._replace(edges=tuple(edge._replace(delay=0.0) for edge in topology.edges))


def costs(topology: Topology, net: Network, job_size: float) -> Floats:
    """Workload on the way per unit of flow over each edge (E,), in the network's order; ``job_size``: the mean."""
    delays = np.array([edge.delay for edge in topology.edges], dtype=np.float64)
    return 2.0 * delays[net.order] / job_size


def relax(net: Network, fleet: Fleet, demand: Floats, cost: Floats) -> tuple[Floats, Floats]:
    """Flows (E,), adding up to the demand, and marginal rates 1/y (I,), infinite where nothing is offered.

    The demand must fit. Raises NoPrices. What it returns ``certificate`` judges.
    """
    found = balance(net, fleet, demand)
    state = Prices(
        cost, found.flow, np.zeros(len(fleet.kind)), np.zeros(len(demand)), np.zeros(len(demand)),
        _own(net, fleet, found.flow, found.key),
    )  # fmt: skip
    epsilon = _begin(net, demand, state, np.inf)
    while True:
        fronts = state.front[demand > 0.0]
        mean = float(demand[demand > 0.0] @ fronts) / float(demand.sum())
        last = max(LAST * mean, DIGITS * float(fronts.max()))
        epsilon = max(FINER * epsilon, last)
        _begin(net, demand, state, epsilon)
        for sign in (1.0, -1.0):
            if not _settle(net, fleet, state, sign, epsilon):
                raise NoPrices(f"prices did not settle to within {epsilon / mean:.1e}")
        if epsilon <= last:
            break
    sent = np.bincount(net.dispatcher, state.flow, minlength=len(demand))
    flow = state.flow * np.divide(demand, sent, out=np.zeros_like(sent), where=sent > 0.0)[net.dispatcher]
    return flow, np.where(demand > 0.0, 1.0 / np.maximum(state.front, 1e-300), np.inf)


@compiled
def _begin(net: Network, demand: Floats, state: Prices, epsilon: float) -> float:
    """Dispatchers' prices become those of their cheapest servers; flow where it costs more by half an ε is taken back.

    Returns the most by which any flow cost more.
    """
    worst = 0.0
    state.inflow[:] = 0.0
    for i in range(len(demand)):
        least = np.inf
        for edge in range(net.first[i], net.first[i + 1]):
            least = min(least, state.back[net.server[edge]] + state.cost[edge])
        state.front[i] = least if demand[i] > 0.0 else -np.inf
        sent = 0.0
        for edge in range(net.first[i], net.first[i + 1]):
            if state.flow[edge] > 0.0:
                beyond = state.back[net.server[edge]] + state.cost[edge] - least
                worst = max(worst, beyond)
                if beyond > 0.5 * epsilon:
                    state.flow[edge] = 0.0
            sent += state.flow[edge]
            state.inflow[net.server[edge]] += state.flow[edge]
        state.left[i] = demand[i] - sent
    return worst


@compiled
def _settle(net: Network, fleet: Fleet, state: Prices, sign: float, epsilon: float) -> bool:
    """Let prices rise (sign 1) until nobody has too much, or fall (−1) until nobody has too little.

    Agents are dispatchers, then servers. Returns False if it was given up.
    """
    fronts, agents = len(state.left), len(state.left) + len(state.inflow)
    queue, waits = np.arange(agents), np.ones(agents, np.bool_)
    begin, waiting = 0, agents
    for _ in range(STEPS * agents):
        agent = queue[begin]
        if agent < fronts:
            other = _send(net, state, sign, epsilon, agent)
        else:
            other = _serve(net, fleet, state, sign, epsilon, agent - fronts)
        if other < 0:
            begin, waiting, waits[agent] = (begin + 1) % agents, waiting - 1, False
            if waiting == 0:
                return True
        elif not waits[other]:
            queue[(begin + waiting) % agents] = other
            waiting, waits[other] = waiting + 1, True
    return False


@compiled
def _send(net: Network, state: Prices, sign: float, epsilon: float, i: int) -> int:
    """A dispatcher with volume left gives it to its cheapest server; one that sent too much takes from its dearest.

    Returns the server, as an agent, or −1 if there is nothing to do.
    """
    if not sign * state.left[i] > 0.0:
        return -1
    best, at = np.inf, -1
    for edge in range(net.first[i], net.first[i + 1]):
        if sign > 0.0 or state.flow[edge] > 0.0:
            here = sign * (state.back[net.server[edge]] + state.cost[edge])
            if here < best:
                best, at = here, edge
    if at < 0:  # rounding
        state.left[i] = 0.0
        return -1
    if sign * state.front[i] < best + 0.5 * epsilon:
        state.front[i] = sign * (best + epsilon)
    amount = state.left[i] if sign > 0.0 else max(state.left[i], -state.flow[at])
    j = net.server[at]
    state.flow[at] += amount
    state.left[i] -= amount
    state.inflow[j] = max(state.inflow[j] + amount, 0.0)
    return len(state.left) + j


@compiled
def _serve(net: Network, fleet: Fleet, state: Prices, sign: float, epsilon: float, j: int) -> int:
    """A server that carries more than its price is worth raises it, or sends back; one with less lowers it, or draws.

    Returns the dispatcher concerned, or −1 if there is nothing (more) to do.
    """
    least, most = _prices(fleet, j, state.inflow[j])
    own = least if sign > 0.0 else most
    if not sign * (own - state.back[j]) > epsilon:
        return -1
    best, at = np.inf, -1
    for where in range(net.first_in[j], net.first_in[j + 1]):
        edge = net.edge_in[where]
        if (sign < 0.0 or state.flow[edge] > 0.0) and state.front[net.dispatcher[edge]] > -np.inf:
            here = sign * (state.front[net.dispatcher[edge]] - state.cost[edge])
            if here < best:
                best, at = here, edge
    level = sign * (best + epsilon)
    if at < 0 or sign * (own - level) <= 0.0:
        state.back[j] = own
        return -1
    if sign * (level - state.back[j]) > 0.5 * epsilon:
        state.back[j] = level
    amount = value(fleet, j, place(fleet, j, 1.0 / state.back[j])) - state.inflow[j]
    if sign > 0.0:
        amount = max(amount, -state.flow[at])
    i = net.dispatcher[at]
    state.flow[at] += amount
    state.left[i] -= amount
    state.inflow[j] = max(state.inflow[j] + amount, 0.0)
    return i


@compiled
def _own(net: Network, fleet: Fleet, flow: Floats, key: Floats) -> Floats:
    """Prices (J,) that servers ask at these flows; at a kink the nearest to what their dispatchers would pay."""
    inflow, offer = np.zeros(len(fleet.kind)), np.zeros(len(fleet.kind))
    for edge in range(len(flow)):
        j = net.server[edge]
        inflow[j] += flow[edge]
        offer[j] = max(offer[j], 1.0 / key[net.dispatcher[edge]])
    for j in range(len(offer)):
        least, most = _prices(fleet, j, inflow[j])
        if inflow[j] == 0.0:
            offer[j] = most
        elif least < np.inf:  # else rounding has overrun a cap
            offer[j] = min(max(offer[j], least), most)
    return offer


@compiled
def _prices(fleet: Fleet, j: int, rate: float) -> tuple[float, float]:
    """Workload that the last unit of what a server carries costs it (0 if there is none), and what the next will.

    They differ at a kink, and everywhere by what the last digits of the rate leave open.
    """
    least = _price(fleet, j, rate * (1.0 - DIGITS)) if rate > 0.0 else 0.0
    return least, _price(fleet, j, rate * (1.0 + DIGITS))


@compiled
def _price(fleet: Fleet, j: int, rate: float) -> float:
    """1/μ′ where μ is this rate; infinite beyond the cap."""
    kind, a, b = fleet.kind[j], fleet.a[j], fleet.b[j]
    if kind == HYPERBOLIC:
        return a / (a - rate) * b / (a - rate) if rate < a else np.inf
    if kind == EXPONENTIAL:
        return b / (a - rate) if rate < a else np.inf
    if kind == POWER:
        return (rate / a) ** (1.0 / b - 1.0) / (a * b)
    if kind == LOGARITHMIC:
        return b / a * np.exp(rate / a)
    at, last = fleet.first[j], fleet.first[j + 1] - 1
    while at < last and fleet.height[at + 1] <= rate:
        at += 1
    return 1.0 / fleet.slope[at]
