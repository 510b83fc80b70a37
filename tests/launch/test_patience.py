"""Waiting for long compiled loops."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from gmsr.launch.theory.patience import interruptible


def test_an_answer_comes_through() -> None:
    assert interruptible(lambda: 7) == 7


def test_a_failure_comes_through() -> None:
    def fails() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        interruptible(fails)


def test_an_interruption_ends_the_wait() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has it ignored
    over = threading.Event()
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            interruptible(lambda: over.wait(60.0))
    finally:
        over.set()
        timer.join()
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_ctrl_c_within_a_compiled_loop_exits_with_130() -> None:
    """3·10⁸ slots would take minutes; the command is told to stop once it is at them."""
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from gmsr.launch import packaged\n"
        "from gmsr.launch.theory import model\n"
        "from gmsr.topology.theory import slotted\n"
        "known = slotted.run\n"
        "def run(*given):\n"
        "    print('running', flush=True)\n"
        "    return known(*given)\n"
        "slotted.run = run\n"
        "from gmsr.launch.cli import main\n"
        "main(['compare', str(packaged.path('n-shaped')), '--model', 'slotted', '--policies', 'gmsr',\n"
        "      '--scale', '100000', '--duration', '3000'])\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "running\n"
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 130
    assert "Traceback" not in told
