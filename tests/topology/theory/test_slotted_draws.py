"""The slotted model's random numbers: exact in law, independent, and the same whatever the number of threads."""

import numpy as np
import pytest
from scipy import stats

from gmsr.topology.theory.slotted_draws import arrived, fraction, invert, stream, word


@pytest.mark.parametrize("mean", [0.01, 0.3, 1.0, 2.7, 10.0, 40.5, 1000.0, 123456.7])
def test_arrivals_are_poisson(mean: float) -> None:
    draws = 200_000
    jobs = np.zeros(draws, np.int32)
    arrived(stream(np.full(draws, mean), True, 1), 0, draws, 5, jobs)
    law = stats.poisson(mean)
    edges = np.unique(law.ppf(np.linspace(0.0, 1.0, 60)[1:-1]))
    edges = edges[draws * law.sf(edges) > 10.0]
    expected = draws * np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]]))
    seen = np.bincount(np.searchsorted(edges, jobs), minlength=len(expected))
    assert stats.chisquare(seen, expected).pvalue > 1e-4
    assert abs(jobs.mean() - mean) < 4.0 * np.sqrt(mean / draws)


def test_slots_and_dispatchers_are_independent() -> None:
    flow = stream(np.full(50, 3.0), True, 2)
    jobs = np.zeros((4000, 50), np.int32)
    for slot, row in enumerate(jobs):
        arrived(flow, 0, 50, slot, row)
    between = np.asarray(np.corrcoef(jobs.T))[np.triu_indices(50, 1)]
    after = [np.asarray(np.corrcoef(jobs[:-1, i], jobs[1:, i]))[0, 1] for i in range(50)]
    for found in (between, np.array(after)):
        assert np.sum(found**2) * 4000 == pytest.approx(len(found), abs=5.0 * np.sqrt(2.0 * len(found)))


@pytest.mark.parametrize("mean", [0.0, 1e-6, 0.7, 12.0, 1e4])
def test_inversion_at_the_ends(mean: float) -> None:
    flow = stream(np.array([mean]), True, 1)
    ends = [invert(at, mean, flow.mode[0], flow.chance[0], flow.upto[0]) for at in (0.0, 1.0 - 2.0**-53)]
    assert mean - 12.0 * np.sqrt(mean) <= ends[0] <= max(mean - 6.0 * np.sqrt(mean), 0.0)
    assert mean <= ends[1] <= mean + 12.0 * np.sqrt(mean) + 20.0
    middles = np.linspace(0.001, 0.999, 97)
    found = [invert(at, mean, flow.mode[0], flow.chance[0], flow.upto[0]) for at in middles]
    assert found == list(stats.poisson.ppf(middles, mean) if mean > 0.0 else np.zeros(97))


def test_the_table_says_what_inversion_does() -> None:
    means = np.array([0.0, 0.05, 0.5, 1.0, 3.3, 20.0, 63.5, 1000.0])
    flow = stream(means, True, 3)
    assert (flow.table[:6] >= 0).any(axis=1).all()
    for slot in range(3000):
        jobs = np.zeros(len(means), np.int32)
        arrived(flow, 0, len(means), slot, jobs)
        for i, mean in enumerate(means):
            at = fraction(np.uint64(word(flow.seed[0], slot * len(means) + i)))
            assert jobs[i] == invert(at, mean, flow.mode[i], flow.chance[i], flow.upto[i])


def test_deterministic_arrivals_carry_fractions_over() -> None:
    flow = stream(np.array([0.29, 1.0 / 3.0, 2.5]), False, 1)
    total = np.zeros(3)
    for slot in range(1000):
        jobs = np.zeros(3, np.int32)
        arrived(flow, 0, 3, slot, jobs)
        total += jobs
        hundredths = 29 * (slot + 1)
        assert total.tolist() == [hundredths // 100, (slot + 1) // 3, 5 * (slot + 1) // 2]
