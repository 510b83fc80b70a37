"""What a page's buttons do to a run: the faults of ``gmsr inject``."""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from gmsr.topology.errors import UserError

from ..choices import own
from ..faults.hand import ByHand, checked
from ..operate import Testbed

KINDS = ("crash", "freeze", "slow", "surge", "policy", "cut", "delay", "loss", "duplicate")
"""Those of ``gmsr inject``. Of policies only those that have a name: no page says which code is loaded."""


class Hands:
    """Of one watcher. A fault that was to last for a while ends with the watcher at the latest."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []

    def inject(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Begin a fault: as a file would say it, without ``at``. Raises UserError where it cannot be."""
        if entry.get("kind") not in KINDS:
            raise UserError(f"kind: {entry.get('kind')!r} is none; choose one of {', '.join(KINDS)}")
        entry = checked({name: value for name, value in entry.items() if value is not None})
        if entry["kind"] == "policy" and own(entry["policy"]):
            raise UserError("policy: a page gives policies by name; gmsr inject takes module:Class too")
        testbed = Testbed(self._run_dir)
        try:
            hand = ByHand(testbed, entry)
        except BaseException:
            testbed.close()
            raise
        fault = hand.fault
        if {"for", "restart"} & entry.keys():
            thread = threading.Thread(target=self._end, args=(hand, testbed), daemon=True)
            self._threads.append(thread)
            thread.start()
        else:
            testbed.close()
        return {"number": hand.number, "what": fault.describe(), "at": fault.at}

    def close(self) -> None:
        """End what lasts."""
        self._closed.set()
        for thread in self._threads:
            thread.join()

    def _end(self, hand: ByHand, testbed: Testbed) -> None:
        with suppress(UserError):  # the run ended first, and the fault with it
            hand.wait(self._closed.is_set)
            hand.end()
        testbed.close()
