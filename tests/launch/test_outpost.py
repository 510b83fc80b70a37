"""The door of an engine's host and who comes through it, without the engine: on loopback, between real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import zmq

from gmsr.launch.place.far import LOCK, PREFIX, SOCKETS
from gmsr.launch.place.inventory import Door, Host
from gmsr.launch.place.on_ssh import collect, module, open_link
from gmsr.launch.place.relay import FAILED, OWN_KEY
from gmsr.topology.errors import UserError

pytestmark = [pytest.mark.live, pytest.mark.slow]
PATIENCE_S = 30.0
BIG = 3 << 20
"""Bytes: more than all queues and pipes on the way hold."""


def outposts(host: Host) -> list[psutil.Process]:
    assert host.door is not None
    run = host.door.ours.split()[2]
    return [each for each in psutil.process_iter(["cmdline"]) if run in (each.info["cmdline"] or [])]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    public, secret = (key.decode() for key in zmq.curve_keypair())
    run = f"run-{os.getpid()}-{tmp_path.name}"
    words = [sys.executable, "-P", "-m", "gmsr.launch.place.outpost", "127.0.0.1", run, public]
    facts = json.loads(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout)
    door = Door(f"tcp://127.0.0.1:{facts['port']}", facts["key"], f"{secret} {public} {run}")
    made = Host("far", "127.0.0.1", folder=str(tmp_path), node="n", door=door)
    yield made
    for each in outposts(made):
        each.kill()
    assert not psutil.wait_procs(outposts(made), timeout=PATIENCE_S)[1]


def left_by_a_nursery(folder: Path) -> Path:
    """What it keeps until that is fetched."""
    made = folder / f"{PREFIX}left"
    (made / "agents").mkdir(parents=True)
    (made / LOCK).write_text("0")
    (folder / "gmsr-sockets").mkdir()
    (made / SOCKETS).write_text(str(folder / "gmsr-sockets"))
    (made / "agents" / "d1@1.rows").write_bytes(os.urandom(BIG))
    (made / "agents" / "d1@1.json").write_text("{}")
    return made


def test_journals_come_home_through_it(host: Host, tmp_path: Path) -> None:
    kept, home = left_by_a_nursery(tmp_path), tmp_path / "home"
    (home / "agents").mkdir(parents=True)
    wanted = (kept / "agents" / "d1@1.rows").read_bytes()
    assert collect(host, str(kept), home) == ""
    assert (home / "agents" / "d1@1.rows").read_bytes() == wanted
    assert (home / "agents" / "d1@1.json").read_text() == "{}"
    assert not kept.exists()
    assert not (tmp_path / "gmsr-sockets").exists()
    assert not psutil.wait_procs(outposts(host), timeout=PATIENCE_S)[1], "nobody needs the door any more"


def test_a_nursery_comes_up_behind_it_and_ends_with_its_launcher(host: Host, tmp_path: Path) -> None:
    link = open_link(host, survive=False)
    link.come_up(time.monotonic() + PATIENCE_S)
    link.set_clock()
    assert abs(link.clock.ahead_s) <= link.clock.error_s, "it is this machine's own"
    folder = Path(link.facts["folder"])
    assert folder.parent == tmp_path
    nursery = psutil.Process(int((folder / LOCK).read_text()))
    link.channel.process.send_signal(signal.SIGKILL)
    link.channel.dismiss()
    link.close(time.monotonic() + PATIENCE_S)
    assert not psutil.wait_procs([nursery], timeout=PATIENCE_S)[1]


def ends(host: Host, ours: str, name: str = "journals") -> tuple[int, str]:
    """How our own end ends, with other keys."""
    done = subprocess.run(
        module(host, name, "/none"), env={**os.environ, OWN_KEY: ours}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=2 * PATIENCE_S, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_who_has_not_the_launchers_key_is_not_let_in(host: Host) -> None:
    assert host.door is not None
    public, secret = (key.decode() for key in zmq.curve_keypair())
    status, words = ends(host, f"{secret} {public} {host.door.ours.split()[2]}")
    assert (status, words) == (FAILED, "nobody can be reached there\n")


def test_nobody_is_there(host: Host) -> None:
    assert host.door is not None
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
    nobody = host._replace(door=host.door._replace(address=f"tcp://127.0.0.1:{port}"))
    status, words = ends(nobody, host.door.ours)
    assert status == FAILED
    assert words in ("nobody can be reached there\n", "nobody answers\n")
    link = open_link(nobody, survive=False)
    with pytest.raises(UserError, match="host far: nobody"):
        link.come_up(time.monotonic() + PATIENCE_S)
    link.channel.dismiss()
    link.close(time.monotonic() + PATIENCE_S)


def test_nobody_runs_what_is_none_of_its_business(host: Host) -> None:
    assert host.door is not None
    status, words = ends(host, host.door.ours, name="outpost")
    assert (status, words) == (126, "outpost is not run for anybody\n")
