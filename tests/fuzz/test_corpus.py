"""The corpora that fuzzing left, replayed and mutated without the fuzzer: nothing escapes, and all is still reached."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from gmsr.agents.journal import CAUSES
from gmsr.agents.ledger import Ledger
from gmsr.agents.server import Server
from gmsr.agents.sharing import Sharing
from gmsr.broker import wire
from gmsr.broker.wire import KIND_NAMES, REASONS
from gmsr.topology.curves import make

from . import targets

FOLDER = Path(__file__).parent / "corpus"
TARGETS = {name: getattr(targets, name) for name in ("decoder", "dispatcher", "server", "orders")}
MUTATIONS = {"decoder": 20_000, "dispatcher": 2_000, "server": 3_000, "orders": 1_500}
"""Some seconds in all. Hours of them are ``make fuzz``."""
MOST_FILES = 80
MOST_BYTES = 400

KINDS_IN = {f"in {kind}" for kind in KIND_NAMES}
REACHED = {
    "decoder": {f"kind {number}" for number in range(wire.KINDS)} | {*REASONS} - {"oversized"},
    "dispatcher": KINDS_IN
    | {f"out {kind}" for kind in ("hello", "job", "ping", "ask", "bye")}
    | {f"believed {state}" for state in ("suspect", "dead", "back", "reborn", "leaving", "gone")}
    | {
        f"lost as {cause}" for cause in CAUSES if cause not in ("dispatcher", "policy")
    }  # said by others; does not raise
    | {"missed", "unsent unroutable", "unsent full", "stop", "resent", "strays", "closed_door", "refused"}
    | {f"order {order}" for order in ("drain", "join", "surge", "dance")},
    "server": KINDS_IN
    | {
        f"out {kind}"
        for kind in ("welcome", "completion", "report", "pong", "held", "bye", "leaving", "missed")
    }
    | {"missed", "unsent unroutable", "stop", "dropped", "refused"}
    | {f"order {order}" for order in ("slow", "pause", "resume", "drain", "join", "dance")},
    "orders": {
        f"order {order}"
        for order in ("slow", "surge", "pause", "resume", "drain", "join", "impair", "freeze")
    },
}
"""What replaying a corpus must come to: every kind of message, order, belief and loss."""


def corpus(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((FOLDER / target).iterdir())]


def mutated(random: Random, inputs: list[bytes]) -> bytes:
    """An input cut, flipped, overwritten, lengthened, or spliced with another."""
    data = bytearray(random.choice(inputs))
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(data) + 1)
        match random.randrange(5):
            case 0:
                del data[at : at + random.randint(1, 8)]
            case 1:
                data[at:at] = random.randbytes(random.randint(1, 8))
            case 2 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case 3 if at < len(data):
                data[at] = random.randrange(256)
            case _:
                data[at:] = random.choice(inputs)[at:]
    return bytes(data)


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_reaches_what_it_should(target: str) -> None:
    seen: Counter[str] = Counter()
    inputs = corpus(target)
    for data in inputs:
        TARGETS[target](data, seen)
    assert REACHED[target] - set(seen) == set()
    assert len(inputs) <= MOST_FILES
    assert max(map(len, inputs)) <= MOST_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_escapes_what_resembles_the_corpus(target: str) -> None:
    random, inputs = Random(20241), corpus(target)
    for _ in range(MUTATIONS[target]):
        data = mutated(random, inputs)
        try:
            TARGETS[target](data)
        except Exception as error:
            pytest.fail(f"targets.{target}(bytes.fromhex({data.hex()!r})): {type(error).__name__}: {error}")


def finds(target: str) -> bool:
    """Whether some input of the corpus raises."""
    for data in corpus(target):
        try:
            TARGETS[target](data)
        except Exception:
            return True
    return False


def test_a_job_that_is_completed_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    booked = Ledger.complete

    def complete(ledger: Ledger, server: int, job: int, now: float) -> float | None:
        good = booked(ledger, server, job, now)
        ledger.completed += good is not None
        return good

    monkeypatch.setattr(Ledger, "complete", complete)
    assert finds("dispatcher")


def test_a_loss_that_leaves_the_view_alone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gmsr.agents.view.View.add", lambda *_: None)
    assert finds("dispatcher")


def test_jobs_that_are_thrown_out_and_not_counted_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    evicted = Sharing.evict
    monkeypatch.setattr(Sharing, "evict", lambda *given: evicted(*given)[1:])
    assert finds("server")


def test_a_goodbye_that_is_not_heard_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rare = Server._rare
    monkeypatch.setattr(
        Server,
        "_rare",
        lambda server, index, message, now: message[0] == wire.BYE or rare(server, index, message, now),
    )
    assert finds("server")


def test_bytes_that_are_miscounted_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_integer_bytes", lambda _: 2)
    assert finds("decoder")


def test_an_order_that_is_obeyed_unseen_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gmsr.agents.work.sound", make)
    assert finds("orders")
