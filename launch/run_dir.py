"""A run directory is made: what is written before anything is started."""

import os
import platform
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gmsr.topology.errors import RunError, UserError
from gmsr.topology.graph import Topology

from . import plan
from .choices import Choice
from .record.folder import write_json


def fresh_name(topology: Topology, what: str) -> str:
    """A name for a new run directory."""
    return file_name(f"{topology.name}-{what}-{datetime.now(UTC).strftime('%Y%m%d-%H%M%S-%f')[:-3]}")


def file_name(text: str) -> str:
    """Any text as the name of a file."""
    return re.sub(r"[^A-Za-z0-9._=,+-]+", "-", text).lstrip(".-") or "run"


def make_folder(topology: Topology, options: plan.Options, out: Path | None) -> Path:
    """The run directory with its topology, as it is run. Raises UserError if it exists, or cannot be made."""
    run_dir = out or Path("runs") / fresh_name(topology, options.policy)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        if any(run_dir.iterdir()):
            raise FileExistsError
        for folder in ("inputs", "agents"):
            (run_dir / folder).mkdir()
    except FileExistsError as error:
        raise UserError(f"--out: {run_dir} exists; name a new folder, nothing is overwritten") from error
    except OSError as error:
        raise UserError(f"--out: {run_dir}: {error.strerror}; name a folder that can be made") from error
    played = topology.run._replace(
        policy=options.policy, duration=options.duration, warmup=options.warmup, seed=options.seed
    )
    write_json(run_dir / "topology.json", topology._replace(scale=options.scale, run=played).to_dict())
    return run_dir.resolve()


def write_plan(
    run_dir: Path, options: plan.Options, policy: Choice, specs: list[Any], inputs: plan.Inputs
) -> None:
    """What was chosen, who takes part, and with which versions."""
    write_json(
        run_dir / "plan.json",
        {
            **options._asdict(),
            "cooldown": options.cooldown,
            "policy_class": policy.target,
            "feed": policy.feed.name,
            "reads": policy.reads,
            "carries": policy.carries,
            "mean_size": inputs.mean_size,
            "agents": [
                {
                    "id": spec["id"],
                    "role": spec["role"],
                    "peers": spec.get("servers") or spec.get("dispatchers") or [],
                }
                for spec in specs
            ],
            "command": sys.argv,
            "started": datetime.now(UTC).isoformat(),
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("gmsr", "pyzmq", "msgpack", "numpy", "psutil")},
            },
        },
    )


def broken(failure: str, run_dir: Path) -> RunError:
    """What a run that failed ends with; the traceback of a policy stays behind the first line."""
    why, *trace = failure.split("\n", 1)
    return RunError("\n".join([f"{why}; what there is stands in {run_dir}", *trace]))


def write_launch(
    run_dir: Path,
    system: str,
    *,
    failure: str,
    ended_at: float,
    interrupted: bool = False,
    cpu: Mapping[str, float] | None = None,
    ready_real_s: float = 0.0,
    hosts: Mapping[str, Any] | None = None,
    collected_real_s: float = 0.0,
) -> None:
    """How it went, when all agents have ended. ``system``: where they ran; ``hosts``: which, if elsewhere."""
    write_json(
        run_dir / "launch.json",
        {
            "interrupted": interrupted,
            "failure": failure,
            "ended_at": ended_at,
            "cpu": cpu or {},
            "ready_real_s": ready_real_s,
            "machine": {"cores": os.cpu_count(), "system": system},
            "hosts": hosts or {},
            "collected_real_s": collected_real_s,
        },
    )
