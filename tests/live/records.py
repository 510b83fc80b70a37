"""What a run on several hosts leaves in its directory, also when one was cut off."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from .namespaces import PATIENCE_S, Net


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def wait_for(file: Path) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} does not come"
        time.sleep(0.05)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def balanced(found: dict[str, Any]) -> None:
    jobs = found["jobs"]
    assert found["valid"], found["warnings"]
    assert jobs["offered"] == jobs["completed"] + jobs["in_flight"] + sum(jobs["lost"].values())


def cut_off_and_healed(net: Net, name: str, process: "subprocess.Popen[str]", out: Path) -> None:
    """A host is unreachable for four seconds of a run: that is noticed, costs jobs, and the account is whole."""
    wait_for(out / "control.json")
    time.sleep(3.0)  # some load first; no verdict hangs on it
    net.cut(name)  # from the launcher too
    time.sleep(4.0)
    net.heal(name)
    _, err = process.communicate(timeout=300.0)
    assert process.returncode == 0, err
    found = summary(out)
    balanced(found)
    assert sum(found["jobs"]["lost"].values()) > 0, "it was noticed, and cost jobs"
    assert not any(host["uncollected"] for host in found["hosts"].values())
