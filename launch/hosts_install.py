"""``gmsr hosts install``: this version of the package on every host of an inventory, in an environment of its own.

A host needs what a nursery and its agents load, and nothing more: our wheel without its dependencies, and pyzmq,
msgpack and psutil in the versions that are installed here.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from gmsr.topology.errors import UserError

from .place.inventory import Host
from .place.on_ssh import OF_SSH, command, explain

NEEDED = ("pyzmq", "msgpack", "psutil")
STEP_REAL_S = 600.0
PYTHON = "python3"
"""What makes the environment on a host."""


def install(hosts: Sequence[Host], wheels: Sequence[Path], say: Callable[[str], None]) -> None:
    """``wheels``: ours, or made here if there are none; with more, they are all that is installed, from no index.

    Raises UserError where it cannot be, naming host and mend.
    """
    for wheel in wheels:
        if wheel.suffix != ".whl" or not wheel.is_file():
            raise UserError(f"--wheel: {wheel}: is no wheel; name a file that ends in .whl")
    with tempfile.TemporaryDirectory(prefix="gmsr-wheel-") as folder:
        chosen = list(wheels) or [build(Path(folder))]
        ours = [wheel for wheel in chosen if wheel.name.startswith("gmsr-")]
        if len(ours) != 1:
            raise UserError("--wheel: one of them must be gmsr's own")
        for host in hosts:
            if host.ssh:
                say(f"host {host.name}: installing {ours[0].name}")
                _install(host, ours[0], chosen)
            else:
                say(f"host {host.name}: is this machine, and uses {host.python}")


def _install(host: Host, ours: Path, wheels: Sequence[Path]) -> None:
    python = PurePosixPath(host.python)
    home = python.parent.parent
    if python.parent.name != "bin" or len(python.parts) < 3:
        raise UserError(
            f"host {host.name}: python: {host.python} is in no environment that could be made; name DIR/bin/python "
            "in the inventory, or leave it out"
        )
    there = home / "wheels"
    make = 'test -x "$1" || "$0" -m venv "$2"; mkdir -p "$3"'
    _do(
        host,
        f"no environment could be made at {home}",
        ["sh", "-c", make, PYTHON, str(python), str(home), str(there)],
    )
    for wheel in wheels:
        with wheel.open("rb") as content:
            receive = ["sh", "-c", 'cat > "$0"', str(there / wheel.name)]
            _do(host, f"{wheel.name} could not be copied there", receive, content)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    needed = [f"{name}=={version(name)}" for name in NEEDED]
    source = ["--no-index", "--find-links", str(there)] if len(wheels) > 1 else []
    _do(host, "what agents need could not be installed", [*pip, *source, *needed])
    _do(host, "gmsr could not be installed", [*pip, "--no-deps", "--force-reinstall", str(there / ours.name)])


def _do(host: Host, failed: str, words: Sequence[str], source: object = subprocess.DEVNULL) -> None:
    try:
        done = subprocess.run(
            command(host, *words),
            stdin=source,  # type: ignore[call-overload]  # an open file
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=STEP_REAL_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"host {host.name}: {failed}: it took too long; look at the host") from error
    if done.returncode == OF_SSH:
        raise UserError(f"host {host.name}: {explain(host, done.returncode, done.stderr)}")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise UserError(f"host {host.name}: {failed}: {last}")


def build(folder: Path) -> Path:
    """A wheel of the sources that this command runs from."""
    root = Path(__file__).resolve().parent.parent
    if not (root / "pyproject.toml").is_file():
        raise UserError(
            "--wheel: this gmsr was not installed from its sources; name the wheel that it was installed from"
        )
    words = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(root),
    ]
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    made = list(folder.glob("gmsr-*.whl"))
    if done.returncode or not made:
        last = (done.stderr.strip().splitlines() or ["pip made none"])[-1]
        raise UserError(f"--wheel: none could be made here ({last}); name one")
    return made[0]
