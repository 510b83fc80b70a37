"""What a run on several hosts leaves in its directory."""

import json
import time
from pathlib import Path
from typing import Any

from .namespaces import PATIENCE_S


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
