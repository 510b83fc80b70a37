"""Published results of the rivals, on a small scale: ``gmsr bench rivals`` has them in full."""

import pytest

from gmsr.launch.bench import rivals
from gmsr.launch.bench.rivals import Claim

SMALL = {
    "peak-ewma": rivals.peak_ewma(rate=250.0),
    "prequal": rivals.q_rif(clients=8, servers=40, seconds=1.5, steps=("0", "0.84")),
    "dgd-lb": rivals.dgd_lb(scale=6.0, distances=(2.0,), others=("gmsr",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("claim", SMALL.values(), ids=SMALL)
def test_what_is_published_of_a_rival_is_so_here(claim: Claim) -> None:
    found = {trial.name: rivals.figures_of(trial) for trial in claim.trials}
    assert claim.holds(found), found
    first, last = claim.trials[0].name, claim.trials[-1].name
    exchanged = {**found, first: found[last], last: found[first]}
    assert not claim.holds(exchanged), "the verdict depends on who is who"
