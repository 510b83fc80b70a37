"""The slotted model: exact laws where they are known, and beside a plain restatement of MODEL section 6."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gmsr.agents.policies import POLICIES
from gmsr.launch import packaged
from gmsr.launch.demand import demand
from gmsr.topology import curves, files
from gmsr.topology.graph import Server
from gmsr.topology.theory.chains import chain
from gmsr.topology.theory.fleet import Fleet, Floats, fleet
from gmsr.topology.theory.network import Network, from_pairs, network, offered
from gmsr.topology.theory.slotted import policies, prepare, run, simulate

MAXIMA = ("gmsr", "gmsr-derivative", "gmsr-fewest", "jsq", "least-inflight", "least-latency", "fastest")
JOB_BY_JOB = ("random", "round-robin", "p2c", "jiq", "static")
KINDS: list[curves.Curve] = [
    curves.Hyperbolic(4.0, 2.0), curves.Exponential(3.0, 1.5), curves.Multicore(0.5, 4), curves.Power(1.0, 0.5),
    curves.Logarithmic(2.0, 1.0), curves.Table([[1, 1.0], [4, 2.5], [8, 3.0]]),
]  # fmt: skip


def graph(pairs: Sequence[tuple[int, int]], dispatchers: int, servers: int) -> Network:
    return from_pairs(np.array([i for i, _ in pairs]), np.array([j for _, j in pairs]), dispatchers, servers)


def servers(*made: curves.Curve, smoothed: bool = True) -> Fleet:
    return fleet([Server(f"s{j}", curve) for j, curve in enumerate(made)], smoothed)


def star(count: int) -> Network:
    """One dispatcher and all its servers."""
    return graph([(0, j) for j in range(count)], 1, count)


def random_system(seed: int, dispatchers: int, count: int) -> tuple[Network, list[curves.Curve], Floats]:
    """Every dispatcher has a server, edges in no order; curves of all kinds."""
    random = np.random.default_rng(seed)
    pairs = [(i, j) for i in range(dispatchers) for j in range(count) if random.random() < 0.5]
    pairs += [(i, i % count) for i in range(dispatchers) if (i, i % count) not in pairs]
    random.shuffle(pairs)
    kinds = [KINDS[k] for k in random.integers(0, len(KINDS), count)]
    return graph(pairs, dispatchers, count), kinds, random.uniform(0.2, 3.0, dispatchers)


def test_names_are_the_products() -> None:
    assert {*MAXIMA, *JOB_BY_JOB} == set(policies()) <= set(POLICIES)


# -- conservation, repetition


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6), policy=st.sampled_from(policies()), scale=st.sampled_from([0.5, 1.0, 7.3, 100.0]),
    ties=st.sampled_from(["order", "random", "inflight", "fewest"]),
    arrivals=st.sampled_from(["poisson", "deterministic"]),
)  # fmt: skip
def test_volume_is_conserved(seed: int, policy: str, scale: float, ties: str, arrivals: str) -> None:
    net, kinds, rates = random_system(seed, 3, 4)
    start = np.random.default_rng(seed).uniform(0.0, 3.0, 4)
    more: dict[str, Any] = {"ties": ties, "scale": scale, "seed": seed, "arrivals": arrivals}
    found = simulate(
        net, servers(*kinds), rates, policy, weights=np.ones(len(net.server)), duration=30.0, start=start, **more
    )  # fmt: skip
    assert found.t[0] == 0.0
    assert found.t[-1] == pytest.approx(30.0, abs=0.5 / scale)
    got = np.bincount(net.server, found.routed, 4)
    assert start + found.t[-1] * (got - found.served) == pytest.approx(found.workload[-1], abs=1e-9)
    assert (found.workload >= 0.0).all()
    sent = np.bincount(net.dispatcher, found.routed, 3) * found.t[-1] * scale
    other = simulate(net, servers(*kinds), rates, "jsq", duration=30.0, **more)
    assert sent == pytest.approx(np.bincount(net.dispatcher, other.routed, 3) * found.t[-1] * scale)
    assert sent == pytest.approx(np.rint(sent))


def test_short_runs_have_batches_without_slots() -> None:
    found = simulate(star(1), servers(KINDS[0]), [1.0], duration=10.0)
    assert np.isnan(found.batches).sum() == 10
    assert np.nansum(found.batches) / 10.0 == pytest.approx(found.mean.sum())


def test_means_are_of_what_stands_at_slots_starts() -> None:
    net, kinds, rates = random_system(5, 3, 4)
    found = simulate(net, servers(*kinds), rates, scale=10.0, duration=50.0, warmup=10.0, points=501)
    assert found.mean == pytest.approx(found.workload[100:-1].mean(axis=0))
    parts = found.workload[100:-1].sum(axis=1).reshape(20, 20).mean(axis=1)
    assert found.batches == pytest.approx(parts)
    assert found.served == pytest.approx(
        np.bincount(net.server, found.routed, 4) - (found.workload[-1] - found.workload[100]) / 40.0
    )


def test_a_seed_repeats_a_run_to_the_last_bit() -> None:
    net, kinds, rates = random_system(7, 4, 5)

    def same(policy: str, seed: int) -> list[bytes]:
        found = simulate(
            net, servers(*kinds), rates, policy, ties="random", weights=np.ones(len(net.server)), duration=200.0,
            seed=seed,
        )  # fmt: skip
        return [np.asarray(field).tobytes() for field in found]

    for policy in policies():
        assert same(policy, 3) == same(policy, 3)
        assert same(policy, 3) != same(policy, 4)


@pytest.mark.parametrize("policy", MAXIMA)
@pytest.mark.parametrize("ties", ["inflight", "random"])
def test_cores_change_nothing(policy: str, ties: str) -> None:
    net, kinds, rates = random_system(11, 60, 40)
    results = []
    for wide in (False, True):
        plan, _ = prepare(
            net, servers(*kinds), rates, policy, ties, None, 10.0, 20.0, 1.0, None, 1, 20, "poisson", None
        )
        path, sums, _ = run(plan, wide)
        results.append([path.tobytes(), sums.tobytes(), plan.state.account.tobytes()])
    assert results[0] == results[1]


def test_memory_is_linear_in_edges_and_samples() -> None:
    count = 400
    net = graph([(i, (i * 7 + k) % count) for i in range(count) for k in range(50)], count, count)
    plan, _ = prepare(
        net, servers(*[KINDS[0]] * count), np.ones(count), "gmsr", "inflight", None, 1.0, 1e6, 0.0, None, 1, 9,
        "poisson", None,
    )  # fmt: skip
    held = sum(array.nbytes for array in (*plan.state, *plan.stream, plan.slots, plan.at, plan.bounds))
    assert held < 40 * len(net.server)


# -- rules, by hand: one job arrives at the only dispatcher in the first slot


SLOW = curves.Hyperbolic(1.0, 4.0)  # μ = N/(4+N): 1/5 at 1, 1/3 at 2
FAST = curves.Hyperbolic(8.0, 8.0)  # μ = 8N/(8+N): 8/9 at 1, 4/5 more at 2
CORES = curves.Multicore(0.5, 2)


@pytest.mark.parametrize(
    ("policy", "ties", "made", "start", "chosen"),
    [
        # Forward differences: 1/3 − 1/5 = 0.13 against 8·9/17 − 8·8/16 = 0.235.
        ("gmsr", "inflight", (SLOW, FAST), (1.0, 8.0), 1),
        # 1/5 against 8·41/49 − 8·40/48 = 0.027.
        ("gmsr", "inflight", (SLOW, FAST), (0.0, 40.0), 0),
        # The core that is half free: a difference of 0.25 beats the slow server's 0.2, a derivative of 0.5 its 0.25.
        ("gmsr", "order", (SLOW, CORES), (0.0, 1.5), 1),
        ("gmsr", "order", (SLOW, CORES), (0.0, 1.75), 0),
        ("gmsr-derivative", "order", (SLOW, CORES), (0.0, 1.75), 1),
        ("gmsr", "order", (CORES, CORES, CORES), (0.75, 0.25, 0.0), 0),
        ("gmsr", "fewest", (CORES, CORES, CORES), (0.75, 0.25, 0.5), 1),
        ("gmsr-fewest", "order", (CORES, CORES, CORES), (0.75, 0.25, 0.5), 1),
        ("gmsr", "order", (CORES, CORES), (3.0, 2.0), 0),  # all marginals are 0
        ("gmsr", "fewest", (CORES, CORES), (3.0, 2.0), 1),
        ("jsq", "order", (FAST, SLOW), (1.0, 0.5), 1),
        # N/μ: 4 + N against 1 + N/8.
        ("least-latency", "order", (SLOW, FAST), (0.0, 23.0), 1),
        ("least-latency", "order", (SLOW, FAST), (0.0, 25.0), 0),
        ("fastest", "order", (SLOW, FAST), (1.0, 0.1), 0),
        ("fastest", "order", (SLOW, FAST), (1.0, 1.0), 1),
        ("p2c", "order", (FAST, SLOW), (1.0, 0.5), 1),
        ("jiq", "order", (FAST, SLOW, FAST), (1.0, 0.4, 1.0), 1),  # less than half a job
        ("static", "order", (FAST, SLOW), (1.0, 0.0), 0),
    ],
)  # fmt: skip
def test_who_gets_the_job(
    policy: str, ties: str, made: tuple[curves.Curve, ...], start: tuple[float, ...], chosen: int
) -> None:
    found = simulate(
        star(len(made)), servers(*made, smoothed=False), [1.0], policy, ties=ties, duration=1.0, start=start,
        arrivals="deterministic", weights=[1.0] + [0.0] * (len(made) - 1),
    )  # fmt: skip
    assert found.routed.tolist() == [1.0 if j == chosen else 0.0 for j in range(len(made))]
    completed = [min(n, curve.value(n)) for n, curve in zip(start, made, strict=True)]
    assert found.served == pytest.approx(completed)
    assert found.workload[-1] == pytest.approx(np.array(start) - completed + found.routed)


def test_order_is_the_fleets_whatever_the_edges() -> None:
    net = graph([(0, 2), (0, 1), (0, 0)], 1, 3)
    found = simulate(
        net, servers(CORES, CORES, CORES), [1.0], ties="order", duration=1.0, arrivals="deterministic"
    )
    assert found.routed.tolist() == [0.0, 0.0, 1.0]


def test_ties_go_to_those_with_the_fewest_own_jobs() -> None:
    """Two dispatchers, two ample servers: each alternates, though the other's jobs lie there too."""
    ample = curves.Multicore(0.001, 10**6)
    net = graph([(0, 0), (0, 1), (1, 0), (1, 1)], 2, 2)
    for policy in ("gmsr", "least-inflight"):
        found = simulate(
            net, servers(ample, ample), [1.0, 0.5], policy, duration=8.0, start=[50.0, 0.0], arrivals="deterministic"
        )  # fmt: skip
        assert found.routed * 8.0 == pytest.approx([4.0, 4.0, 2.0, 2.0])


def test_ties_at_random_are_fair() -> None:
    ample = curves.Multicore(0.001, 10**6)
    for policy, ties in (("gmsr", "random"), ("fastest", "order")):
        drawn = np.array(
            [
                simulate(star(3), servers(ample, ample, ample), [1.0], policy, ties=ties, duration=1.0, seed=seed,
                         arrivals="deterministic").routed
                for seed in range(600)
            ]
        )  # fmt: skip
        assert stats.chisquare(drawn.sum(axis=0)).pvalue > 1e-4


def test_routing_job_by_job_has_its_probabilities() -> None:
    weights = np.array([0.1, 0.2, 0.7])
    made = servers(FAST, SLOW, CORES)
    jobs = 10_000.0
    for policy, law in (("random", np.ones(3) / 3.0), ("static", weights), ("jiq", np.ones(3) / 3.0)):
        found = simulate(
            star(3), made, [jobs], policy, weights=weights, duration=1.0, arrivals="deterministic"
        )
        assert stats.chisquare(found.routed, jobs * law).pvalue > 1e-4
    busy: dict[str, Any] = {"duration": 1.0, "arrivals": "deterministic"}
    idle = simulate(star(3), made, [jobs], "jiq", start=[0.0, 1.0, 0.0], **busy).routed
    assert idle[1] == 0.0
    assert stats.chisquare(idle[[0, 2]]).pvalue > 1e-4
    # Of three, the pair is drawn in three ways: the least N wins two, the middle one, the most none.
    pair = simulate(star(3), made, [jobs], "p2c", start=[2.0, 0.5, 1.0], **busy).routed
    assert pair[0] == 0.0
    assert stats.chisquare(pair[1:], jobs * np.array([2.0, 1.0]) / 3.0).pvalue > 1e-4
    assert simulate(star(3), made, [9.0], "round-robin", **busy).routed.tolist() == [3.0, 3.0, 3.0]


# -- a plain restatement of the model


def marginal(curve: curves.Curve, workload: float, step: float) -> float:
    high = workload + step
    kinks = [kink for kink in curve.kinks if workload < kink < high]
    if step == 0.0 or (curve.kind in ("multicore", "table") and not kinks):
        return curve.slope(workload)
    return (curve.value(high) - curve.value(workload)) / step


def score(policy: str, curve: curves.Curve, workload: float, step: float) -> float:
    if policy.startswith("gmsr"):
        return min(marginal(curve, workload, 0.0 if policy == "gmsr-derivative" else step), 1e300)
    if policy == "jsq":
        return -workload
    if policy == "least-latency":
        return -(workload / curve.value(workload) if workload else 1.0 / curve.slope(0.0))
    return curve.value(workload) if policy == "fastest" else 0.0


def restated(
    net: Network,
    kinds: Sequence[curves.Curve],
    rates: Floats,
    policy: str,
    ties: str,
    scale: float,
    slots: int,
) -> Floats:
    """Workloads at slots' starts, own shares on all edges in every slot. Deterministic but for what order decides."""
    work, own = np.zeros(len(kinds)), np.zeros(len(net.server))
    path = [work]
    for slot in range(slots):
        scores = np.array(
            [score(policy, curve, n, 1.0 / scale) for curve, n in zip(kinds, work, strict=True)]
        )
        rate = np.array([curve.value(n) for curve, n in zip(kinds, work, strict=True)])
        left = np.where(rate / scale > work * (1.0 - 1e-12), 0.0, work - rate / scale)
        new, sent = left.copy(), np.zeros(len(own))
        for i, mean in enumerate(rates):
            jobs = np.floor(mean * (slot + 1) + 1e-9) - np.floor(mean * slot + 1e-9)
            mine = np.flatnonzero(net.dispatcher == i)
            offers = scores[net.server[mine]]
            tied = mine[offers >= offers.max() - 1e-12 * abs(offers.max())]
            by_own = policy == "least-inflight" or ties == "inflight"
            burden = (
                own[tied] if by_own else work[net.server[tied]] if ties == "fewest" else np.zeros(len(tied))
            )
            tied = tied[burden <= burden.min() * (1.0 + 1e-12)]
            edge = tied[np.argmin(net.server[tied])]
            new[net.server[edge]] += jobs / scale
            sent[edge] += jobs / scale
        own = own * np.divide(left, work, out=np.zeros(len(work)), where=work > 0.0)[net.server] + sent
        work = new
        path.append(work)
    return np.array(path)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), scale=st.sampled_from([1.0, 10.0]),
    rule=st.sampled_from(
        [("gmsr", "order"), ("gmsr", "inflight"), ("gmsr", "fewest"), ("gmsr-derivative", "inflight"),
         ("least-latency", "order")]
    ),
)  # fmt: skip
def test_paths_are_those_of_the_model_restated(seed: int, scale: float, rule: tuple[str, str]) -> None:
    """Without the draws: where ties are drawn, curves are such that none occur but at N = 0."""
    net, kinds, rates = random_system(seed, 3, 4)
    if rule[0] == "least-latency":
        kinds = [curves.Hyperbolic(3.0 + j, 1.0 + j / 7.0) for j in range(4)]
    expected = restated(net, kinds, rates, *rule, scale, 60)
    found = simulate(
        net, servers(*kinds, smoothed=False), rates, rule[0], ties=rule[1], scale=scale, duration=60.0 / scale,
        arrivals="deterministic", points=61,
    )  # fmt: skip
    assert found.workload == pytest.approx(expected, abs=1e-9)


def test_own_shares_over_many_lives_of_a_server() -> None:
    """Each slot takes half of what a server holds: shares fall below 2⁻⁶⁰⁰ unless they are counted anew."""
    half = curves.Multicore(0.5, 10**6)
    net = graph([(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)], 2, 3)
    rates = np.array([1.0, 0.01])
    expected = restated(net, [half] * 3, rates, "gmsr", "inflight", 1.0, 3000)
    found = simulate(net, servers(*[half] * 3), rates, duration=3000.0, points=3001, arrivals="deterministic")
    assert found.workload == pytest.approx(expected, abs=1e-12)


# -- exact laws


def bulk_queue(mean: float, cores: int) -> Floats:
    """The law of q at slots' starts, q′ = q − min(q, cores) + Poisson(mean): by its transition matrix, cut at 400."""
    size = 400
    steps = stats.poisson.pmf(np.arange(size), mean)
    matrix = np.zeros((size, size))
    for q in range(size):
        left = q - min(q, cores)
        matrix[q, left:] = steps[: size - left]
        matrix[q, -1] += 1.0 - matrix[q].sum()
    balance = np.vstack([matrix.T - np.eye(size), np.ones(size)])
    return np.asarray(np.linalg.lstsq(balance, np.append(np.zeros(size), 1.0), rcond=None)[0])


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_a_static_split_is_bulk_queues(scale: float) -> None:
    """multicore(n, k/n) completes min(q, k) jobs a slot. Two dispatchers, two servers, each a queue of its own."""
    net = graph([(0, 0), (0, 1), (1, 0), (1, 1)], 2, 2)
    cores, slots = 2, 400_000
    rates, weights = np.array([1.5, 1.0]), np.array([3.0, 7.0, 5.0, 5.0])
    server = curves.Multicore(scale, cores / scale)
    found = simulate(
        net, servers(server, server, smoothed=False), rates, "static", weights=weights, scale=scale,
        duration=slots / scale, warmup=1000 / scale, points=slots + 1,
    )  # fmt: skip
    laws = [bulk_queue(1.5 * 0.3 + 1.0 * 0.5, cores), bulk_queue(1.5 * 0.7 + 1.0 * 0.5, cores)]
    means = np.array([law @ np.arange(len(law)) for law in laws])
    error = found.batches.std(ddof=1) / np.sqrt(20) * scale
    assert found.mean.sum() * scale == pytest.approx(means.sum(), abs=4.0 * error)
    assert found.mean * scale == pytest.approx(means, rel=0.03)
    for j, law in enumerate(laws):
        seen = np.bincount(np.rint(found.workload[1000:, j] * scale).astype(int), minlength=len(law))
        assert abs(seen / seen.sum() - law[: len(seen)]).sum() < 0.03


def test_a_fine_scale_is_the_chain() -> None:
    curve, rate, scale = curves.Hyperbolic(4.0, 2.0), 2.5, 1000.0
    found = simulate(star(1), servers(curve), [rate], scale=scale, duration=400.0, warmup=20.0)
    exact = chain(curve, rate * scale, scale).jobs / scale
    error = found.batches.std(ddof=1) / np.sqrt(20)
    assert found.mean[0] == pytest.approx(exact, abs=4.0 * error + 0.01 * exact)
    assert error < 0.02 * exact


@pytest.mark.parametrize("policy", ["gmsr", "jsq", "least-latency"])
def test_paths_tend_to_the_fluid_limit(policy: str) -> None:
    """Which here is an explicit scheme of so short a step that its chatter is small."""
    kinds: list[curves.Curve] = [
        curves.Hyperbolic(4.0, 2.0),
        curves.Exponential(3.0, 1.5),
        curves.Logarithmic(2.0, 1.0),
    ]
    net = graph([(0, 0), (0, 1), (1, 1), (1, 2)], 2, 3)
    rates, step, steps = np.array([2.0, 1.5]), 0.0005, 20_000
    work = np.array([3.0, 0.0, 1.0])
    limit = [work]
    for _ in range(steps):
        scores = [score(policy, curve, n, 0.0) for curve, n in zip(kinds, work.tolist(), strict=True)]
        flow = -np.array([curve.value(n) for curve, n in zip(kinds, work.tolist(), strict=True)])
        flow[0 if scores[0] > scores[1] else 1] += rates[0]
        flow[1 if scores[1] > scores[2] else 2] += rates[1]
        work = work + step * flow
        limit.append(work)
    reference = (step * np.arange(steps + 1), np.array(limit))
    away = [
        simulate(
            net, servers(*kinds), rates, policy, scale=scale, duration=10.0, start=limit[0], reference=reference
        ).distance
        for scale in (10.0, 1000.0, 100_000.0)
    ]  # fmt: skip
    assert away[0] > 4.0 * away[1] > 16.0 * away[2]
    assert away[2] < 0.1


def test_the_kinked_example() -> None:
    """MODEL section 5: plain GMSR settles well above the optimum of 18, whatever breaks ties; smoothed it does not."""
    topology = files.load(packaged.path("kinked")).topology
    net, volume = network(topology), offered(topology, demand(topology).volume)
    for ties in ("order", "random", "inflight", "fewest"):
        plain, smoothed = (
            simulate(net, fleet(topology.servers, smooth), volume, ties=ties, scale=1000.0, duration=300.0, warmup=60.0)
            for smooth in (False, True)
        )  # fmt: skip
        assert 1.35 * 18.0 < plain.mean.sum() < 1.5 * 18.0
        assert smoothed.mean.sum() == pytest.approx(18.0, rel=0.03)


def test_the_distance_is_to_the_line_between_points() -> None:
    more: dict[str, Any] = {"duration": 10.0, "scale": 4.0, "start": [2.0, 1.0]}
    net, made = star(2), servers(FAST, SLOW)
    own = simulate(net, made, [1.0], points=41, **more)
    assert np.isnan(own.distance)
    assert simulate(net, made, [1.0], reference=(own.t, own.workload), **more).distance == 0.0
    shifted = own.workload + np.array([0.0, 0.25])
    assert simulate(net, made, [1.0], reference=(own.t, shifted), **more).distance == pytest.approx(0.25)
    # A line from (2, 1) to (4, 3) at t = 5, and constant from there on.
    times, line = [0.0, 5.0], [[2.0, 1.0], [4.0, 3.0]]
    along = np.array([np.interp(own.t, times, column) for column in np.array(line).T]).T
    found = simulate(net, made, [1.0], reference=(times, line), **more).distance
    assert found == pytest.approx(abs(own.workload - along).max())


# -- refusals


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"policy": "oracle"}, "policy: 'oracle' is unknown; choose one of gmsr"),
        ({"ties": "first"}, "ties: 'first' is unknown; choose one of order, random"),
        ({"arrivals": "batch"}, "arrivals: 'batch' is unknown"),
        ({"demand": [1.0, 1.0]}, "demand: shape (2,) must be (1,)"),
        ({"demand": [-1.0]}, "demand: must be finite and not negative"),
        ({"demand": [0.0]}, "demand: nothing arrives"),
        ({"demand": [1e10]}, "demand: at most 1e+09"),
        ({"policy": "static"}, "weights: policy static needs"),
        ({"policy": "static", "weights": [1.0]}, "weights: shape (1,) must be (2,)"),
        ({"policy": "static", "weights": [0.0, 0.0]}, "weights: those of dispatcher 0 are all 0"),
        ({"scale": 0.0}, "scale: 0 is not"),
        ({"scale": float("nan")}, "scale: nan is not"),
        ({"duration": 0.0}, "duration: 0 is not"),
        ({"duration": float("inf")}, "duration: inf is not"),
        ({"duration": 1e10}, "duration: 10000000000 slots are too many"),
        ({"duration": 0.2}, "duration: there is no slot"),
        ({"warmup": 10.0}, "warmup: 10 must be"),
        ({"warmup": -1.0}, "warmup: -1 must be"),
        ({"start": [1.0]}, "start: shape (1,) must be (2,)"),
        ({"start": [1.0, float("nan")]}, "start: must be finite"),
        ({"seed": -1}, "seed: -1 must not"),
        ({"points": 1}, "points: 1 is too few"),
        ({"reference": ([1.0, 2.0], np.zeros((2, 2)))}, "reference: times must rise from 0"),
        ({"reference": ([0.0, 2.0], np.zeros((3, 2)))}, "reference: shape (3, 2) must be (2, 2)"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_one_line(change: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"demand": [1.0], "policy": "gmsr", "duration": 10.0} | change
    with pytest.raises(ValueError) as error:
        simulate(star(2), servers(FAST, SLOW), given.pop("demand"), given.pop("policy"), **given)
    assert str(error.value).startswith(words)
    assert "\n" not in str(error.value)


def test_a_dispatcher_without_edges_may_have_no_rate() -> None:
    net = graph([(0, 0)], 2, 1)
    assert simulate(net, servers(FAST), [1.0, 0.0], duration=10.0).routed.shape == (1,)
    with pytest.raises(ValueError, match="dispatcher 1 has no edge"):
        simulate(net, servers(FAST), [1.0, 1.0], duration=10.0)
