"""What charts are drawn from, against the journals themselves, worked out in another way."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gmsr
from gmsr.launch.record.load import Run
from gmsr.topology.theory.optimum import solve

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("shown")]

SCALE, WARMUP, END = 4.0, 10.0, 60.0


@pytest.fixture(scope="module")
def loaded(run: Path) -> Run:
    return gmsr.load(run)


def jobs_there(visits: pd.DataFrame, t: np.ndarray) -> np.ndarray:
    """How many jobs are at the servers at each of these instants."""
    gone = visits["departed"].fillna(visits["noticed"]).fillna(np.inf).to_numpy()
    return np.searchsorted(np.sort(visits["arrived"]), t, "right") - np.searchsorted(
        np.sort(gone), t, "right"
    )


def test_workloads_are_what_one_counts(loaded: Run) -> None:
    """Riemann sums of 2,000 instants a bin: wrong by a step for each jump, at most."""
    series, visits = loaded.series, loaded.visits.to_pandas()
    assert series is not None
    assert series.t == pytest.approx((np.arange(240) + 0.5) * END / 240)
    fine = (np.arange(240 * 2000) + 0.5) * END / (240 * 2000)
    counted = jobs_there(visits, fine).reshape(240, 2000).mean(axis=1) / SCALE
    assert series.workload == pytest.approx(counted, abs=0.02)
    assert series.so_far[-1] == pytest.approx(loaded.summary["workload"]["mean"], rel=1e-9)  # type: ignore[index]
    for name, line in series.workload_of.items():
        own = jobs_there(visits[visits["server"] == name], fine).reshape(240, 2000).mean(axis=1) / SCALE
        assert line == pytest.approx(own, abs=0.02)


def test_marginals_are_those_of_the_jobs_there(loaded: Run) -> None:
    series, visits, topology = loaded.series, loaded.visits.to_pandas(), loaded.topology
    assert series is not None
    assert topology is not None
    curve = next(each.curve for each in topology.servers if each.id == "s1")  # smooth: no window
    fine = (np.arange(240 * 500) + 0.5) * END / (240 * 500)
    jobs = jobs_there(visits[visits["server"] == "s1"], fine)
    rates = np.array([curve.value(count / SCALE) for count in range(jobs.max() + 2)])
    counted = (SCALE * np.diff(rates))[jobs].reshape(240, 500).mean(axis=1)
    assert series.marginal_of["s1"] == pytest.approx(counted, abs=0.02)


def test_gmsr_brings_marginals_of_a_dispatcher_together(loaded: Run) -> None:
    """What the picture is to show, from theory: at the optimum s1's and s2's are equal, d1's price."""
    topology, series = loaded.topology, loaded.series
    assert topology is not None
    assert series is not None
    best = solve(topology, {each.id: each.rate for each in topology.dispatchers})
    marginals = {each.id: each.curve.slope(best.workloads[each.id]) for each in topology.servers}
    assert marginals["s1"] == pytest.approx(marginals["s2"], rel=1e-3)
    assert series.marginals["s1"] == pytest.approx(series.marginals["s2"], rel=0.1)


def test_latencies_are_those_of_the_journal(loaded: Run) -> None:
    series, jobs = loaded.series, loaded.jobs.to_pandas()
    assert series is not None
    measured = jobs[(jobs["arrival"] >= WARMUP) & (jobs["arrival"] < END) & (jobs["state"] == "completed")]
    late = measured["latency"]
    for share, latency in zip(series.tail_share, series.tail, strict=True):
        assert (late > latency).mean() == pytest.approx(share, abs=2.0 / len(late))
    assert 0.995 <= series.density.sum() <= 1.0
    first = (late >= series.density_edges[10]) & (late < series.density_edges[11])
    assert series.density[10] == pytest.approx(first.mean())
    flows = measured.groupby(["dispatcher", "server"], observed=True).size() / (END - WARMUP)
    assert series.flows == pytest.approx({key: value for key, value in flows.items() if value})


def test_a_dead_server_has_no_marginal_and_a_slow_one_its_own(hurt: Path) -> None:
    loaded = gmsr.load(hurt)
    series, topology = loaded.series, loaded.topology
    assert series is not None
    assert topology is not None
    dead = (series.server_t > 20.5) & (series.server_t < 29.5)
    assert np.isnan(series.marginal_of["s1"][dead]).all()
    assert not np.isnan(series.marginal_of["s1"][series.server_t < 19.5]).any()
    # Half the curve: with the jobs that are there, half the marginal.
    slow = (series.server_t > 35.5) & (series.server_t < 44.5)
    assert series.marginal_of["s2"][slow].max() < 0.5 * topology.servers[1].curve.slope(0.0)


def test_optima_follow_the_faults(hurt: Path) -> None:
    summary, topology = gmsr.load(hurt).summary, gmsr.load(hurt).topology
    assert summary is not None
    assert topology is not None
    whole = solve(topology, {each.id: each.rate for each in topology.dispatchers}).workload
    left = topology.without({"s1"})
    without = solve(left, {each.id: each.rate for each in left.dispatchers}).workload
    times, values = zip(*summary["optima"], strict=True)
    assert times == pytest.approx([0.0, 20.0, 30.0, 35.0, 45.0])
    assert [values[0], values[1], values[2], values[4]] == pytest.approx(
        [whole, without, whole, whole], rel=1e-4
    )
    assert values[3] > whole
