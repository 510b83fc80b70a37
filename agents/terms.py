"""What machines are told about their part in a run: how long, how patiently, what is to be done with jobs at risk."""

from collections.abc import Sequence
from typing import NamedTuple

from gmsr.topology.curves import Curve

from .machine import NEVER


class Terms(NamedTuple):
    """How long a dispatcher offers jobs, and what it does when one may be lost. Times in emulated seconds."""

    duration: float
    cooldown: float
    born: float = 0.0  # when this life begins: what arrived earlier met a closed door
    again: bool = False  # at-least-once: a job that may be lost is sent again; otherwise it is lost
    size: float = 1.0  # of its jobs, on average: what a second of travel is worth


class Service(NamedTuple):
    """How a server works and what it tells."""

    curve: Curve
    scale: float
    smoothing: float  # window w in units of N
    reads: Sequence[str]  # quantities of a report
    learns: bool = False  # reports by what its jobs have shown of the curve, not by the curve


class Upkeep(NamedTuple):
    """A server's terms. Times in emulated seconds."""

    heartbeat: float = NEVER
    end: float = NEVER  # from then on a dispatcher that is silent is not waited for
    drop: bool = False  # the jobs of a dispatcher that is gone are thrown out
