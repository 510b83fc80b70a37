"""A Ray cluster in network namespaces: its head where the launcher is, and a node on each host."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from .namespaces import PATIENCE_S, Net, ip

PORT = 6379
PORTS = [
    f"--{name}-port={number}"
    for number, name in enumerate(
        ("dashboard-agent-listen", "dashboard-agent-grpc", "metrics-export", "runtime-env-agent"), 7001
    )
]
"""Named, since a node waits but 15 s for those that its helpers choose, and then crashes."""
STORE_BYTES = 78_643_200  # the least that Ray takes


class Cluster:
    """Close it. ``spoiled``: hosts whose Ray has no gmsr, or another one, by the folder that it finds first."""

    def __init__(self, net: Net, spoiled: dict[str, Path]) -> None:
        self.net = net
        self.folder = net.folder / "ray"
        self.folder.mkdir()
        self.address = f"{net.addresses['launcher']}:{PORT}"
        for name in net.addresses:  # without a way out Ray waits long for one; there is none behind it
            ip("-n", net.namespace(name), "route", "add", "default", "dev", "eth0")
        head = ["--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false"]
        started: dict[str, subprocess.Popen[str]] = {}
        try:
            started = {"launcher": self._start("launcher", *head)}
            self._until_listening()
            for name in net.hosts:
                kind = "spoiled" if name in spoiled else "good"
                words = [
                    f"--address={self.address}",
                    "--num-cpus=1",
                    f"--labels=gmsr-host={name},kind={kind}",
                ]
                started[name] = self._start(name, *words, path=spoiled.get(name))
            for name, process in started.items():
                out, _ = process.communicate(timeout=PATIENCE_S)
                assert process.returncode == 0, f"Ray does not start on {name}: {out}"
        except BaseException:
            for process in started.values():
                process.kill()
                process.communicate()
            self.close()
            raise

    def processes(self, name: str) -> list[int]:
        """Of Ray, there."""
        return [pid for pid in self.net.processes(name) if self._is_ours(pid)]

    def kill(self, name: str) -> None:
        """At once, all of Ray there, and nothing else."""
        for pid in self.processes(name):
            os.kill(pid, signal.SIGKILL)

    def left_behind(self, name: str) -> list[str]:
        """What a run has left there, after a while for what is just ending."""
        deadline = time.monotonic() + PATIENCE_S
        while found := [pid for pid in self.net.processes(name) if not self._is_ours(pid)]:
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        return [" ".join(psutil.Process(pid).cmdline()) for pid in found]

    def close(self) -> None:
        """By process: Ray's own way ends every Ray of this machine."""
        deadline = time.monotonic() + PATIENCE_S
        while left := [name for name in self.net.addresses if self.processes(name)]:
            assert time.monotonic() < deadline, f"Ray does not end on {left}"
            for name in left:
                self.kill(name)
            time.sleep(0.1)

    def _is_ours(self, pid: int) -> bool:
        """What is no process of Ray's is gmsr's: agents, nurseries and the like."""
        try:
            words = " ".join(psutil.Process(pid).cmdline())
        except psutil.Error:  # just ended
            return False
        return "gmsr.launch" not in words and (
            str(self.folder) in words or "ray::" in words or "/ray/" in words
        )

    def _start(self, name: str, *arguments: str, path: Path | None = None) -> "subprocess.Popen[str]":
        enter = ["ip", "netns", "exec", self.net.namespace(name)]
        words = [
            *enter, sys.executable, "-m", "ray.scripts.scripts", "start", *arguments, "--disable-usage-stats",
            f"--node-ip-address={self.net.addresses[name]}", f"--temp-dir={self.folder / name}",
            f"--object-store-memory={STORE_BYTES}", *PORTS,
        ]  # fmt: skip
        environment = {
            **os.environ,
            "RAY_raylet_start_wait_time_s": f"{PATIENCE_S:g}",
            **({"PYTHONPATH": str(path)} if path else {}),
        }
        return subprocess.Popen(
            words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip

    def _until_listening(self) -> None:
        """Nodes look for a head once, and long."""
        deadline = time.monotonic() + PATIENCE_S
        probe = (
            f"import socket; socket.create_connection(('{self.net.addresses['launcher']}', {PORT})).close()"
        )
        words = ["ip", "netns", "exec", self.net.namespace("launcher"), sys.executable, "-S", "-c", probe]
        while subprocess.run(words, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, "Ray's head does not come up"
            time.sleep(0.1)
