"""Scenarios by the thousand: each is run, checked at every turn, and its account balanced; a failure is shrunk."""

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

from gmsr.agents.journal import JOB_DTYPE, VISIT_DTYPE
from gmsr.topology.errors import UserError
from gmsr.topology.faults import Fault

from ..faults.join import entry
from ..record import account
from ..record.collect import JOB_STATES, VISIT_STATES, Collected, bury, life_name, parted, table
from ..record.folder import Agent, Folder, Happening, with_joined
from .checks import Watch, digested
from .scenario import QUIET, Scenario, scenario
from .spread import spread
from .world import World

CHUNK = 4
TOLD_EVERY = 500


class Memory:
    """A journal in memory (``agents.journal.Rows``)."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, ...]] = []
        self.dropped = 0

    def open(self, number: int, peer: int, state: int, *rest: float) -> int:
        """Append a row."""
        self.rows.append((number, peer, state, *rest))
        return len(self.rows) - 1

    def settle(self, place: int, number: int, peer: int, state: int, *rest: float) -> None:
        """Write it anew."""
        self.rows[place] = (number, peer, state, *rest)


class Outcome(NamedTuple):
    """What became of a scenario."""

    broken: list[str]  # properties that do not hold; empty if all is well
    jobs: int
    lost: int
    resent: int
    digest: str  # of all that was journaled: the same seed gives the same


def play(scenario: Scenario, faults: Sequence[Fault] | None = None) -> Outcome:
    """Run a scenario, with all its faults or with some."""
    kept: dict[tuple[str, int], Memory] = {}

    def rows(spec: Any) -> Memory:
        return kept.setdefault((spec["id"], spec["life"]), Memory())

    happenings: list[Happening] = []
    watch = Watch()
    specs = scenario.specs()
    world = World(
        specs,
        scenario.faults if faults is None else faults,
        rows,
        happenings.append,
        check=watch.checks,
        tap=watch.sees,
        latency=scenario.latency,
        by_bytes=scenario.by_bytes,
    )
    broken: list[str] = []
    statements: dict[str, dict[str, Any]] = {}
    try:
        world.run(until=QUIET * scenario.options.duration)
        broken += digested(world)
        world.run()
        statements = {
            life_name(node.name, node.spec["life"]): node.statement()
            for node in world.nodes.values()
            if node.done
        }
        broken += balance(scenario, world.first, kept, happenings, statements)
    except Exception as error:  # whatever a machine raises is what we look for
        broken.append(f"{type(error).__name__}: {error}")
    told = [each for each in statements.values() if each["role"] == "dispatcher"]
    return Outcome(
        broken,
        sum(each["offered"] for each in told),
        sum(sum(each["lost"].values()) for each in told),
        sum(each["resent"] for each in told),
        sha256(repr([(life, memory.rows) for life, memory in kept.items()]).encode()).hexdigest(),
    )


def balance(
    scenario: Scenario,
    specs: Sequence[Any],
    kept: dict[tuple[str, int], Memory],
    happenings: Sequence[Happening],
    statements: dict[str, dict[str, Any]],
) -> list[str]:
    """The account of jobs, from journals in memory."""
    known = with_joined([entry(spec) for spec in specs], happenings)
    agents = {name: Agent(name, each["role"], tuple(each["peers"])) for name, each in known.items()}
    plan: Any = {"duration": scenario.options.duration}
    folder = Folder(None, scenario.topology, plan, None, tuple(agents.values()), tuple(happenings))  # type: ignore[arg-type]
    names = {role: [each.id for each in folder.of(role)] for role in ("dispatcher", "server")}
    dtypes = {"dispatcher": JOB_DTYPE, "server": VISIT_DTYPE}
    states = {"dispatcher": JOB_STATES, "server": VISIT_STATES}
    tables = {}
    for role, dtype in dtypes.items():
        lives = [life for life in kept if agents[life[0]].role == role]
        tables[role] = table(
            role,
            {**names, "state": states[role]},
            dtype,
            [(agents[name], life) for name, life in lives],
            [len(kept[life].rows) for life in lives],
            _loader([kept[life] for life in lives], dtype),
        )
    unsaid = [(agents[name], life) for name, life in kept if life_name(name, life) not in statements]
    bury(folder, unsaid, tables["dispatcher"], tables["server"])
    fates, given_up = parted(tables["dispatcher"])
    run = Collected(names["dispatcher"], names["server"], fates, tables["server"], statements, [], given_up)
    return account.violations(folder, run)


def _loader(memories: list[Memory], dtype: list[tuple[str, str]]) -> Callable[[int], Any]:
    return lambda number: np.array(memories[number].rows, dtype=dtype)


class Findings(NamedTuple):
    """What many scenarios showed."""

    scenarios: int
    faults: int
    jobs: int
    lost: int
    resent: int
    seconds: float
    failures: dict[int, list[str]]  # by seed: what is broken


def explore(
    first: int, last: int, workers: int | None, say: Callable[[str], object] | None = None
) -> Findings:
    """Scenarios ``first`` to ``last`` − 1, over so many processes (None: as many as cores)."""
    began = time.monotonic()
    seeds = range(first, last)
    faults = jobs = lost = resent = 0
    failures: dict[int, list[str]] = {}
    for seed, (count, outcome) in zip(seeds, spread(_one, seeds, workers, CHUNK), strict=True):
        faults, jobs = faults + count, jobs + outcome.jobs
        lost, resent = lost + outcome.lost, resent + outcome.resent
        if outcome.broken:
            failures[seed] = outcome.broken
        if say and (seed + 1 - first) % TOLD_EVERY == 0:
            say(f"{seed + 1 - first} scenarios, {len(failures)} failed")
    return Findings(len(seeds), faults, jobs, lost, resent, time.monotonic() - began, failures)


def span(text: str) -> tuple[int, int]:
    """``A:B``, or one seed. Raises UserError for anything else."""
    first, colon, last = text.partition(":")
    try:
        begin = int(first)
        end = int(last) if colon else begin + 1
    except ValueError as error:
        raise UserError(f"--seeds: {text!r} is neither A:B nor a seed; give 0:100 or 17") from error
    if not 0 <= begin < end:
        raise UserError(f"--seeds: {text} holds no seed; give 0:100 or 17")
    return begin, end


def smaller(failing: Scenario) -> tuple[Fault, ...]:
    """The fewest faults with which a scenario still fails."""
    return fewest(failing.faults, lambda faults: bool(play(failing, faults).broken))


def fewest(faults: Sequence[Fault], fails: Callable[[Sequence[Fault]], bool]) -> tuple[Fault, ...]:
    """Leave out one after the other, as long as it fails without."""
    kept = list(faults)
    at = 0
    while at < len(kept):
        fewer = kept[:at] + kept[at + 1 :]
        if fails(fewer):
            kept = fewer
        else:
            at += 1
    return tuple(kept)


def _one(seed: int) -> tuple[int, Outcome]:
    drawn = scenario(seed)
    return len(drawn.faults), play(drawn)
