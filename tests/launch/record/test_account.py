"""Every rule of the account of jobs: planted, and found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gmsr.agents.journal import (
    CAUSES,
    DROPPED,
    HELD,
    IN_FLIGHT,
    JOB_ROW,
    LOST,
    RESENT,
    RETURNED,
    UNHEARD,
    VISIT_ROW,
)
from gmsr.agents.ledger import JOBS_A_LIFE
from gmsr.launch.record.folder import Happening, tell, write_json
from gmsr.launch.record.summary import summarise

from .conftest import census

Change = Callable[..., None]
WIDTH = JOB_ROW.size
NAN = float("nan")


def complaints(run_dir: Path) -> str:
    summary = summarise(run_dir)
    assert not summary["valid"]
    return " | ".join(summary["warnings"])


def rewrite(path: Path, edit: Callable[[bytearray], None]) -> None:
    data = bytearray(path.read_bytes())
    edit(data)
    path.write_bytes(data)


def replace(row: int, **fields: Any) -> Callable[[bytearray], None]:
    """Change a job's or visit's fields by position."""
    assert JOB_ROW.format == VISIT_ROW.format, "this edits both"
    names = ("number", "peer", "state", "first", "second", "third", "size")

    def edit(data: bytearray) -> None:
        values = dict(zip(names, JOB_ROW.unpack_from(data, row * WIDTH), strict=True)) | fields
        JOB_ROW.pack_into(data, row * WIDTH, *(values[name] for name in names))

    return edit


def forget(row: int) -> Callable[[bytearray], None]:
    def edit(data: bytearray) -> None:
        del data[row * WIDTH : (row + 1) * WIDTH]

    return edit


def test_a_job_booked_twice(run_dir: Path) -> None:
    rewrite(run_dir / "agents/d1.rows", replace(5, number=4))
    assert "d1: job 4 is booked where job 5 should be" in complaints(run_dir)


def test_a_job_that_no_server_saw(run_dir: Path) -> None:
    rewrite(run_dir / "agents/s1.rows", forget(7))
    told = complaints(run_dir)
    assert "1 completions and 0 departures have no counterpart" in told
    assert "s1: its journal holds" in told
    assert "s1 counted" in told


def test_a_job_served_twice(run_dir: Path) -> None:
    rewrite(run_dir / "agents/s1.rows", lambda data: data.extend(data[:WIDTH]))
    assert "departed (1 of them again); 0 completions and 0 departures" in complaints(run_dir)


def test_a_size_that_changed_on_its_way(run_dir: Path) -> None:
    rewrite(run_dir / "agents/s1.rows", replace(7, size=123.0))
    assert "1 jobs had another size at their server" in complaints(run_dir)


def test_a_job_served_elsewhere(wide_dir: Path) -> None:
    rewrite(wide_dir / "agents/d1.rows", lambda data: replace(3, peer=1 - data[3 * WIDTH + 4])(data))
    told = complaints(wide_dir)
    assert "1 completions and 1 departures have no counterpart" in told
    assert "d1 counted" in told


def test_a_job_in_flight_that_no_server_holds(run_dir: Path) -> None:
    rewrite(run_dir / "agents/d1.rows", replace(7, state=1, third=NAN))
    told = complaints(run_dir)
    assert "d1 has 1 jobs in flight at s1, which holds 0 of its" in told
    assert "its journal holds" in told


def test_an_account_that_does_not_balance(run_dir: Path, change: Change) -> None:
    change(run_dir / "agents/d1.json", in_flight=3)
    assert "d1: its account does not balance" in complaints(run_dir)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"arrived": 1}, "s1: its journal holds {'arrived'"),
        ({"departed": 1}, "s1: its journal holds {'arrived'"),
        ({"held": {"d1": 2}}, "s1: its journal holds 0 open jobs of d1, its account 2"),
    ],
)
def test_a_servers_account_that_is_not_its_journals(
    run_dir: Path, change: Change, fields: dict[str, Any], words: str
) -> None:
    change(run_dir / "agents/s1.json", **fields)
    assert words in complaints(run_dir)


def test_a_message_that_got_lost(run_dir: Path, change: Change) -> None:
    def lose(statement: dict[str, Any]) -> None:
        statement["census"]["received"]["d1"]["job"][0] -= 1

    change(run_dir / "agents/s1.json", edit=lose)
    told = complaints(run_dir)
    assert "d1 sent s1" in told
    assert "of kind job from d1, its journal holds" in told
    assert "d1 sent s1" in json.loads((run_dir / "messages.json").read_text())["differences"][0]


def test_counts_that_agree_and_journals_that_do_not(run_dir: Path, change: Change) -> None:
    """Both ends counted a job too many: only the journals tell."""
    for agent, way, peer in (("d1", "sent", "s1"), ("s1", "received", "d1")):

        def add(statement: dict[str, Any], way: str = way, peer: str = peer) -> None:
            statement["census"][way][peer]["job"][0] += 1

        change(run_dir / f"agents/{agent}.json", edit=add)
    told = complaints(run_dir)
    assert "d1 counted" in told
    assert "s1 counted" in told
    assert "d1 sent s1" not in told


def test_a_missing_statement_and_a_torn_journal(run_dir: Path) -> None:
    (run_dir / "agents/s1.json").unlink()
    rewrite(run_dir / "agents/s1.rows", lambda data: data.__delitem__(slice(-3, None)))
    told = complaints(run_dir)
    assert "s1 left no statement" in told
    assert "the journal of s1 ends in half a row" in told
    assert complaints(run_dir) == told, "made again, from the Parquet files"


def test_dropped_rows(run_dir: Path, change: Change) -> None:
    change(run_dir / "agents/d1.json", dropped_rows=1024)
    assert "d1 dropped 1024 rows" in complaints(run_dir)


def test_of_many_violations_a_few_are_told(wide_dir: Path, change: Change) -> None:
    for path in (wide_dir / "agents").glob("*.json"):
        path.unlink()
    told = complaints(wide_dir)
    assert told.count("left no statement") == 5
    assert "and 1 more of this kind" in told


def test_jobs_lost_are_told_by_cause(run_dir: Path, change: Change) -> None:
    """A job that could not be sent: no message was counted, and its server never saw it."""
    rewrite(run_dir / "agents/d1.rows", replace(7, state=LOST + CAUSES.index("unroutable"), third=NAN))
    rewrite(run_dir / "agents/s1.rows", forget(7))
    count = json.loads((run_dir / "agents/d1.json").read_text())["offered"]

    def one_less(statement: dict[str, Any]) -> None:
        for way in ("sent", "received"):
            for kinds in statement["census"][way].values():
                for kind in {"job", "completion"} & kinds.keys():
                    kinds[kind][0] -= 1

    change(run_dir / "agents/d1.json", edit=one_less, completed=count - 1, lost={"unroutable": 1})
    change(run_dir / "agents/s1.json", edit=one_less, arrived=count - 1, departed=count - 1)
    summary = summarise(run_dir)
    assert summary["valid"], summary["warnings"]
    assert summary["jobs"]["lost"] == {"unroutable": 1}


# What faults allow, and what they do not.


def lossy(run_dir: Path, *edges: tuple[str, str]) -> None:
    """Frames were lost on these edges for a while."""
    told = Happening(t=500.0, event="begin", kind="loss", agents=[], edges=list(edges), what="loses frames")
    tell(run_dir, told)


def died(run_dir: Path, agent: str, life: int = 1, t: float = 3000.0) -> None:
    tell(run_dir, Happening(t=t, event="died", agents=[agent], life=life, why="killed by SIGKILL"))


def lost(cause: str) -> int:
    return LOST + CAUSES.index(cause)


def count_less(change: Change, file: Path, way: str, peer: str, *kinds: str) -> None:
    """One message fewer of each of these kinds."""

    def edit(statement: dict[str, Any]) -> None:
        for kind in kinds:
            statement["census"][way][peer][kind][0] -= 1

    change(file, edit=edit)


def lose_a_job_on_its_way(run_dir: Path, change: Change) -> None:
    """A job frame of d1 to s1 was lost, and d1 has found that out. Everybody's own account is right."""
    rewrite(run_dir / "agents/d1.rows", replace(7, state=lost("transit"), third=NAN))
    rewrite(run_dir / "agents/s1.rows", forget(7))
    d1, s1 = run_dir / "agents/d1.json", run_dir / "agents/s1.json"
    count = json.loads(d1.read_text())["offered"]
    change(d1, completed=count - 1, lost={"transit": 1})
    change(s1, arrived=count - 1, departed=count - 1)
    count_less(change, d1, "received", "s1", "completion")
    count_less(change, s1, "received", "d1", "job")
    count_less(change, s1, "sent", "d1", "completion")


def test_a_frame_that_got_lost_where_no_fault_struck(run_dir: Path, change: Change) -> None:
    lose_a_job_on_its_way(run_dir, change)
    told = complaints(run_dir)
    assert "d1 sent s1" in told
    assert "counterpart" not in told, "a lost job needs no visit"


def test_a_frame_that_got_lost_where_a_fault_struck(run_dir: Path, change: Change) -> None:
    lose_a_job_on_its_way(run_dir, change)
    lossy(run_dir, ("d1", "s1"))
    summary = summarise(run_dir)
    assert summary["valid"], summary["warnings"]
    assert summary["jobs"]["lost"] == {"transit": 1}


def test_a_fault_excuses_its_own_edges_only(wide_dir: Path, change: Change) -> None:
    def lose(statement: dict[str, Any]) -> None:
        statement["census"]["received"]["d1"]["job"][0] -= 1

    change(wide_dir / "agents/s1.json", edit=lose)
    lossy(wide_dir, ("d1", "s2"), ("d2", "s3"))
    told = complaints(wide_dir)
    assert "d1 sent s1" in told
    assert "s1 counted" in told


@pytest.mark.parametrize(
    "happening",
    [
        Happening(t=9.0, event="begin", kind="freeze", agents=["s1"]),
        Happening(t=9.0, event="begin", kind="cut", edges=[("d1", "s1")]),
        Happening(t=9.0, event="started", agents=["d1"], life=2),
        Happening(t=9.0, event="joined", agents=["s1"]),
    ],
    ids=lambda happening: happening.kind or happening.event,
)
def test_what_touches_an_edge(run_dir: Path, change: Change, happening: Happening) -> None:
    count_less(change, run_dir / "agents/s1.json", "received", "d1", "job")
    if happening.event == "started":
        died(run_dir, "d1", life=2)
    if happening.event == "joined":
        happening.entry = {"id": "s1", "role": "server", "peers": ["d1"]}
    tell(run_dir, happening)
    summary = summarise(run_dir)
    assert summary["valid"], summary["warnings"]


@pytest.mark.parametrize("kind", ["slow", "surge"])
def test_what_changes_rates_loses_nothing(run_dir: Path, change: Change, kind: str) -> None:
    count_less(change, run_dir / "agents/s1.json", "received", "d1", "job")
    tell(run_dir, Happening(t=9.0, event="begin", kind=kind, agents=["s1"]))
    assert "d1 sent s1" in complaints(run_dir)


def test_what_a_dispatcher_believed_is_no_excuse_for_lost_messages(run_dir: Path, change: Change) -> None:
    """Suspicion alone loses nothing; but what was given up by it need not be found again at its server."""
    change(run_dir / "agents/d1.json", events=[[9.0, "suspect", "s1"], [9.5, "back", "s1"]])
    rewrite(run_dir / "agents/d1.rows", replace(7, state=lost("dead"), third=NAN))
    count = json.loads((run_dir / "agents/d1.json").read_text())["offered"]
    change(run_dir / "agents/d1.json", completed=count - 1, lost={"dead": 1}, strays=1)
    summary = summarise(run_dir)
    assert summary["valid"], summary["warnings"]
    count_less(change, run_dir / "agents/s1.json", "received", "d1", "job")
    assert "d1 sent s1" in complaints(run_dir)


@pytest.mark.parametrize("state", [HELD, UNHEARD, DROPPED])
def test_a_job_taken_in_more_often_than_it_was_sent(run_dir: Path, change: Change, state: int) -> None:
    """Not even a fault makes two jobs of one: a copy of a frame is never taken."""
    lossy(run_dir, ("d1", "s1"))

    def again(data: bytearray) -> None:
        data.extend(data[:WIDTH])
        replace(len(data) // WIDTH - 1, state=state)(data)

    rewrite(run_dir / "agents/s1.rows", again)
    statement = json.loads((run_dir / "agents/s1.json").read_text())
    change(
        run_dir / "agents/s1.json",
        arrived=statement["arrived"] + 1,
        departed=statement["departed"] + (state == UNHEARD),
        dropped=int(state == DROPPED),
        held={"d1": int(state != DROPPED)},
    )
    assert complaints(run_dir) == "not valid: servers took in 1 jobs more than they were sent"


def test_a_job_that_was_never_sent_and_is_served(run_dir: Path) -> None:
    lossy(run_dir, ("d1", "s1"))
    rewrite(run_dir / "agents/s1.rows", replace(7, number=10**6))
    told = complaints(run_dir)
    assert "servers took in 1 jobs more than they were sent" in told
    assert "1 completions and 0 departures have no counterpart" in told


def send_again(run_dir: Path, change: Change, state: int) -> None:
    """Job 7 of d1 was given up once before the attempt that was completed."""

    def attempt(data: bytearray) -> None:
        data[7 * WIDTH : 7 * WIDTH] = data[7 * WIDTH : 8 * WIDTH]
        replace(7, state=state, third=NAN)(data)

    rewrite(run_dir / "agents/d1.rows", attempt)
    change(run_dir / "agents/d1.json", resent=1)


def test_a_job_that_was_sent_again_is_one_job(run_dir: Path, change: Change) -> None:
    """The first attempt never came; its row is in the Parquet file, and in no figure."""
    offered = summarise_copy(run_dir)
    send_again(run_dir, change, RESENT)
    lossy(run_dir, ("d1", "s1"))
    summary = summarise(run_dir)
    assert summary["valid"], summary["warnings"]
    assert summary["jobs"] == offered
    assert summarise(run_dir) == summary, "made again, from the Parquet files"


def summarise_copy(run_dir: Path) -> Any:
    """The jobs of a run that is left as it is."""
    copy = run_dir.with_name("copy")
    shutil.copytree(run_dir, copy)
    return summarise(copy)["jobs"]


def test_a_job_that_was_sent_twice_may_be_served_twice(run_dir: Path, change: Change) -> None:
    send_again(run_dir, change, RESENT)
    lossy(run_dir, ("d1", "s1"))
    rewrite(run_dir / "agents/s1.rows", lambda data: data.extend(data[7 * WIDTH : 8 * WIDTH]))
    statement = json.loads((run_dir / "agents/s1.json").read_text())
    change(run_dir / "agents/s1.json", arrived=statement["arrived"] + 1, departed=statement["departed"] + 1)
    summary = summarise(run_dir)
    assert summary["valid"], summary["warnings"]


def test_an_attempt_that_never_left_allows_no_second_visit(run_dir: Path, change: Change) -> None:
    send_again(run_dir, change, RETURNED)
    lossy(run_dir, ("d1", "s1"))
    rewrite(run_dir / "agents/s1.rows", lambda data: data.extend(data[7 * WIDTH : 8 * WIDTH]))
    statement = json.loads((run_dir / "agents/s1.json").read_text())
    change(run_dir / "agents/s1.json", arrived=statement["arrived"] + 1, departed=statement["departed"] + 1)
    assert "servers took in 1 jobs more than they were sent" in complaints(run_dir)


def test_a_dispatcher_that_died_leaves_its_jobs_lost(run_dir: Path) -> None:
    rewrite(run_dir / "agents/d1.rows", replace(7, state=IN_FLIGHT, third=NAN))
    (run_dir / "agents/d1.json").unlink()
    died(run_dir, "d1")
    summary = summarise(run_dir)
    assert summary["valid"], summary["warnings"]
    assert summary["jobs"]["lost"] == {"dispatcher": 1}
    assert summary["jobs"]["in_flight"] == 0
    jobs = pd.read_parquet(run_dir / "jobs.parquet")
    assert list(jobs["state"][jobs["state"] != "completed"]) == ["lost: dispatcher"]


def test_a_server_that_died_took_its_visits_with_it(run_dir: Path, change: Change) -> None:
    rewrite(run_dir / "agents/s1.rows", replace(7, state=HELD, second=NAN, third=NAN))
    rewrite(run_dir / "agents/d1.rows", replace(7, state=lost("dead"), third=NAN))
    count = json.loads((run_dir / "agents/d1.json").read_text())["offered"]
    change(run_dir / "agents/d1.json", completed=count - 1, lost={"dead": 1})
    (run_dir / "agents/s1.json").unlink()
    died(run_dir, "s1")
    summary = summarise(run_dir)
    assert summary["valid"], summary["warnings"]
    visits = pd.read_parquet(run_dir / "visits.parquet")
    ended = visits[visits["state"] != "departed"]
    assert list(ended["state"]) == ["died"]
    assert list(ended["noticed"]) == [3000.0]
    assert ended["departed"].isna().all()


def test_who_left_no_statement_and_did_not_die(run_dir: Path) -> None:
    (run_dir / "agents/s1.json").unlink()
    died(run_dir, "d1")
    assert "s1 left no statement" in complaints(run_dir)


def live_again(run_dir: Path, agent: str, jobs: int, first: int = JOBS_A_LIFE) -> None:
    """An agent dies when all is done, and its next life offers or takes in ``jobs`` jobs that nobody ended."""
    statement = json.loads((run_dir / f"agents/{agent}.json").read_text())
    (run_dir / f"agents/{agent}.json").unlink()
    died(run_dir, agent, t=4500.0)
    tell(run_dir, Happening(t=4501.0, event="started", agents=[agent], life=2))
    again = {"d1": d1_again, "s1": s1_again}[agent]
    rows = b"".join(JOB_ROW.pack(first + number, 0, *again(number)) for number in range(jobs))
    (run_dir / f"agents/{agent}@2.rows").write_bytes(rows)
    peers = statement["census"]["sent"]
    statement |= {"life": 2, "census": census({peer: {} for peer in peers}, {peer: {} for peer in peers})}
    if agent == "d1":
        statement |= {"offered": jobs, "completed": 0, "in_flight": jobs}
    else:
        statement |= {"arrived": jobs, "departed": 0, "held": {"d1": jobs}}
    write_json(run_dir / f"agents/{agent}@2.json", statement)


def d1_again(number: int) -> tuple[float, ...]:
    return IN_FLIGHT, 4501.0 + number, 4501.0 + number, NAN, 1.0


def s1_again(number: int) -> tuple[float, ...]:
    return HELD, 4501.0 + number, NAN, NAN, 1.0


def test_a_dispatchers_second_life_has_an_account_of_its_own(run_dir: Path) -> None:
    live_again(run_dir, "d1", jobs=3)
    summary = summarise(run_dir)
    assert summary["valid"], summary["warnings"]
    jobs = pd.read_parquet(run_dir / "jobs.parquet")
    assert list(jobs["job"][jobs["life"] == 2]) == [JOBS_A_LIFE, JOBS_A_LIFE + 1, JOBS_A_LIFE + 2]
    assert set(jobs["dispatcher"]) == {"d1"}
    assert not list((run_dir / "agents").glob("*.rows"))
    assert summarise(run_dir) == summary, "made again, from the Parquet files"


def test_a_second_life_that_counts_as_the_first(run_dir: Path) -> None:
    live_again(run_dir, "d1", jobs=2, first=0)
    assert f"d1@2: job 0 is booked where job {JOBS_A_LIFE} should be" in complaints(run_dir)


def test_a_second_life_whose_account_is_not_its_journals(run_dir: Path, change: Change) -> None:
    live_again(run_dir, "d1", jobs=3)
    change(run_dir / "agents/d1@2.json", offered=4, in_flight=4)
    assert "d1@2: its journal holds {'offered': 3" in complaints(run_dir)


def test_a_servers_second_life_takes_in_only_what_was_sent(run_dir: Path) -> None:
    live_again(run_dir, "s1", jobs=2)
    assert complaints(run_dir) == "not valid: servers took in 2 jobs more than they were sent"


def test_a_second_life_that_left_no_statement(run_dir: Path) -> None:
    live_again(run_dir, "d1", jobs=1)
    (run_dir / "agents/d1@2.json").unlink()
    assert "d1@2 left no statement" in complaints(run_dir)


def test_a_second_life_that_died_too(run_dir: Path) -> None:
    live_again(run_dir, "d1", jobs=1)
    (run_dir / "agents/d1@2.json").unlink()
    died(run_dir, "d1", life=2, t=4700.0)
    summary = summarise(run_dir)
    assert summary["valid"], summary["warnings"]
    jobs = pd.read_parquet(run_dir / "jobs.parquet")
    assert list(jobs["state"][jobs["life"] == 2]) == ["lost: dispatcher"]
