"""The band of ``on-change``: who is told, and that nobody believes anything that is off by more."""

from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from gmsr.agents.feeds.correction import SLOPED, extras, moved
from gmsr.agents.feeds.on_change import OnChange, off
from gmsr.agents.gauge import Gauge
from gmsr.agents.machine import Outbox
from gmsr.topology.curves import make

CURVES = (
    {"kind": "hyperbolic", "a": 4.0, "b": 2.0},
    {"kind": "power", "a": 2.0, "p": 0.5},  # its derivative is infinite where nobody is
    {"kind": "multicore", "m": 1.0, "k": 3},
)
values = st.floats(0.0, 1e6)


@given(values, values, st.floats(0.0, 1.0))
def test_a_belief_is_off_by_a_share_of_the_larger(value: float, believed: float, by: float) -> None:
    difference, allowed = abs(value - believed), by * max(value, believed)
    if abs(difference - allowed) > 1e-9 * max(value, believed):  # not a matter of rounding
        assert off(value, believed, by) == (difference > allowed)


def test_what_is_infinite_no_longer_is_news() -> None:
    assert off(5.0, float("inf"), 0.3)
    assert off(float("inf"), 5.0, 0.3)
    assert not off(float("inf"), float("inf"), 0.3)


@given(
    st.sampled_from(CURVES),
    st.sampled_from([("marginal",), ("derivative",), ("jobs",), ("marginal", "jobs")]),
    st.booleans(),
    st.floats(1e-6, 1.0),
    st.lists(st.tuples(st.sampled_from(["d1", "d2"]), st.sampled_from([1, -1])), max_size=60),
)
@settings(max_examples=200, deadline=None)
def test_nobody_believes_what_is_off(
    curve: dict[str, object],
    reads: Sequence[str],
    corrected: bool,
    by: float,
    steps: list[tuple[str, int]],
) -> None:
    """Worked out by the dispatcher's own rule, from the reports alone."""
    sloped = extras(reads) if corrected else ()
    gauge = Gauge((*reads, *sloped), make(curve), 1.0, 0.0)
    feed = OnChange(reads, corrected, Random(1), by=str(by))
    outbox: Outbox = {}
    jobs = 0
    told: dict[str, tuple[float, ...]] = {}
    own = {"d1": 0, "d2": 0}

    def read() -> None:
        for dispatcher, messages in outbox.items():
            told[dispatcher] = messages[-1][2:]
            own[dispatcher] = 0
        outbox.clear()

    for dispatcher in own:
        feed.joined(dispatcher, gauge, jobs, outbox, 0.0)
    read()
    for dispatcher, change in steps:
        if jobs + change < 0:
            continue
        jobs += change
        own[dispatcher] += change
        if corrected:
            feed.counted(dispatcher, change)
        feed.tell(gauge, jobs, 0, outbox, 0.0)
        read()
        for who, report in told.items():
            fall, rise = report[len(reads) : len(reads) + 2] if sloped else (0.0, 0.0)
            for quantity, believed, value in zip(reads, report, gauge.values(jobs), strict=False):
                more = own[who] if corrected else 0
                after = moved(quantity in SLOPED, believed, fall, rise, more) if more else believed
                assert not off(value, after, by)
