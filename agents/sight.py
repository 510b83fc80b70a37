"""What a dispatcher sees of its servers, and how it chooses by it: view, policy, local correction, ages of views.

The policy is made anew whenever the candidates have changed, unless it has a method ``changed``: then it is told so.
Another takes its place when the operator wants that.
Where the dispatcher asks (``feeds.asking``) the candidates are those who have answered, others for each job.

A policy may be anybody's code. What it raises is kept as ``failure``, its own frames alone, and it is asked no more;
the dispatcher then ends the run in order. What we raise ourselves is no policy's, and passes through.
"""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from .ages import Ages
from .feeds.correction import Correction
from .policies.base import Policy
from .view import View

NO_POLICY = -1
"""Chosen instead of a server where the policy has failed."""
RAISED = (Exception, SystemExit)
"""What a policy may raise without ending more than itself."""

Make = Callable[[View], Policy]
Find = Callable[[str, Mapping[str, str]], tuple[Make, str]]
"""From module:Class and options to what makes such a policy, and the file that the class stands in."""


class Sight:
    """One dispatcher's. Servers go by their numbers. ``extra``: a report has so many values beside the policy's and
    its time; ``corrected``: it allows for local correction; ``asks``: each job has candidates of its own; ``home``: the
    file of the policy's class; ``find``: other policies.
    """

    __slots__ = (
        "_age", "_correction", "_find", "_home", "_learn", "_make", "_policy", "_sample", "_touch", "ages", "asks",
        "failure", "view", "width",
    )  # fmt: skip

    def __init__(
        self,
        view: View,
        make: Make,
        extra: int = 0,
        corrected: bool = False,
        asks: bool = False,
        home: str = "",
        find: Find | None = None,
    ) -> None:
        self.view = view
        self.asks = asks
        self.ages = Ages()
        self.width = 2 + len(view.reads) + extra
        """Of a report: kind, time, values."""
        self.failure = ""
        self._home = home
        self._find = find
        self._make = make
        self._policy: Any = None
        self._learn: Callable[[int, float], None] | None = None
        self._touch: Callable[[int], None] | None = None
        self._correction = Correction(view) if corrected else None
        self._age = bool(view.reads)
        self._sample = View((), view.reads, ())

    def choose(self, now: float) -> int:
        """The server for the job at hand; there must be a candidate."""
        view = self.view
        view.now = now
        try:
            place: int = (self._policy or self._engage()).choose()
        except RAISED as error:
            return self._fail(error)
        if not (hasattr(place, "__index__") and 0 <= place < len(view.numbers)):
            return self._reject(place, view)
        if self._age:
            self.ages.add(now - view.times[place])
        return view.numbers[place]

    def choose_among(self, answers: Sequence[int], now: float) -> tuple[int, int]:
        """The server for the job at hand among those that have answered, and the worst of them (-1: nobody says)."""
        sample = self._sample
        sample.deal(self.view, answers)
        sample.now = now
        try:
            changed = getattr(self._policy, "changed", None)
            if changed:
                changed()
            else:
                self._policy = self._make(sample)
            place = self._policy.choose()
            worst = self._policy.worst() if hasattr(self._policy, "worst") else -1
        except RAISED as error:
            return self._fail(error), -1
        if not (hasattr(place, "__index__") and 0 <= place < len(sample.numbers)):
            return self._reject(place, sample), -1
        self.ages.add(now - sample.times[place])
        return sample.numbers[place], sample.numbers[worst] if worst >= 0 else -1

    def sent(self, server: int, job: int) -> None:
        """A job goes there."""
        self.view.add(server, 1)
        self.view.sent[server] += 1
        if self._correction:
            self._correction.sent(server, job)

    def completed(self, server: int, job: int, latency: float, now: float) -> None:
        """One has come back, so many emulated seconds after it was sent."""
        view = self.view
        view.add(server, -1)
        if self._correction:
            self._correction.completed(server, job)
        if self._learn and (place := view.place[server]) >= 0:
            view.now = now
            try:
                self._learn(place, latency)
            except RAISED as error:
                self._fail(error)

    def stray(self, server: int, job: int) -> None:
        """One that we had given up has left all the same."""
        if self._correction:
            self._correction.completed(server, job)

    def given_up(self, server: int, job: int, left: bool = True) -> None:
        """One is lost, or goes elsewhere; ``left``: it had been sent."""
        self.view.add(server, -1)
        if self._correction:
            self._correction.given_up(server, job, left)

    def reported(self, server: int, report: Sequence[float]) -> None:
        """A report came: its kind, its time, its values."""
        if self._correction:
            self._correction.reported(server, report[2:-1], report[1], report[-1])
        else:
            self.view.reported(server, report[2:], report[1])

    def born(self, server: int) -> None:
        """A server was started anew."""
        if self._correction:
            self._correction.born(server)

    def follow(self, target: str, options: Mapping[str, str]) -> None:
        """Another policy chooses from now on; it reads of the reports what it knows."""
        if self._find is None or self.failure:
            return
        self._dismiss()
        try:
            self._make, self._home = self._find(target, options)
        except RAISED as error:
            self._end(error, error.__traceback__)

    def enter(self, server: int) -> None:
        """It can be chosen again."""
        self.view.enter(server)
        self._change()

    def leave(self, server: int) -> None:
        """It can not."""
        self.view.leave(server)
        self._change()

    def _change(self) -> None:
        if self.asks or self.failure:
            return  # it is told with each job, or no more
        changed = getattr(self._policy, "changed", None)
        if not changed or not self.view.numbers:
            self._dismiss()
            return
        try:
            changed()
        except RAISED as error:
            self._fail(error)

    def _engage(self) -> Any:
        self._policy = self._make(self.view)
        self._learn = getattr(self._policy, "completed", None)
        self._touch = getattr(self._policy, "touched", None)
        self.view.touched = self._touched if self._touch else None
        return self._policy

    def _dismiss(self) -> None:
        self._policy = self._learn = self._touch = self.view.touched = None

    def _touched(self, place: int) -> None:
        assert self._touch is not None
        try:
            self._touch(place)
        except RAISED as error:
            self._fail(error)

    def _reject(self, place: object, view: View) -> int:
        self.failure = self.failure or f"choose() gave {place!r}, and there are {len(view.numbers)} servers\n"
        self._dismiss()
        return NO_POLICY

    def _fail(self, error: BaseException) -> int:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != self._home:
            trace = trace.tb_next
        if trace is None:
            raise error
        return self._end(error, trace)

    def _end(self, error: BaseException, trace: TracebackType | None) -> int:
        from traceback import format_exception  # what agents do not need as a rule is not loaded

        self.failure = self.failure or "".join(format_exception(type(error), error, trace))
        self._dismiss()
        return NO_POLICY
