"""Tiny agents for the nursery's tests: what a child is, and what reaches it, without a testbed around it."""

import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from msgpack import packb, unpackb


def echo(spec: dict[str, Any]) -> None:
    """Say that it is there, then repeat what it is told, until that is ``stop``; leave a mark at the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(spec["control"])
        channel.sendto(packb({"id": spec["id"], "say": spec.get("orders", "ready")}), spec["telemetry"])
        while (told := unpackb(channel.recv(4096))) != {"tell": "stop"}:
            channel.sendto(packb({"id": spec["id"], "say": told}), spec["telemetry"])
    Path(spec["statement"]).write_text("finished")


def crash(spec: dict[str, Any]) -> None:
    """Fail as an agent with a defect does."""
    raise LookupError(f"no sense in {spec['id']}")


def describe(spec: dict[str, Any]) -> None:
    """Write down what a child has: descriptors, modules, the ways it takes signals, its session."""
    Path(spec["statement"]).write_text(
        json.dumps(
            {
                "descriptors": {number: _target(number) for number in os.listdir("/proc/self/fd")},  # noqa: PTH208
                "modules": sorted(sys.modules),
                "interrupt_ignored": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
                "terminate_default": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
                "session": os.getsid(0),
            }
        )
    )


def _target(number: str) -> str:
    try:
        return str(Path(f"/proc/self/fd/{number}").readlink())
    except FileNotFoundError:
        return ""  # the one that the listing itself had open
