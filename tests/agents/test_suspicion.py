"""The rule of silence: soon enough, never by our own fault, and with patience for slow edges."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmsr.agents.machine import NEVER
from gmsr.agents.suspicion import (
    ALIVE,
    ASK,
    DEAD,
    DEAD_AFTER,
    DEAD_ASKED,
    GONE,
    GREETING,
    PATIENCE,
    REMEMBERED,
    SUSPECT,
    Suspicion,
)

H = 0.1


class Asker:
    """What a dispatcher does with a rule of one peer; the peer answers each question ``delay`` later, until it dies.

    ``times`` of verdicts and questions, for the test to read.
    """

    def __init__(self, *, delay: float = 0.0001, dies: float = NEVER, state: str = ALIVE) -> None:
        self.rule = Suspicion(H, 1)
        self.peer = self.rule.peers[0]
        self.peer.state = state
        self.delay = delay
        self.dies = dies
        self.answers: list[tuple[float, int]] = []  # when each arrives, and to which question
        self.verdicts: list[tuple[float, str]] = []
        self.asked: list[float] = []

    def wake(self, now: float) -> None:
        """What has come is handed over before time passes."""
        while self.answers and self.answers[0][0] <= now:
            when, question = self.answers.pop(0)
            self.hear(when)
            self.rule.answered(0, question, when)
        for _, said in self.rule.tick(now):
            if said == ASK:
                self.asked.append(now)
                question = self.rule.ask(0, now)
                if now < self.dies:
                    self.answers.append((now + self.delay, question))
            else:
                self.verdicts.append((now, said))
                if said == SUSPECT:
                    self.rule.set(0, SUSPECT, now)

    def hear(self, now: float) -> None:
        self.peer.heard = now
        self.peer.asked = NEVER

    def run(self, until: float) -> None:
        while self.rule.next_tick <= until:
            self.wake(self.rule.next_tick)


@given(st.floats(3.0, 4.0))
def test_a_silence_is_noticed_within_a_second_and_a_quarter(dies: float) -> None:
    asker = Asker(dies=dies)
    asker.run(6.0)
    when, said = asker.verdicts[0]
    assert said == SUSPECT
    assert PATIENCE * H - 0.001 <= when - dies <= (PATIENCE + 2.5) * H + 0.001


@given(st.floats(3.0, 4.0), st.floats(0.0, 1.0))
def test_jobs_that_go_out_delay_no_verdict(dies: float, phase: float) -> None:
    """Whoever is written to all the time, and was heard all the time, is asked as soon as it falls silent."""
    asker = Asker(dies=dies)
    looks = [H / 2 * step for step in range(1, 110)]
    times = sorted(looks + [0.02 * (step + phase) for step in range(300)])
    for now in times:
        asker.peer.written = now
        if now < dies:
            asker.hear(now)
        if now >= asker.rule.next_tick:
            asker.wake(now)
    when, said = asker.verdicts[0]
    assert said == SUSPECT
    assert PATIENCE * H - 0.001 <= when - dies <= (PATIENCE + 2.7) * H


def test_who_talks_and_is_talked_to_is_never_asked() -> None:
    asker = Asker()
    asker.run(0.06)
    assert len(asker.asked) == 1, "once, to know the round trip"
    for step in range(1, 200):
        asker.hear(0.05 * step)
        asker.peer.written = 0.05 * step
        asker.run(0.05 * step)
    assert len(asker.asked) == 1


def test_who_only_talks_is_asked_so_that_it_hears_of_us() -> None:
    asker = Asker()
    for step in range(1, 201):
        asker.hear(0.05 * step)
        asker.run(0.05 * step)
    assert 10.0 / (1.5 * H) - 1 <= len(asker.asked) <= 10.0 / H + 1
    assert asker.verdicts == []


@given(
    st.lists(st.tuples(st.integers(1, 20), st.floats(1.01 * H, 100.0)), max_size=10),
    st.floats(0.0, 2.4 * H),
)
def test_who_oversleeps_blames_nobody(sleeps: list[tuple[int, float]], delay: float) -> None:
    """We sleep through our looks, for any time: whoever answers within T of our waking time is not suspected.

    The answers wait for us, or were as late as we were (the whole machine stood still): both are tried.
    """
    for together in (False, True):
        asker = Asker(delay=delay)
        now = 0.0
        for looks, overslept in sleeps:
            for _ in range(looks):
                now = asker.rule.next_tick
                asker.wake(now)
            if together:
                asker.answers = [(when + overslept, question) for when, question in asker.answers]
            now = asker.rule.next_tick + overslept
            asker.wake(now)
        asker.run(now + 5.0)
        assert asker.verdicts == []


def test_a_death_is_noticed_though_we_overslept_before() -> None:
    asker = Asker(dies=3.0)
    asker.run(3.0)
    asker.wake(asker.rule.next_tick + 1.0)
    asker.run(6.0)
    when, said = asker.verdicts[0]
    assert said == SUSPECT
    assert when - 3.0 <= 1.0 + (PATIENCE + 2.5) * H + 1e-9


def test_a_short_lateness_is_forgiven_nobody() -> None:
    asker = Asker(dies=0.0)
    asker.rule.answered(0, asker.rule.ask(0, 0.0), 0.0)
    while not asker.verdicts:
        asker.wake(asker.rule.next_tick + 0.9 * H)
    assert asker.verdicts[0][0] <= (PATIENCE + 1.5) * H


def test_round_trips_adapt_the_patience() -> None:
    """By hand, as RFC 6298 has it: srtt = R, rttvar = R/2; then 3/4 rttvar + 1/4 |srtt - R'|, 7/8 srtt + 1/8 R'."""
    rule = Suspicion(H, 1)
    assert rule.patience(0) == PATIENCE * H
    rule.answered(0, rule.ask(0, 0.0), 2.0)
    assert rule.patience(0) == pytest.approx(2.0 + 4 * 1.0)
    rule.answered(0, rule.ask(0, 1.0), 5.0)
    deviation, mean = 0.75 * 1.0 + 0.25 * 2.0, 0.875 * 2.0 + 0.125 * 4.0
    assert rule.patience(0) == pytest.approx(mean + 4 * deviation)
    for step in range(200):
        rule.answered(0, rule.ask(0, 2.0 + step), 2.001 + step)
    assert rule.patience(0) == pytest.approx(PATIENCE * H), "never less"


def test_answers_are_matched_to_their_questions() -> None:
    rule = Suspicion(H, 1)
    first, second = rule.ask(0, 0.0), rule.ask(0, 1.0)
    rule.answered(0, second, 1.5)
    assert rule.peers[0].round_trip == 0.5
    rule.answered(0, first, 1.5)
    assert rule.peers[0].round_trip == pytest.approx(0.875 * 0.5 + 0.125 * 1.5)


def test_answers_to_what_was_never_asked_or_long_ago_say_nothing() -> None:
    rule = Suspicion(H, 1)
    for step in range(REMEMBERED + 1):
        rule.ask(0, float(step))
    for question in (1, REMEMBERED + 2, 2**32 - 1):
        rule.answered(0, question, 100.0)
    assert rule.peers[0].round_trip == NEVER
    rule.answered(0, 2, 100.0)
    assert rule.peers[0].round_trip == 99.0


@given(st.floats(0.0, PATIENCE * H))
def test_a_slow_edge_is_not_suspected(delay: float) -> None:
    """The first answer is waited for longer, and then the round trip is known."""
    asker = Asker(delay=delay)
    asker.run(30.0)
    assert asker.verdicts == []


def test_the_dead_are_dead_after_twice_the_patience() -> None:
    asker = Asker(dies=3.0)
    asker.run(10.0)
    (suspected, first), (dead, second) = asker.verdicts
    assert (first, second) == (SUSPECT, DEAD)
    patience = asker.rule.patience(0)
    assert DEAD_AFTER * patience < dead - suspected <= DEAD_AFTER * patience + H / 2 + 1e-9


def test_the_silent_are_asked_every_heartbeat_and_the_dead_more_seldom() -> None:
    asker = Asker(dies=3.0)
    asker.run(20.0)
    (suspected, _), (dead, _) = asker.verdicts
    gaps = [(at, later - at) for at, later in pairwise(asker.asked)]
    silent = [gap for at, gap in gaps if suspected < at < dead - 2 * H]
    gone = [gap for at, gap in gaps if at >= dead]
    assert silent
    assert gone
    assert all(H - 1e-9 <= gap <= 1.5 * H + 1e-9 for gap in silent)
    assert all(DEAD_ASKED * H - 1e-9 <= gap <= (DEAD_ASKED + 0.5) * H + 1e-9 for gap in gone)


def test_who_has_not_answered_a_greeting_is_asked_on_and_never_suspected() -> None:
    asker = Asker(dies=0.0, state=GREETING)
    asker.run(10.0)
    assert asker.verdicts == []
    assert len(asker.asked) > 60


def test_who_said_goodbye_is_left_alone() -> None:
    asker = Asker()
    asker.run(1.0)
    asker.rule.set(0, GONE, 1.0)
    asker.asked.clear()
    asker.run(10.0)
    assert (asker.asked, asker.verdicts) == ([], [])


def test_who_is_doubted_is_asked_though_it_talks() -> None:
    asker = Asker()
    asker.run(1.0)
    asker.peer.doubt = True
    asker.asked.clear()
    for step in range(1, 41):
        now = 1.0 + 0.05 * step
        asker.hear(now)
        asker.peer.written = now
        asker.run(now)
    assert len(asker.asked) >= 13


def test_any_word_makes_it_a_new_silence() -> None:
    """A verdict counts from the first question that nothing has answered, not from the last word before it."""
    asker = Asker(dies=3.0)
    asker.run(3.9)
    assert asker.verdicts == []
    asker.hear(3.9)
    asker.run(4.8)
    assert asker.verdicts == []
    asker.run(5.3)
    assert asker.verdicts[0][1] == SUSPECT


def test_before_its_time_a_look_sees_nothing() -> None:
    rule = Suspicion(H, 2)
    assert list(rule.tick(0.01)) == []
    assert rule.next_tick == H / 2
    assert list(rule.tick(H / 2)) == [(0, ASK), (1, ASK)]
    rule.meet(H / 2)
    assert list(rule.tick(H))[-1] == (2, ASK)


def test_without_a_heartbeat_nobody_is_ever_asked() -> None:
    assert Suspicion(NEVER, 3).next_tick == NEVER
