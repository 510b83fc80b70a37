"""The account of a dispatcher's own jobs: each once, whatever befalls it."""

from math import isnan

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gmsr.agents.journal import CAUSES, COMPLETED, IN_FLIGHT, LOST, RESENT, RETURNED
from gmsr.agents.ledger import JOBS_A_LIFE, Ledger
from gmsr.broker.wire import MAX_JOB, MAX_LIFE

from .conftest import ListRows


def ledger(horizon: float = 10.0, life: int = 1) -> tuple[Ledger, ListRows]:
    rows = ListRows()
    return Ledger(rows, horizon, life), rows


def test_a_job_from_offered_to_completed() -> None:
    made, rows = ledger()
    assert made.offer(3, 1.0, 1.5, 2.0) == 0
    assert rows.rows[0][:5] == (0, 3, IN_FLIGHT, 1.0, 1.5)
    assert (made.holder(0), made.in_flight) == (3, 1)
    assert made.complete(3, 0, 4.0) is not None
    assert rows.rows == [(0, 3, COMPLETED, 1.0, 1.5, 4.0, 2.0)]
    assert (made.completed, made.in_flight, made.holder(0)) == (1, 0, None)


def test_a_completion_that_nobody_waits_for_is_a_stray() -> None:
    made, rows = ledger()
    job = made.offer(0, 1.0, 1.0, 1.0)
    assert made.complete(1, job, 2.0) is None, "another server than it is at"
    assert made.complete(0, 7, 2.0) is None
    assert made.complete(0, job, 2.0) is not None
    assert made.complete(0, job, 3.0) is None
    assert (made.strays, made.completed) == (3, 1)
    assert rows.rows[0][5] == 2.0


def test_each_life_has_numbers_of_its_own() -> None:
    numbers = []
    for life in range(1, MAX_LIFE + 1):
        made, _ = ledger(life=life)
        numbers += [made.offer(0, 1.0, 1.0, 1.0), made.offer(0, 1.0, 1.0, 1.0)]
    assert numbers == sorted(set(numbers))
    assert numbers[:4] == [0, 1, JOBS_A_LIFE, JOBS_A_LIFE + 1]
    assert MAX_LIFE * JOBS_A_LIFE - 1 <= MAX_JOB, "the last life has as many as the others"


@pytest.mark.parametrize(("left", "state"), [(True, RESENT), (False, RETURNED)])
def test_a_job_that_is_sent_again_has_a_row_for_each_attempt(left: bool, state: int) -> None:
    made, rows = ledger()
    job = made.offer(0, 1.0, 1.5, 2.0)
    assert made.resend(job, 1, 3.0, left) == 2.0
    assert (made.holder(job), made.in_flight, made.resent, made.offered) == (1, 1, 1, 1)
    assert made.complete(0, job, 4.0) is None, "the first server's word comes too late"
    assert made.complete(1, job, 5.0) is not None
    first, second = rows.rows
    assert first[:5] == (0, 0, state, 1.0, 1.5)
    assert isnan(first[5])
    assert second == (0, 1, COMPLETED, 1.0, 3.0, 5.0, 2.0)


def test_jobs_at_a_server_up_to_an_attempt() -> None:
    made, _ = ledger()
    jobs = [made.offer(number % 2, 1.0, 1.0, 1.0) for number in range(6)]
    before = made.sends
    late = made.offer(0, 1.0, 1.0, 1.0)
    assert made.at(0, before) == [jobs[0], jobs[2], jobs[4]]
    assert made.at(0, made.sends) == [jobs[0], jobs[2], jobs[4], late]
    made.resend(jobs[1], 0, 2.0, left=True)
    assert made.at(0, before) == [jobs[0], jobs[2], jobs[4]], "that attempt came later"
    assert jobs[1] in made.at(0, made.sends)
    made.complete(0, jobs[0], 2.0)
    assert made.at(0, before) == [jobs[2], jobs[4]]


def test_losses_are_told_by_cause() -> None:
    made, rows = ledger()
    for cause in ("dead", "transit", "dead"):
        made.lose(made.offer(0, 1.0, 1.0, 1.0), cause)
    assert made.losses() == {"dead": 2, "transit": 1}
    assert [row[2] - LOST for row in rows.rows] == [
        CAUSES.index(each) for each in ("dead", "transit", "dead")
    ]


def test_jobs_after_the_horizon_are_not_waited_for() -> None:
    made, _ = ledger(horizon=10.0)
    first, second = made.offer(0, 9.9, 9.9, 1.0), made.offer(0, 10.0, 10.0, 1.0)
    assert made.measured_in_flight == 1
    made.resend(first, 1, 11.0, left=True)
    assert made.measured_in_flight == 1
    made.complete(1, first, 12.0)
    assert (made.measured_in_flight, made.in_flight) == (0, 1)
    made.lose(second, "dead")
    assert made.in_flight == 0


class Account(RuleBasedStateMachine):
    """Anything may happen to any job at any time: the account balances, and so do the rows."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger, self.rows = ledger(horizon=5.0)
        self.open: dict[int, int] = {}
        self.now = 0.0

    @rule(server=st.integers(0, 3), gap=st.floats(0.0, 1.0))
    def offer(self, server: int, gap: float) -> None:
        self.now += gap
        self.open[self.ledger.offer(server, self.now, self.now, 1.0)] = server

    @rule(server=st.integers(0, 3), job=st.integers(0, 20))
    def complete(self, server: int, job: int) -> None:
        mine = self.open.get(job) == server
        assert (self.ledger.complete(server, job, self.now) is not None) == mine
        if mine:
            del self.open[job]

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 20), cause=st.sampled_from(CAUSES))
    def lose(self, which: int, cause: str) -> None:
        job = list(self.open)[which % len(self.open)]
        self.ledger.lose(job, cause)
        del self.open[job]

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 20), server=st.integers(0, 3), left=st.booleans())
    def resend(self, which: int, server: int, left: bool) -> None:
        job = list(self.open)[which % len(self.open)]
        self.ledger.resend(job, server, self.now, left)
        self.open[job] = server

    @invariant()
    def it_balances(self) -> None:
        made, rows = self.ledger, self.rows.rows
        made.validate()
        assert {job: made.holder(job) for job in self.open} == self.open
        fates = [row for row in rows if row[2] not in (RESENT, RETURNED)]
        assert sorted(row[0] for row in fates) == list(range(made.offered)), "one fate a job"
        assert len(rows) == made.sends == made.offered + made.resent
        assert sum(row[2] == COMPLETED for row in fates) == made.completed
        assert {row[0]: row[1] for row in fates if row[2] == IN_FLIGHT} == self.open
        assert sum(row[2] >= LOST for row in fates) == sum(made.lost)


test_whatever_happens_the_account_balances = Account.TestCase
