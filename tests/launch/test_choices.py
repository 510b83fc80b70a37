"""``--feed``: what goes with which policy, and what is refused before anything starts."""

import pytest

from gmsr.agents.feeds import FEEDS
from gmsr.agents.policies import POLICIES
from gmsr.launch.choices import choose
from gmsr.topology.errors import UserError


def test_every_policy_has_a_feed_that_carries_what_it_reads() -> None:
    for name in POLICIES:
        choice = choose(name)
        assert choice.feed.target in FEEDS.values()
        assert choice.carries[:1] == (["time"] if choice.reads else [])


def test_options_go_to_the_half_that_they_belong_to() -> None:
    assert choose("gmsr", "periodic:every=0.5").feed.options == {"every": "0.5"}
    asking = choose("gmsr", "probe:pool=8,rate=2").feed
    assert (asking.options, asking.asking) == ({}, {"pool": "8", "rate": "2"})
    assert choose("random", "probe:d=2").feed.asking is None, "who reads nothing asks nobody"


def test_local_correction_adds_to_a_report_what_it_needs() -> None:
    assert choose("gmsr", "periodic:every=1").carries == ["time", "marginal"]
    assert choose("gmsr", "periodic:every=1,correct=yes").carries == [
        "time",
        "marginal",
        "fall",
        "rise",
        "seen",
    ]
    assert choose("p2c", "on-change:correct=yes").carries == ["time", "jobs", "seen"]


@pytest.mark.parametrize(
    ("policy", "feed", "told"),
    [
        ("gmsr", "gossip", "'gossip' is unknown; choose one of every-change"),
        ("gmsr", "perodic:every=1", "did you mean periodic?"),
        ("gmsr", "periodic:every=0", "every=0 must be a number"),
        ("gmsr", "periodic:every=-1", "every=-1"),
        ("gmsr", "periodic:every=soon", "every=soon"),
        ("gmsr", "periodic:colour=red", "colour"),
        ("gmsr", "on-change:by=2", "by=2"),
        ("gmsr", "probe:d=0", "d=0"),
        ("gmsr", "probe:pool=1", "pool=1"),
        ("gmsr", "probe:pool=16,d=2", "d"),
        ("gmsr", "none", "carries nothing"),
        ("gmsr", "tokens", "tokens tell who is idle"),
        ("gmsr", "periodic:correct=maybe", "neither yes nor no"),
        ("least-latency", "periodic:correct=yes", "cannot be corrected"),
        ("gmsr", "periodic:every", "did you mean periodic?"),
        ("gmsr", "", ""),
    ],
)
def test_feeds_that_do_not_fit_are_refused_in_one_line(policy: str, feed: str, told: str) -> None:
    if not feed:
        assert choose(policy, feed).feed.name
        return
    with pytest.raises(UserError) as refused:
        choose(policy, feed)
    assert told in str(refused.value)
    assert str(refused.value).startswith("--feed: ")
    assert "\n" not in str(refused.value)


def test_a_policy_that_is_almost_one_is_guessed() -> None:
    with pytest.raises(UserError, match="did you mean gmsr-damped"):
        choose("gmsr-dampd")
