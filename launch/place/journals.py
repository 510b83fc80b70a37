"""What agents have written on a host of their own, sent home as a tar stream, and then removed there.

``python -m gmsr.launch.place.journals FOLDER``: waits until nobody writes there any more, and ends whoever still does
then; writes the stream to its standard output; removes the folder when its standard input says that all has come.
"""

import fcntl
import gzip
import os
import re
import shutil
import signal
import sys
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from .far import LOCK, PREFIX, SOCKETS

PATIENCE_REAL_S, GRACE_REAL_S = 10.0, 10.0
ARRIVED = b"arrived\n"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(@\d+)?\.(rows|json|err)")
"""Of a life's files. Nothing else is taken in, whatever a host sends."""


def send(folder: Path) -> str:
    """At the far end. Returns what is wrong; empty if all is well."""
    if not folder.name.startswith(PREFIX) or not (folder / LOCK).is_file():
        return f"{folder} is not there any more"
    with (folder / LOCK).open("r+") as lock:
        if not _free(lock, PATIENCE_REAL_S):
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(lock.read()), signal.SIGTERM)  # it holds the lock, so this is it
            if not _free(lock, GRACE_REAL_S):
                return "agents there cannot be ended"
        with (
            gzip.GzipFile(fileobj=sys.stdout.buffer, mode="wb", compresslevel=1) as packed,
            tarfile.open(fileobj=packed, mode="w|") as stream,
        ):
            for file in sorted((folder / "agents").iterdir()):
                stream.add(file, file.name)
        sys.stdout.flush()
        if sys.stdin.buffer.readline() == ARRIVED:
            if (folder / SOCKETS).is_file():
                shutil.rmtree((folder / SOCKETS).read_text(), ignore_errors=True)
            shutil.rmtree(folder)
    return ""


def receive(stream: IO[bytes], run_dir: Path) -> None:
    """At the launcher's end. Raises OSError or tarfile.TarError where it breaks off."""
    with tarfile.open(fileobj=stream, mode="r|gz") as arriving:
        for member in arriving:
            content = arriving.extractfile(member) if member.isfile() else None
            if content is None or not NAME.fullmatch(member.name):
                continue
            with (run_dir / "agents" / member.name).open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)


def _free(lock: IO[str], patience_real_s: float) -> bool:
    deadline = time.monotonic() + patience_real_s
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(send(Path(sys.argv[1])) or 0)
