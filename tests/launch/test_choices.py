"""``--feed``: what goes with which policy, and what is refused before anything starts."""

from pathlib import Path

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


PLUGINS = """
class Fine:
    reads = ("marginal",)
    def __init__(self, view, random):
        self.view = view
    def choose(self):
        return 0
class Raises(Fine):
    def choose(self):
        return self.view.mood
class Stranger(Fine):
    def choose(self):
        return "s1"
class Afar(Fine):
    def choose(self):
        return 99
class Leaves(Fine):
    def choose(self):
        raise SystemExit(0)
class Unmade(Fine):
    def __init__(self, view, random):
        raise RuntimeError("not today")
class Moody(Fine):
    reads = ("mood",)
class Silent:
    def choose(self):
        return 0
"""


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("rules:Raises", "rules:Raises: choose(): AttributeError: 'View' object has no attribute 'mood'"),
        ("rules:Stranger", "choose() gave 's1', and there are 8 servers"),
        ("rules:Afar", "choose() gave 99"),
        ("rules:Leaves", "choose(): SystemExit"),
        ("rules:Unmade", "RuntimeError: not today"),
        ("rules:Moody", "reads 'mood', which no server tells; choose among marginal"),
        ("rules:Silent", "has no tuple 'reads'"),
        ("rules:Nobody", "no attribute 'Nobody'"),
        ("nowhere:Rule", "ModuleNotFoundError: No module named 'nowhere'"),
        ("unfinished:Rule", "SyntaxError"),
        ("leaving:Rule", "SystemExit: 4"),
        ("gmsr:ties=maybe", "ties=maybe is unknown"),
        ("prequal:q_rif=2", "q_rif=2 must be a number"),
        ("peak-ewma:colour=red", "colour"),
        ("a:b:c", "is not NAME or module:Class"),
        ("", "is not NAME or module:Class"),
    ],
)
def test_policies_that_cannot_be_are_refused_in_one_line(
    policy: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules.py").write_text(PLUGINS)
    (tmp_path / "unfinished.py").write_text("def (")
    (tmp_path / "leaving.py").write_text("raise SystemExit(4)")
    monkeypatch.syspath_prepend(tmp_path)
    assert choose("rules:Fine").reads == ("marginal",)
    with pytest.raises(UserError) as refused:
        choose(policy)
    assert told in str(refused.value)
    assert str(refused.value).startswith("--policy: ")
    assert "\n" not in str(refused.value)
