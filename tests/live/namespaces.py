"""Hosts without a second machine: network namespaces joined by a bridge, each with an address and an sshd of its own.

The bridge stands in a namespace too, and so does the launcher: nothing outside them is touched. Where the kernel
has time namespaces each host also has a monotonic clock of its own, hours from the others'.
"""

import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

SSHD = shutil.which("sshd", path="/usr/sbin:/sbin:" + os.defpath)
PATIENCE_S = 120.0
CLOCKS_AHEAD_S = {"a": 0, "b": 5_000, "c": 90_000}
"""Of each host's monotonic clock, against the launcher's."""
FORBID_SKIPS = os.environ.get("GMSR_FORBID_SKIPS") == "1"


def need() -> None:
    """Skip where this cannot be had; fail where skipping is forbidden."""
    lacking = [
        why
        for lacks, why in (
            (os.geteuid() != 0, "network namespaces need root"),
            (SSHD is None, "no sshd here (Debian: openssh-server)"),
            (shutil.which("ip") is None, "no ip here (Debian: iproute2)"),
            (
                shutil.which("nft", path="/usr/sbin:/sbin:" + os.defpath) is None,
                "no nft here (Debian: nftables)",
            ),
        )
        if lacks
    ]
    if lacking:
        (pytest.fail if FORBID_SKIPS else pytest.skip)(lacking[0])


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Net:
    """A launcher's namespace and one for each host. Close it."""

    def __init__(self, folder: Path, hosts: str = "abc") -> None:
        self.folder = folder
        self.hosts = list(hosts)
        self.addresses = {name: f"10.214.0.{number}" for number, name in enumerate(("launcher", *hosts), 1)}
        self._stack = ExitStack()
        self._sshds: list[subprocess.Popen[bytes]] = []
        try:
            self._wire()
            self._log_in()
        except BaseException:
            self.close()
            raise

    def namespace(self, name: str) -> str:
        return f"gmsr-{os.getpid()}-{name}"

    def temporary(self, name: str) -> Path:
        """Where a host has its temporary files; a short path, since sockets are among them."""
        return self.folder / f"t{name}"

    def inventory(self, **changes: Any) -> Path:
        """A file of all hosts; ``changes`` of each, by its name."""
        entries = [
            {
                "name": name, "address": self.addresses[name], "user": "root", "identity": "key",
                "known_hosts": "known", "python": sys.executable, "folder": str(self.folder / name),
                **changes.get(name, {}),
            }
            for name in self.hosts
        ]  # fmt: skip
        file = self.folder / "hosts.yaml"
        plain = [{field: value for field, value in entry.items() if value is not None} for entry in entries]
        file.write_text(yaml.safe_dump({"hosts": plain}))
        return file

    def start(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """``gmsr …`` in the launcher's namespace."""
        words = [
            "ip",
            "netns",
            "exec",
            self.namespace("launcher"),
            sys.executable,
            "-P",
            "-m",
            "gmsr",
            *arguments,
        ]
        return subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd or self.folder
        )

    def run(self, *arguments: str, patience_s: float = 300.0) -> tuple[int, str, str]:
        """Until it ends: exit code, output, errors."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=patience_s)
        except BaseException:
            process.kill()
            process.wait()  # not for its output's end: what it started may hold that open
            raise
        return process.returncode, out, err

    def cut(self, name: str) -> None:
        """Pull a host's cable."""
        ip("-n", self.namespace(name), "link", "set", "eth0", "down")

    def heal(self, name: str) -> None:
        """Put it back."""
        ip("-n", self.namespace(name), "link", "set", "eth0", "up")

    def drop(self, name: str, other: str, table: str = "gmsr") -> None:
        """Everything that one host sends to another vanishes, and nobody is told."""
        rules = (
            f"add table inet {table}; add chain inet {table} out {{ type filter hook output priority 0; }}; "
            f"add rule inet {table} out ip daddr {self.addresses[other]} drop"
        )
        self._nft(name, rules)

    def pass_on(self, name: str, table: str = "gmsr") -> None:
        """Undo ``drop``."""
        self._nft(name, f"delete table inet {table}")

    def processes(self, name: str) -> list[int]:
        """All that run in a host's namespace, but for its sshd."""
        told = subprocess.run(
            ["ip", "netns", "pids", self.namespace(name)], capture_output=True, text=True, check=True
        ).stdout.split()
        listening = {process.pid for process in self._sshds}
        return [int(pid) for pid in told if int(pid) not in listening]

    def left_behind(self) -> list[str]:
        """What a run has left on the hosts, after a while for what is just ending."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = [f"process {pid} on {name}" for name in self.hosts for pid in self.processes(name)]
            found += [str(path) for name in self.hosts for path in (self.folder / name).iterdir()]
            found += [str(path) for name in self.hosts for path in self.temporary(name).glob("gmsr-*")]
            found += [f"process {pid} of the launcher" for pid in self.processes("launcher")]
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def close(self) -> None:
        for name in self.addresses:
            if Path(f"/run/netns/{self.namespace(name)}").exists():
                for pid in self.processes(name):
                    subprocess.run(["kill", "-9", str(pid)], check=False)
        for process in self._sshds:
            process.terminate()
            process.wait()
        self._stack.close()

    def _nft(self, name: str, rules: str) -> None:
        words = ["ip", "netns", "exec", self.namespace(name), "nft", rules]
        subprocess.run(words, check=True, capture_output=True)

    def _wire(self) -> None:
        switch = self.namespace("switch")
        for name in ("switch", *self.addresses):
            ip("netns", "add", self.namespace(name))
            self._stack.callback(ip, "netns", "delete", self.namespace(name))
            ip("-n", self.namespace(name), "link", "set", "lo", "up")
        ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", switch, "link", "set", "bridge", "up")
        for name, address in self.addresses.items():
            own = self.namespace(name)
            ip(
                "-n",
                own,
                "link",
                "add",
                "eth0",
                "type",
                "veth",
                "peer",
                "name",
                f"to-{name}",
                "netns",
                switch,
            )
            ip("-n", switch, "link", "set", "dev", f"to-{name}", "master", "bridge")
            ip("-n", switch, "link", "set", "dev", f"to-{name}", "up")
            ip("-n", own, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", own, "link", "set", "eth0", "up")

    def _log_in(self) -> None:
        assert SSHD is not None
        self.small = (
            self.folder / "small"
        )  # a disk that is full; there before any sshd, which see no later one
        self.small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(self.small)], check=True)
        self._stack.callback(subprocess.run, ["umount", str(self.small)], check=True)
        self._key("key")
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd's, of privilege separation
        known = []
        for name in self.hosts:
            (self.folder / name).mkdir()
            self._key(f"host-{name}")
            kind, key = (self.folder / f"host-{name}.pub").read_text().split()[:2]
            known.append(f"{self.addresses[name]} {kind} {key}\n")
            config, home = self.folder / f"sshd-{name}", self.folder / f"home-{name}"
            self.temporary(name).mkdir()
            home.mkdir()  # an empty one: what a shell does where the user has made a home is not this test's business
            config.write_text(
                f"ListenAddress {self.addresses[name]}\nHostKey {self.folder / f'host-{name}'}\nPidFile none\n"
                f"AuthorizedKeysFile {self.folder / 'key.pub'}\nStrictModes no\nUsePAM no\n"
                f"PermitRootLogin prohibit-password\nMaxStartups 100\n"
                f"SetEnv HOME={home} TMPDIR={self.temporary(name)}\n"
            )
            words = ["ip", "netns", "exec", self.namespace(name), SSHD, "-D", "-f", str(config)]
            if Path("/proc/self/ns/time").exists():
                words[4:4] = ["unshare", "--time", "--monotonic", str(CLOCKS_AHEAD_S.get(name, 0))]
            self._sshds.append(subprocess.Popen(words, stderr=subprocess.DEVNULL))
        (self.folder / "known").write_text("".join(known))
        for name in self.hosts:
            self._until_up(name)

    def _key(self, name: str) -> None:
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
        subprocess.run(words, check=True)

    def _until_up(self, name: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        probe = f"import socket; socket.create_connection(('{self.addresses[name]}', 22)).close()"
        words = ["ip", "netns", "exec", self.namespace("launcher"), sys.executable, "-c", probe]
        while subprocess.run(words, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, f"the sshd of {name} does not come up"
            time.sleep(0.05)
