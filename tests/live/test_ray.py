"""The same topology on nodes of a Ray cluster: the demo, the death of its head in mid-run, what is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest

from gmsr.launch.packaged import path as example

from .clusters import Cluster
from .namespaces import PATIENCE_S, Net, need
from .records import balanced, cut_off_and_healed, summary, wait_for

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.ray]
DEMO = example("llm-fleet")
ARGUMENTS = (str(DEMO), "--load", "0.6", "--seed", "3", "--warmup", "6", "--json")
GOOD = ("--node-labels", "kind=good")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Five nodes, three of them good: one of the others has no gmsr, one has another version."""
    need()
    with tempfile.TemporaryDirectory(prefix="gmsr-ray-") as name:
        folder = Path(name)
        none, other = folder / "none", folder / "other"
        none.mkdir()
        (none / "gmsr.py").write_text("raise ModuleNotFoundError(\"No module named 'gmsr'\")\n")
        source = Path(sys.modules["gmsr"].__path__[0])
        shutil.copytree(
            source, other / "gmsr", ignore=shutil.ignore_patterns("__pycache__", "theory", "tests")
        )
        with (other / "gmsr" / "agents" / "view.py").open("a") as file:
            file.write("# changed\n")
        net = Net(folder, "abcde")
        try:
            made = Cluster(net, {"c": none, "d": other})
            yield made
            made.close()
        finally:
            net.close()
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert f"gmsr-{os.getpid()}-" not in left


@pytest.fixture(autouse=True)
def nothing_is_left_behind(cluster: Cluster) -> Iterator[None]:
    folders = set(Path(tempfile.gettempdir()).glob("gmsr-run-*"))
    yield
    assert [each for name in cluster.net.addresses for each in cluster.left_behind(name)] == []
    assert set(Path(tempfile.gettempdir()).glob("gmsr-run-*")) <= folders


def whole(found: dict[str, Any]) -> None:
    balanced(found)
    assert found["decentralised"], found["warnings"]
    assert {name: host["agents"] for name, host in found["hosts"].items()} == dict.fromkeys("abe", 4)
    assert not any(host["uncollected"] for host in found["hosts"].values())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--node-labels", "gmsr-host=c"), "host c: Ray there has no gmsr (ModuleNotFoundError: No module"),
        (("--node-labels", "gmsr-host=d"), "host d: another version of gmsr is installed there"),
        (("--nodes", "4", *GOOD), "--nodes: 4 wanted, and 3 of the cluster's 6 nodes fit; add nodes, or"),
        (("--node-resources", "GPU=1"), "--nodes: 1 wanted, and 0 of the cluster's 6 nodes fit"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_cluster_is_one_line_and_nothing_is_started(
    cluster: Cluster, arguments: tuple[str, ...], told: str
) -> None:
    out = cluster.net.folder / "bad"
    code, text, err = cluster.net.run(
        "run", *ARGUMENTS, "--ray", cluster.address, *arguments, "--out", str(out)
    )
    assert (code, text) == (2, ""), err
    assert err.splitlines()[-1].startswith(f"error: {told}")
    assert not out.exists()


def test_a_cluster_that_is_not_there_is_one_line(cluster: Cluster) -> None:
    code, text, err = cluster.net.run("run", *ARGUMENTS, "--ray", "10.214.0.1:6399")
    assert (code, text) == (2, ""), err
    assert "error: --ray: no cluster can be joined at 10.214.0.1:6399" in err.splitlines()[-1]


def test_the_launchers_death_ends_its_agents_and_journals_are_fetched_later(cluster: Cluster) -> None:
    out = cluster.net.folder / "orphans"
    process = cluster.net.start(
        "run", *ARGUMENTS, "--duration", "600", "--ray", cluster.address, *GOOD, "--out", str(out)
    )
    launcher = wait_for(out / "control.json")["launcher"]
    time.sleep(2.0)
    os.kill(launcher, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    code, text, err = cluster.net.run("hosts", "collect", str(out), "--json")
    assert code == 0, err
    assert json.loads(text)["jobs"]["offered"] > 0


def test_a_node_is_cut_off_and_healed_in_mid_run(cluster: Cluster) -> None:
    out = cluster.net.folder / "cut"
    process = cluster.net.start(
        "run",
        *ARGUMENTS,
        "--duration",
        "48",
        "--pace",
        "2",
        "--ray",
        cluster.address,
        *GOOD,
        "--out",
        str(out),
    )
    cut_off_and_healed(cluster.net, "e", process, out)


def test_the_demo_runs_as_on_one_machine_and_does_not_notice_that_the_head_of_the_cluster_dies(
    cluster: Cluster,
) -> None:
    """With 20 ms one way between two of its nodes. Last in this file: there is no cluster afterwards."""
    far, near = cluster.net.folder / "far", cluster.net.folder / "near"
    slow = cluster.net.folder / "slow.yaml"
    slow.write_text("faults: [{kind: delay, at: 0, hosts: [a, b], seconds: 0.02}]\n")
    span = ("--duration", "50", "--pace", "4")
    process = cluster.net.start(
        "run", *ARGUMENTS, *span, "--ray", cluster.address, "--node-resources", "CPU=1", *GOOD, "--out", str(far),
        "--faults", str(slow),
    )  # fmt: skip
    begun = wait_for(far / "control.json")["begin_ns"] * 1e-9
    time.sleep(2.0)
    cluster.kill("launcher")
    dead_at = 4.0 * (time.monotonic() - begun)
    _, err = process.communicate(timeout=300.0)
    assert process.returncode == 0, err
    assert dead_at < 25.0, "half of the run was still to come"
    code, _, err = cluster.net.run("run", *ARGUMENTS, *span, "--out", str(near))
    assert code == 0, err
    one, other = summary(far), summary(near)
    whole(one)
    assert cluster.net.run("audit", str(far))[0] == 0
    assert not sum(one["jobs"]["lost"].values())
    assert one["jobs"]["offered"] == other["jobs"]["offered"], "the same arrivals"
    assert one["latency"]["ci95"][0] <= other["latency"]["ci95"][1], "the same results"
    assert other["latency"]["ci95"][0] <= one["latency"]["ci95"][1]
    # Completions a second after its death are those without any, within five standard deviations of a count.
    done = [
        pandas.read_parquet(each / "jobs.parquet")["done"].between(dead_at, 50.0).sum()
        for each in (far, near)
    ]
    assert abs(done[0] - done[1]) < 5.0 * (done[0] + done[1]) ** 0.5
