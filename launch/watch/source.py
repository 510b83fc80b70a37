"""Where a page gets what it shows: a run under way, from telemetry, or a finished one, from its journals.

Both give frames by number, so that a page asks for those that it has not got. Everything is plain data for JSON.
"""

import threading
import time
from math import inf
from pathlib import Path
from typing import Any, Protocol

from gmsr.agents.gauge import marginal
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology

from ..choices import successors
from ..operate import Testbed
from ..record.load import MISFIT, Run
from ..show.alone import most_of
from ..show.graph import heights
from ..show.parts import rounded
from . import replay
from .meter import Frame
from .scene import Aim, Scene, politely

LOOK_REAL_S = 0.25
"""How often telemetry is asked for."""
FRAME_REAL_S = 1.0
MOST_FRAMES = 600
"""Of a longer run every other old frame is forgotten, again and again."""
MARGINALS = 2.0
"""Colours end at so many times the optimum's largest marginal rate."""
QUIET_REAL_S = 120.0
"""A page is told to wait so long for a run to begin."""

Plain = dict[str, Any]


class Source(Protocol):
    """What a page shows."""

    def about(self) -> Plain:
        """What does not change, or seldom: the graph, the plan, what the charts need to be drawn."""

    def news(self, after: int) -> Plain:
        """Frames behind that number, what was optimal when, and what befell the run."""

    def close(self) -> None:
        """End whatever works for it."""


class Replay:
    """A finished run. What cannot be shown is told in ``problems``."""

    def __init__(self, run: Run) -> None:
        self._run = run
        try:
            self._frames = [plain(frame, number) for number, frame in enumerate(replay.frames(run), 1)]
        except MISFIT as error:
            if not run.odd:
                raise
            self._frames = []
            run.problems.append(f"not shown over time: {error!r}")

    def about(self) -> Plain:
        """As it was run."""
        run = self._run
        problems = [*run.problems, *([] if self._frames else ["there is nothing over time to play back"])]
        graph = drawn(run.topology, float(run.plan.get("scale", 1.0))) if run.topology else NOTHING
        marginals = (
            each[2] for frame in self._frames for each in frame["servers"].values() if each[2] is not None
        )
        return {
            "mode": "replay",
            "problems": problems,
            **graph,
            "most": most_of(marginals),
            **planned(run.plan),
        }

    def news(self, after: int) -> Plain:
        """All at once, however long it is."""
        aims, faults = replay.aims(self._run), replay.faults(self._run)
        frames = self._frames[after:]
        return {"mode": "replay", "frames": frames, "aims": [*map(list, aims)], "faults": told(faults)}

    def close(self) -> None:
        """Nothing works for it."""


class Live:
    """A run under way, or about to be; when it has ended, ``news`` says so. Closing it changes nothing for the run."""

    def __init__(self, run_dir: Path, aims: tuple[Aim, ...] = ()) -> None:
        self._run_dir = run_dir
        self._aims = aims
        self._scene: Scene | None = None
        self._frames: list[Plain] = []
        self._number = 0
        self._over = False
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self._over

    def about(self) -> Plain:
        """As it is now: who joins is in it afterwards."""
        scene = self._scene
        if scene is None:
            return {"mode": "starting"}
        plan: Plain = dict(scene.folder.plan)
        graph = drawn(scene.folder.topology, scene.folder.plan["scale"])
        best = next((each.marginal for each in scene.aims if each.marginal), None)
        if best:
            graph["most"] = MARGINALS * best
        policies = successors(plan["reads"])
        return {"mode": "live", "problems": [], **graph, **planned(plan), "policies": policies}

    def news(self, after: int) -> Plain:
        """What has come since."""
        scene = self._scene
        if scene is None:
            return {"mode": "over" if self._over else "starting", "frames": [], "aims": [], "faults": []}
        with self._lock:
            frames = [frame for frame in self._frames if frame["number"] > after]
        mode = "over" if self._over else "live"
        aims = [*map(list, sorted(scene.aims))]
        agents = len(scene.folder.agents)
        return {"mode": mode, "frames": frames, "aims": aims, "faults": told(scene.faults), "agents": agents}

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        politely()
        testbed = self._found()
        if testbed is None:
            self._over = True
            return
        try:
            self._follow(testbed)
        except (UserError, OSError):  # it has ended
            pass
        finally:
            self._over = True
            testbed.close()
            if self._scene:
                self._scene.close()

    def _found(self) -> Testbed | None:
        """The testbed, once it has begun; None if that takes too long, or nobody waits for it any more."""
        deadline = time.monotonic() + QUIET_REAL_S
        while not self._closed.wait(LOOK_REAL_S) and time.monotonic() < deadline:
            try:
                return Testbed(self._run_dir)
            except (UserError, OSError):
                continue
        return None

    def _follow(self, testbed: Testbed) -> None:
        scene = self._scene = Scene(testbed.run_dir, self._aims)
        last, due = 0, time.monotonic()
        while not self._closed.wait(LOOK_REAL_S):
            statuses, last = testbed.statuses(last)
            for status in statuses:
                scene.meter.heard(status)
            now = testbed.now
            scene.look(now)
            if time.monotonic() >= due and 0.0 <= now <= testbed.control["duration"]:
                due = time.monotonic() + FRAME_REAL_S
                self._keep(scene.meter.frame(now))

    def _keep(self, frame: Frame) -> None:
        self._number += 1
        with self._lock:
            if self._frames:
                self._frames[-1] = {**self._frames[-1], "flows": {}, "dispatchers": {}}
            self._frames.append(plain(frame, self._number))
            if len(self._frames) > MOST_FRAMES:
                self._frames = [*self._frames[: -MOST_FRAMES // 2 : 2], *self._frames[-MOST_FRAMES // 2 :]]


NOTHING: Plain = {"name": "", "dispatchers": [], "servers": [], "edges": [], "widest": 1.0, "most": 1.0}


def drawn(topology: Topology, scale: float) -> Plain:
    """The graph as it is drawn: who stands how high, who may send to whom, and where widths and colours end."""
    left, right = heights(topology)
    degree: dict[str, int] = {}
    for edge in topology.edges:
        degree[edge.dispatcher] = degree.get(edge.dispatcher, 0) + 1
    widest = max(each.rate * scale / min(degree.get(each.id, 1), 2) for each in topology.dispatchers)
    empty = [marginal(each.curve, scale, each.width, 0) for each in topology.servers]
    return {
        "name": topology.name,
        "dispatchers": [[name, *rounded([height])] for name, height in left.items()],
        "servers": [[name, *rounded([height])] for name, height in right.items()],
        "edges": [[edge.dispatcher, edge.server] for edge in topology.edges],
        "widest": widest or 1.0,
        "most": max((value for value in empty if value < inf), default=1.0),
    }


def planned(plan: Plain) -> Plain:
    """What was chosen for the run, and which messages there may be then."""
    known = ("policy", "feed", "seed", "scale", "pace", "duration", "warmup")
    kinds = ["job", "completion", *(["report"] if plan.get("reads") else []), "ping", "pong"]
    kinds += ["probe"] if str(plan.get("feed", "")).startswith("probe") else []
    return {"plan": {name: plan[name] for name in known if name in plan}, "kinds": kinds}


def plain(frame: Frame, number: int) -> Plain:
    """A frame with its number, and few digits."""
    return {"number": number, **{name: _short(value) for name, value in frame._asdict().items()}}


def told(faults: list[Any]) -> list[Plain]:
    """Faults with when they began and ended; None: not yet."""
    return [
        {"what": each.fault.describe(), "kind": each.fault.kind, "begin": each.at,
         "end": None if each.until == inf else each.until}
        for each in faults
    ]  # fmt: skip


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    if isinstance(value, list):
        return rounded(value)
    return rounded([value])[0]
