"""The heart of the mission, on the bytes of a live server: a report carries what the policy reads, no more.

The test plays the dispatcher with a bare socket and reads the frames with msgpack alone, so that nothing of
ours stands between the wire and the verdict.
"""

from pathlib import Path

import msgpack
import pytest

from gmsr.agents.policies import POLICIES
from gmsr.agents.spec import load
from gmsr.broker import wire
from gmsr.launch.choices import choose
from gmsr.topology import curves

from .bare import Peer, agent, server_spec

pytestmark = [pytest.mark.live, pytest.mark.slow]

CURVE = {"kind": "hyperbolic", "a": 1000.0, "b": 7.0}
JOBS = 200


def frames_of_a_run(folder: Path, reads: list[str], **more: object) -> list[bytes]:
    """All that a server of ``CURVE`` sends while it serves ``JOBS`` jobs; ``more``: of its specification."""
    address = f"ipc://{folder}/s1.ipc"
    frames: list[bytes] = []
    completed = 0
    with Peer("d1", folder) as peer, agent(server_spec(folder, address, CURVE, reads) | more) as process:
        peer.connect(peer.socket, "s1", address)
        peer.socket.send_multipart([b"s1", msgpack.packb([wire.VERSION, 1, 1, [wire.HELLO, "run", "d1"]])])
        peer.hear(wire.WELCOME)
        peer.start()
        for job in range(JOBS):
            peer.socket.send_multipart(
                [b"s1", msgpack.packb([wire.VERSION, 1, job + 2, [wire.JOB, job, 1.0]])]
            )
        goodbye_said = False
        while process.poll() is None and peer.socket.poll(30_000):
            frames.append(peer.socket.recv_multipart()[1])
            content = msgpack.unpackb(frames[-1])[3:]
            completed += sum(message[0] == wire.COMPLETION for message in content)
            if completed == JOBS and not goodbye_said:
                goodbye_said = True
                peer.socket.send_multipart([b"s1", msgpack.packb([wire.VERSION, 1, JOBS + 2, [wire.BYE]])])
            if [wire.BYE] in content:
                break
        assert process.wait(30) == 0
    assert completed == JOBS
    return frames


@pytest.mark.parametrize("name", ["gmsr", "gmsr-derivative", "jsq", "least-latency", "random", "gmsr-fewest"])
def test_a_report_holds_the_declared_quantities_and_nothing_else(folder: Path, name: str) -> None:
    reads = list(load(POLICIES[name]).reads)
    frames = frames_of_a_run(folder, reads)
    contents = [msgpack.unpackb(frame) for frame in frames]
    messages = [message for content in contents for message in content[3:]]
    # Before its messages a frame says which version, life and number it is, and those are no secret.
    first = contents[0][2]
    assert [content[:3] for content in contents] == [
        [wire.VERSION, 1, first + step] for step in range(len(contents))
    ]
    curve = curves.make(CURVE)
    expected = {
        "gmsr": [[curves.difference(curve, jobs, 1.0)] for jobs in range(JOBS + 1)],
        "gmsr-derivative": [[curve.slope(jobs)] for jobs in range(JOBS + 1)],
        "jsq": [[float(jobs)] for jobs in range(JOBS + 1)],
        "least-latency": [
            [jobs / curve.value(jobs) if jobs else 1 / curve.slope(0)] for jobs in range(JOBS + 1)
        ],
        "random": [],
        "gmsr-fewest": [[curves.difference(curve, jobs, 1.0), float(jobs)] for jobs in range(JOBS + 1)],
    }[name]
    reports = [message[2:] for message in messages if message[0] == wire.REPORT]
    times = [message[1] for message in messages if message[0] == wire.REPORT]
    assert times == sorted(times), "a report says when it was true"
    known = {tuple(float(f"{value:.12g}") for value in values) for values in expected}
    assert {tuple(report) for report in reports} <= known
    assert bool(reports) == bool(reads)
    # Beside reports a server sends the numbers of the dispatcher's own jobs, and its welcome and goodbye.
    others = [message for message in messages if message[0] != wire.REPORT]
    assert [message for message in others if message[0] == wire.BYE] == [[wire.BYE]]
    assert all(
        len(message) == 2 and 0 <= message[1] < JOBS for message in others if message[0] == wire.COMPLETION
    )
    assert {message[0] for message in others} <= {wire.COMPLETION, wire.BYE}
    # Not a byte is left that these messages do not account for.
    assert all(msgpack.packb(msgpack.unpackb(frame)) == frame for frame in frames)


def test_by_default_a_report_holds_marginals_and_the_newest_own_job(folder: Path) -> None:
    """Local correction: how much the marginal falls with a job more and rises with a job less is all else it tells."""
    chosen = choose("gmsr")
    frames = frames_of_a_run(
        folder, ["marginal"], feed=chosen.feed.target, feed_options=chosen.feed.options,
        extras=list(chosen.feed.extras), corrected=chosen.feed.corrected,
    )  # fmt: skip
    curve = curves.make(CURVE)
    marginals = [curves.difference(curve, jobs, 1.0) for jobs in range(JOBS + 2)]
    reports = [
        message[2:] for frame in frames for message in msgpack.unpackb(frame)[3:] if message[0] == wire.REPORT
    ]
    for marginal, fall, rise, seen in reports:
        jobs = min(range(JOBS + 1), key=lambda jobs: abs(marginals[jobs] - marginal))
        assert marginal == pytest.approx(marginals[jobs], rel=1e-9)
        assert fall == pytest.approx(marginals[jobs] - marginals[jobs + 1], rel=1e-6, abs=1e-9)
        assert rise == pytest.approx(marginals[max(jobs - 1, 0)] - marginals[jobs], rel=1e-6, abs=1e-9)
        assert seen in range(-1, JOBS)
    assert reports
