"""``gmsr watch`` where it cannot: a line, and nothing is left behind; and how a terminal sees a run's progress."""

import os
import pty
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from gmsr.launch.cli import gmsr
from gmsr.topology.errors import UserError


def refused(*words: str) -> str:
    result = CliRunner().invoke(gmsr, ["watch", *words])
    assert isinstance(result.exception, UserError)
    return str(result.exception)


def test_what_is_no_run_is_told_in_a_line(tmp_path: Path) -> None:
    assert "plan.json: No such file or directory; name the directory of a run" in refused(
        str(tmp_path / "none")
    )
    (tmp_path / "plan.json").write_text("[]")
    assert "is no run's" in refused(str(tmp_path))
    assert not [thread for thread in threading.enumerate() if "serve" in thread.name]


def test_a_port_in_use_is_told_before_anything_is_shown(begun: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"--port: {port}: Address already in use; name another" in refused(
            str(begun), "--port", str(port)
        )


PROGRAM = """
from gmsr.launch.show.progress import Progress
shown = Progress(label="gmsr")
shown.phase("starting processes")
shown.ready(3, 8)
for now in range(31):
    shown._drawn = 0.0
    shown.running(float(now), 60.0, 2.0, {"offered": 10 * now, "completed": 9 * now, "in_flight": now})
shown.done()
"""


@pytest.mark.slow
def test_a_terminal_has_a_bar_with_the_time_left() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stderr=theirs, env={**os.environ, "TERM": "xterm"}
    ) as it:
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 4096):
                seen += part
        except OSError:  # how a pty says that nobody writes any more
            pass
        os.close(ours)
    assert it.returncode == 0
    text = seen.decode()
    assert "starting processes" in text
    assert "3 of 8 processes ready" in text
    assert "━" in text
    assert "50%" in text
    assert "30 of 60 s at pace 2, 15 s left; 270 of 300 jobs" in " ".join(text.split())
