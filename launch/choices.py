"""What ``--policy`` and ``--feed`` name, resolved to classes that can be constructed before anything starts."""

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from gmsr.agents.feeds import FEEDS
from gmsr.agents.feeds.asking import asking
from gmsr.agents.feeds.correction import extras
from gmsr.agents.gauge import QUANTITIES, SLOPES
from gmsr.agents.policies import POLICIES
from gmsr.agents.sight import RAISED
from gmsr.agents.spec import load
from gmsr.agents.view import View
from gmsr.topology.errors import UserError

DEFAULT_FEED = "every-change"
REHEARSED = 8
"""Servers before which a policy is tried."""
CORRECT = "correct"
"""The option of every feed that turns local correction on."""


class Told(NamedTuple):
    """A resolved feed."""

    name: str  # as the user wrote it
    target: str  # module:Class
    options: dict[str, str]  # of the servers' half
    asking: dict[str, str] | None  # of the dispatchers' half, where they ask
    corrected: bool
    extras: tuple[str, ...]  # quantities that reports carry for local correction


class Choice(NamedTuple):
    """A resolved policy, and how its dispatchers are told what it reads."""

    name: str  # as the user wrote it
    target: str  # module:Class
    options: dict[str, str]
    reads: tuple[str, ...]
    feed: Told

    @property
    def informed(self) -> bool:
        """Whether the launcher tells it what only a central planner knows."""
        return self.target == POLICIES["oracle"]

    @property
    def carries(self) -> list[str]:
        """What a report holds, in order; nothing where there are no reports."""
        if not self.reads:
            return []
        return ["time", *self.reads, *self.feed.extras, *(["seen"] if self.feed.corrected else [])]


def choose(policy: str, feed: str = "") -> Choice:
    """Resolve ``NAME`` or ``module:Class``, each with ``:key=value,…``, to a policy that can be constructed.

    ``feed``: NAME with ``:key=value,…``; empty: the one that the policy is published with, else the default. Raises
    UserError where there is none, it does not take these options, or does not carry what the policy reads.
    """
    target, given, reads = _resolved(policy)
    return Choice(
        policy, target, given, reads, told(feed or getattr(load(target), "feed", DEFAULT_FEED), policy, reads)
    )


def succeed(policy: str, carried: Sequence[str]) -> None:
    """Raise UserError where dispatchers cannot be given this policy in mid-run; ``carried``: what reports tell."""
    target, _, reads = _resolved(policy)
    if target == POLICIES["oracle"]:
        raise UserError("--policy: oracle is told the best split before a run; begin with it")
    if more := [quantity for quantity in reads if quantity not in carried]:
        raise UserError(
            f"--policy: {policy} reads {', '.join(more)}, and this run's reports carry "
            f"{', '.join(carried) or 'nothing'}; begin a run with a policy that reads both"
        )


def named(policy: str) -> tuple[str, dict[str, str]]:
    """Of ``NAME`` or ``module:Class`` with ``:key=value,…``: module:Class, and options. Raises UserError."""
    names, given = _parsed("--policy", policy, "NAME or module:Class")
    return ":".join(names) if len(names) == 2 else _registered(names[0]), given


def own(policy: str) -> bool:
    """Whether that is module:Class, of the user's, and no name. Raises UserError."""
    return policy.startswith(named(policy)[0])


def successors(carried: Sequence[str]) -> list[str]:
    """Names of policies that dispatchers can be given in mid-run."""
    found = []
    for name in _names():
        with suppress(UserError):
            succeed(name, carried)
            found.append(name)
    return found


def _resolved(policy: str) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """module:Class, options and what it reads, of a policy that has chosen once."""
    target, given = named(policy)
    rule = _load(policy, target)
    reads = getattr(rule, "reads", None)
    if not isinstance(reads, tuple) or not callable(getattr(rule, "choose", None)):
        raise UserError(
            f"--policy: {target} has no tuple 'reads' or no method 'choose'; see agents/README.md"
        )
    for quantity in reads:
        if quantity not in (*QUANTITIES, *SLOPES):
            known = ", ".join([*QUANTITIES, *SLOPES])
            raise UserError(
                f"--policy: {target} reads {quantity!r}, which no server tells; choose among {known}"
            )
    if set(SLOPES) & set(reads) and reads[-2:] != SLOPES:
        raise UserError(
            f"--policy: {target} must read {' and '.join(SLOPES)} together, in this order and last"
        )
    _rehearse(policy, rule, reads, given)
    return target, given, reads


def told(text: str, policy: str, reads: tuple[str, ...]) -> Told:
    """Resolve ``NAME`` with ``:key=value,…`` to a feed that can be constructed and carries what is read."""
    name, given, correct = known(text)
    rule = load(FEEDS[name])
    if reads and not rule.reports:
        raise UserError(
            f"--feed: {policy} reads {', '.join(reads)}, and {name} carries nothing; choose another"
        )
    if rule.wants not in (None, reads):
        raise UserError(
            f"--feed: tokens tell who is idle, and {policy} reads {', '.join(reads) or 'nothing'}"
        )
    corrected = correct and bool(reads)
    try:
        more = extras(reads) if corrected else ()
    except ValueError as error:
        raise UserError(f"--feed: {text}: {error}") from error
    asked = given if rule.asks and reads else None
    return Told(text, FEEDS[name], {} if rule.asks else given, asked, corrected, more)


def known(text: str) -> tuple[str, dict[str, str], bool]:
    """The name, the options and whether to correct of a feed that can be constructed, whatever the policy reads."""
    named, given = _parsed("--feed", text, "NAME")
    name = ":".join(named)
    if name not in FEEDS:
        raise UserError(f"--feed: {name!r} is unknown; {_instead(name, FEEDS)}")
    rule = load(FEEDS[name])
    correct = given.pop(CORRECT, "no")
    if correct not in ("yes", "no"):
        raise UserError(f"--feed: {text}: {CORRECT}={correct} is neither yes nor no; choose one")
    try:
        if rule.asks:
            asking(Random(1), 2, 1.0, given)
        else:
            rule((), False, Random(1), **given)
    except (TypeError, ValueError) as error:
        raise UserError(f"--feed: {text}: {error}") from error
    return name, given, correct == "yes"


def failed(dispatcher: str, trace: str) -> str:
    """How a run ends whose policy raised: a line, then the policy's own traceback."""
    return f"dispatcher {dispatcher}: its policy failed, and the run was ended\n{trace.strip()}\n"


def _rehearse(policy: str, rule: Callable[..., Any], reads: tuple[str, ...], given: dict[str, str]) -> None:
    """Let it choose once, before a few servers that have reported. Raises UserError if it cannot."""
    view = View([f"s{number}" for number in range(REHEARSED)], reads, [1.0] * REHEARSED)
    for number in range(REHEARSED):
        view.reported(number, [1.0 + number] * len(reads))
    stage = ""
    try:
        made = rule(view, Random(1), **given)
        stage = "choose(): "
        place = made.choose()
    except RAISED as error:  # whatever the user's class raises
        kind = "" if not stage and isinstance(error, TypeError | ValueError) else f"{type(error).__name__}: "
        raise UserError(f"--policy: {policy}: {stage}{kind}{error}") from error
    if not (hasattr(place, "__index__") and 0 <= place < REHEARSED):
        raise UserError(f"--policy: {policy}: choose() gave {place!r}, and there are {REHEARSED} servers")


def _parsed(option: str, text: str, form: str) -> tuple[list[str], dict[str, str]]:
    """The parts of ``a:b:key=value,…`` before its options, and these."""
    parts = text.split(":")
    named = [*parts[:-1], *(parts[-1:] if "=" not in parts[-1] else [])]
    tail = parts[-1].split(",") if len(named) < len(parts) else []
    given = dict(piece.split("=", 1) for piece in tail if "=" in piece)
    names_are_names = all(part and "=" not in part for part in named) and len(named) in (1, 2)
    if not names_are_names or len(given) < len(tail) or "" in given:
        raise UserError(f"{option}: {text!r} is not {form}, then :key=value,key=value; mend it")
    return named, given


def _registered(name: str) -> str:
    if name in POLICIES:
        return POLICIES[name]
    known = _names()
    if name in known:
        return known[name]
    raise UserError(f"--policy: {name!r} is unknown; {_instead(name, known)}, or module:Class")


def _names() -> dict[str, str]:
    """All names, ours and of installed packages, and their module:Class."""
    installed = sorted((point.name, point.value) for point in entry_points(group="gmsr.policies"))
    return {**dict(installed), **POLICIES}


def _instead(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), 1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}choose one of {', '.join(known)}"


def _load(text: str, target: str) -> Callable[..., Any]:
    """The class, looked for in the current folder too, last, where it can hide nobody else's module."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        found: Callable[..., Any] = load(target)
    except RAISED as error:  # whatever the user's module raises
        raise UserError(f"--policy: {text}: {type(error).__name__}: {error}") from error
    return found
