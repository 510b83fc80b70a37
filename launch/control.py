"""``control.json``: what a process elsewhere on this machine needs to reach a testbed that is under way."""

import os
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from gmsr.topology.errors import UserError

from . import plan
from .place.base import Place
from .record.folder import read_json, write_json

FILE = "control.json"
RUN_LINK = "run"
"""A file in the folder of sockets that holds the run directory's path: testbeds are found by it."""


class Control(TypedDict):
    """Valid while ``nursery`` lives, in the boot that it says."""

    launcher: int  # process ids
    nursery: int
    sockets: str  # empty: agents run on several hosts, and have no door here
    begin_ns: int  # of the monotonic clock
    pace: float
    duration: float  # emulated seconds
    token: str  # agents of this run know each other by it
    boot: str
    uid: int
    keepers: list[dict[str, Any]]  # hosts where journals are until they are collected


def write_control(run_dir: Path, testbed: Place, begin_ns: int, options: plan.Options, token: str) -> None:
    """The run begins: from now on it can be reached."""
    found: Control = {
        "launcher": os.getpid(),
        "nursery": testbed.nursery,
        "sockets": testbed.sockets,
        "begin_ns": begin_ns,
        "pace": options.pace,
        "duration": options.duration,
        "token": token,
        "boot": boot_id(),
        "uid": os.getuid(),
        "keepers": testbed.keepers(),
    }
    write_json(run_dir / FILE, found)
    (run_dir / FILE).chmod(0o600)
    if testbed.sockets:
        (Path(testbed.sockets) / RUN_LINK).write_text(str(run_dir), encoding="utf-8")


def read_control(run_dir: Path) -> Control:
    """Raises UserError where there is none."""
    try:
        return msgspec.convert(read_json(run_dir / FILE), Control)
    except msgspec.ValidationError as error:
        raise UserError(f"{run_dir / FILE}: {str(error).lower()}; name the directory of a run") from error


def boot_id() -> str:
    """Of this boot: process ids and the monotonic clock mean nothing in another."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
