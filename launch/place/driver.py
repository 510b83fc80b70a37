"""The one process that speaks to Ray: it tells of the cluster's nodes, and has a supervisor put an outpost on some.

``python -m gmsr.launch.place.driver ADDRESS``, over stdin and stdout as the nursery. Ray brings threads and handlers of
signals, and ends the process that it is in when its head is gone; so it is in none but this, which a run can spare
once its agents are placed.

Questions: ``{"do": "nodes"}`` (those that live); ``{"do": "place", "nodes", "resources", "words"}`` (nodes: id and
address of each; told by id: what an outpost there says of itself, or ``error``). Supervisors hold their resources
until stdin ends.
"""

import os
import signal
import sys
from typing import Any

import ray
from msgpack import Packer, Unpacker
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

PLACE_REAL_S = 30.0
END_REAL_S = 10
RESERVED = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}

Message = dict[str, Any]


class Supervisor:
    """On a node. It travels there as it is, so that a node without gmsr can say so."""

    def place(self, words: list[str]) -> tuple[str, str]:
        """Start an outpost; what it says of itself, and of what went wrong."""
        import subprocess
        import sys

        command = [sys.executable, "-P", "-m", "gmsr.launch.place.outpost", *words]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        return done.stdout, done.stderr


class Driver:
    """Joined to the cluster. Raises whatever Ray does where it cannot be."""

    def __init__(self, address: str) -> None:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        self._supervisors: list[Any] = []

    def obey(self, command: Message) -> Message:
        """Answer a question."""
        if command["do"] == "nodes":
            return {"nodes": [_told(node) for node in ray.nodes() if node["Alive"]]}
        return {"placed": self._place(command["nodes"], command["resources"], command["words"])}

    def _place(self, nodes: dict[str, str], resources: dict[str, float], words: list[str]) -> Message:
        reserved = {RESERVED[name]: amount for name, amount in resources.items() if name in RESERVED}
        others = {name: amount for name, amount in resources.items() if name not in RESERVED}
        waiting = {}
        for node, address in nodes.items():  # all at once
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            options = {"num_cpus": 0, **reserved, "resources": others, "scheduling_strategy": there}
            self._supervisors.append(ray.remote(Supervisor).options(**options).remote())
            waiting[node] = self._supervisors[-1].place.remote([address, *words])
        ray.wait(list(waiting.values()), num_returns=len(waiting), timeout=PLACE_REAL_S)
        return {node: _answer(promise) for node, promise in waiting.items()}


def _told(node: Message) -> Message:
    return {
        "id": node["NodeID"],
        "name": node["NodeName"],
        "address": node["NodeManagerAddress"],
        "resources": node["Resources"],
        "labels": node["Labels"],
    }


def _answer(promise: Any) -> Message:
    try:
        said, wrong = ray.get(promise, timeout=0.0)
    except GetTimeoutError:
        return {"error": "Ray starts no supervisor there; see that what it is to hold is free (ray status)"}
    except RayError as error:
        return {"error": _line(error)}
    return {"said": said} if said else {"error": "", "words": wrong}


def _line(error: Exception) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def main(address: str) -> None:
    """Serve until stdin ends. Whatever Ray prints goes to our standard error."""
    answers = os.dup(1)
    os.dup2(2, 1)
    pack, unpacker, driver = Packer().pack, Unpacker(), None
    while data := os.read(0, 1 << 16):
        unpacker.feed(data)
        for command in unpacker:
            if "ask" not in command:
                continue  # to quit: stdin ends next
            try:
                driver = driver or Driver(address)
                answer = driver.obey(command)
            except Exception as error:  # whoever asks is told
                answer = {"error": _line(error), "kind": type(error).__name__}
            os.write(answers, pack({"event": "answered", "ask": command["ask"], **answer}))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(END_REAL_S)  # a cluster that is gone says no goodbye
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
