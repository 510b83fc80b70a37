"""A fault by hand: it begins now, lasts as long as its process does or as was said, and then all is as before."""

import re
import signal
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import psutil

from gmsr.topology.errors import UserError
from gmsr.topology.explain import Refused, convert
from gmsr.topology.faults import DOWN, HARMLESS, Fault, make, problems
from gmsr.topology.format import FaultsFile

from ..choices import own, succeed
from ..operate import Testbed
from ..record.folder import Folder, Happening, tell
from .diary import begin_by_hand, in_force, line
from .live import perform
from .steps import actions

LOOK_REAL_S = 0.1


def checked(plain: dict[str, Any]) -> dict[str, Any]:
    """The same entry, if a file might hold it. Raises UserError with the option that is wrong."""
    try:
        convert({"faults": [{**plain, "at": 0.0}]}, FaultsFile)
    except Refused as error:
        raise UserError(re.sub(r"faults\[0\]\S*\.", "--", str(error))) from error
    return plain


class ByHand:
    """One fault on a testbed."""

    def __init__(self, testbed: Testbed, plain: dict[str, Any]) -> None:
        """``plain``: as a file would say it, without ``at``. Raises UserError, and does nothing, where it cannot be."""
        self._testbed = testbed
        folder = testbed.folder()
        self._edges = folder.topology.edges
        self.fault = _possible(testbed, folder, plain)
        self._launched = testbed.launched
        self.number = begin_by_hand(testbed.run_dir, self.fault, len(folder.topology.faults))
        self._act(begin=True)

    def wait(self, called_off: Callable[[], bool] = lambda: False) -> None:
        """Until it is to end, or is called off. Raises UserError if the run ends before."""
        real_until = time.monotonic() + (self.fault.until - self._testbed.now) / self._testbed.control["pace"]
        while (left := real_until - time.monotonic()) > 0.0 and not called_off():
            self._testbed.agents()
            time.sleep(min(left, LOOK_REAL_S))

    def end(self) -> None:
        """Mend it, unless somebody has."""
        if all(each.number != self.number for each in in_force(self._testbed.run_dir, self._edges)):
            return
        now = self._testbed.now
        tell(self._testbed.run_dir, line(self.fault, False, now, self.number, "hand"))
        self._act(begin=False)

    def _act(self, begin: bool) -> None:
        lasting = [each.fault for each in in_force(self._testbed.run_dir, self._edges)]
        for action in actions(self.fault, begin):
            perform(self._testbed, action, lasting)
            if action.do in ("kill", "restart") and not self._launched:
                self._testify(action.agent, begin)

    def _testify(self, agent: str, died: bool) -> None:
        """What the launcher would have told, were it there."""
        life = next(each.life for each in self._testbed.agents() if each.id == agent)
        told = Happening(
            t=self._testbed.now,
            event="died" if died else "started",
            agents=[agent],
            life=life,
            by="fault" if died else "hand",
            why=signal.SIGKILL.name if died else "",
        )
        tell(self._testbed.run_dir, told)


def _possible(testbed: Testbed, folder: Folder, plain: dict[str, Any]) -> Fault:
    topology = folder.topology
    fault = make({**plain, "at": testbed.require_time()}, topology.edges)
    if fault.kind == "policy":
        _loadable(testbed, fault.policy)
        succeed(fault.policy, folder.plan["reads"])
    there = [each.fault for each in in_force(testbed.run_dir, topology.edges)]
    for problem in problems([*there, fault], topology, inf):
        raise UserError(re.sub(r"faults\[\d+\]: ", "", problem))
    running = {each.id for each in testbed.agents() if each.state != "dead"}
    for name in fault.agents if fault.kind in (*DOWN, *HARMLESS) else ():
        if name not in running:
            raise UserError(f"{name} is not running; name an agent that lives (gmsr ps tells)")
    return fault


def _loadable(testbed: Testbed, policy: str) -> None:
    """Agents look for a class of the user's where the run was started. Raises UserError where we look elsewhere."""
    home = Path(psutil.Process(testbed.control["nursery"]).cwd())
    if own(policy) and home != Path.cwd():
        raise UserError(f"--policy: agents look for {policy} in {home}; call gmsr from there")
