"""A random testbed with random faults, from a seed alone: what tests and ``gmsr explore`` run by the thousand.

As TigerBeetle's VOPR: the seed draws the graph, the curves, the load, the policy, the network and which faults exist
at all, so that rare combinations come up; and it is the whole of a scenario's description.
"""

from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from gmsr.agents.policies import POLICIES
from gmsr.topology.curves import Curve, make
from gmsr.topology.faults import Fault
from gmsr.topology.graph import Dispatcher, Edge, Server, Sizes, Topology

from .. import plan
from ..choices import choose
from ..faults.draw import SIMULATED, draw

DURATION_S = 12.0
COOLDOWN = 0.1
QUIET = 0.98
"""Share of the duration after which all faults must be digested: the last ends at three quarters."""
MOST_FAULTS = 8
SHARE_THAT_GROWS = 0.25
SHARE_THAT_LEARNS = 0.25
"""Of servers. Drawn apart, so that all else of a seed stayed as it had been."""
SCALES = (1.0, 1.0, 4.0, 16.0)
LATENCIES = (0.0, 0.0, 0.0005, 0.02)
FEEDS = ("", "", "every-change", "on-change:by=0.1", "every-change:correct=yes", "periodic:every=0.2,correct=yes",
         "piggyback:correct=yes", "probe:d=2,correct=yes", "probe:pool=2")  # fmt: skip
"""Of ``gmsr``, which goes with any; others have their own."""


class Scenario(NamedTuple):
    """All that a world is made of."""

    seed: int
    topology: Topology
    options: plan.Options
    faults: tuple[Fault, ...]
    latency: float  # of every frame, up to so much; emulated seconds
    by_bytes: bool  # frames go through the wire format

    def specs(self) -> list[Any]:
        """One specification an agent; no file is named that is opened."""
        nowhere = Path("nowhere")
        policy = choose(self.options.policy, self.options.feed)
        made = plan.specs(
            self.topology, self.options, policy, nowhere, "nowhere", "scenario", plan.Inputs({}, None, 1.0)
        )
        return list(made)


def scenario(seed: int) -> Scenario:
    """The scenario of a seed."""
    random = Random(f"scenario/{seed}")
    dispatchers, servers = random.randint(1, 4), random.randint(1, 5)
    learning = Random(f"scenario/{seed}/learning")
    backs = tuple(
        Server(f"s{number}", _curve(random), learn=learning.random() < SHARE_THAT_LEARNS)
        for number in range(servers)
    )
    edges = tuple(
        Edge(f"d{row}", each.id, random.choice((0.0, 0.0, 0.03)), random.choice((1.0, 1.0, 2.5)))
        for row in range(dispatchers)
        for each in random.sample(backs, random.randint(1, servers))
    )
    capacity = sum(each.curve.value(20.0) for each in backs)
    rate = random.uniform(0.2, 0.8) * capacity / dispatchers
    fronts = tuple(Dispatcher(f"d{row}", rate * random.uniform(0.2, 1.0)) for row in range(dispatchers))
    topology = Topology(
        f"scenario-{seed}", fronts, backs, edges, scale=random.choice(SCALES), sizes=Sizes(_sizes(random))
    )
    rules = [name for name in POLICIES if name != "oracle"]
    policy = "gmsr" if random.random() < 0.5 else random.choice(rules)
    options = plan.Options(
        policy=policy,
        feed=random.choice(FEEDS) if policy == "gmsr" else "",
        duration=DURATION_S,
        warmup=0.0,
        seed=seed,
        scale=topology.scale,
        again=random.random() < 0.5,
        drop=random.random() < 0.3,
    )
    topology = topology._replace(faults=_newcomer(topology, random))
    faults = (*topology.faults, *draw(topology, seed, DURATION_S, kinds=SIMULATED, most=MOST_FAULTS))
    latency = random.choice(LATENCIES)
    return Scenario(seed, topology, options, faults, latency, random.random() < 0.1)


def _newcomer(topology: Topology, random: Random) -> tuple[Fault, ...]:
    """Now and then a server joins: one that is no dispatcher's only one."""
    only = {
        edges[0].server
        for edges in (topology.servers_of(each.id) for each in topology.dispatchers)
        if len(edges) == 1
    }
    others = [each.id for each in topology.servers if each.id not in only]
    if not others or random.random() > SHARE_THAT_GROWS:
        return ()
    return (Fault("join", random.uniform(0.1, 0.5) * DURATION_S, agents=(random.choice(others),)),)


def _curve(random: Random) -> Curve:
    a, b = random.uniform(1.0, 6.0), random.uniform(0.5, 4.0)
    return make(
        random.choice(
            [
                {"kind": "hyperbolic", "a": a, "b": b},
                {"kind": "exponential", "a": a, "b": b},
                {"kind": "multicore", "m": a / 2.0, "k": random.randint(1, 8)},
                {"kind": "power", "a": a, "p": random.uniform(0.3, 0.8)},
                {"kind": "logarithmic", "a": a, "b": b},
                {"kind": "table", "points": [[1.0, a], [4.0, 2.0 * a], [16.0, 3.0 * a]]},
            ]
        )
    )


def _sizes(random: Random) -> str:
    return random.choice(["exponential", "deterministic", "lognormal", "bounded-pareto"])
