"""The same topology on several hosts: over ssh, with clocks hours apart, cut off and healed, and what is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pandas
import pytest
import yaml

from gmsr.launch.hosts_install import NEEDED, build
from gmsr.launch.packaged import path as example
from gmsr.launch.place.many import PING_REAL_S
from gmsr.launch.place.nursery import SILENCE_REAL_S
from gmsr.launch.place.on_ssh import ALIVE_COUNT, ALIVE_REAL_S

from .namespaces import CLOCKS_AHEAD_S, PATIENCE_S, Net, need
from .records import balanced, cut_off_and_healed, summary, wait_for

pytestmark = [pytest.mark.live, pytest.mark.slow]
DEMO = example("llm-fleet")
DEMO_RUN = ("--load", "0.6", "--pace", "2", "--seed", "3")


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    """In a folder of its own: pytest's are tidied up by other sessions of pytest, and a disk is mounted here."""
    need()
    with tempfile.TemporaryDirectory(prefix="gmsr-net-") as folder:
        made = Net(Path(folder))
        yield made
        made.close()
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert f"gmsr-{os.getpid()}-" not in left


@pytest.fixture(autouse=True)
def nothing_is_left_behind(net: Net) -> Iterator[None]:
    yield
    assert net.left_behind() == []


def test_the_demo_runs_on_three_hosts_as_it_does_on_one(net: Net) -> None:
    """With 20 ms one way between two of them all the time."""
    slow = net.folder / "slow.yaml"
    slow.write_text("faults: [{kind: delay, at: 0, hosts: [a, b], seconds: 0.02}]\n")
    args = (str(DEMO), "--load", "0.6", "--pace", "4", "--seed", "3", "--duration", "60", "--warmup", "10")
    far, near = net.folder / "far", net.folder / "near"
    code, _, err = net.run(
        "run", *args, "--hosts", str(net.inventory()), "--faults", str(slow), "--out", str(far)
    )
    assert code == 0, err
    code, _, err = net.run("run", *args, "--out", str(near))
    assert code == 0, err
    one, other = summary(far), summary(near)
    balanced(one)
    assert one["jobs"]["offered"] == other["jobs"]["offered"], "the same arrivals"
    low, high = one["latency"]["ci95"]
    assert low <= other["latency"]["ci95"][1], "the same results"
    assert other["latency"]["ci95"][0] <= high
    assert one["decentralised"], one["warnings"]
    for name, host in one["hosts"].items():
        assert host["agents"] == 4
        true = CLOCKS_AHEAD_S[name] if Path("/proc/self/ns/time").exists() else 0.0
        assert abs(host["clock_ahead_s"] - true) <= host["clock_error_s"] + 1e-9, "what is reported holds"
        assert host["clock_error_s"] < 1.0
    assert one["views"]["median"] < one["duration"], "no age mixes two clocks: they are hours apart"
    # On every host the kernel's tables show each agent connected to its edges' other ends, and to nobody else.
    seen = json.loads((far / "audit.json").read_text())
    assert seen["contradictions"] == []
    assert seen["hosts"] == dict.fromkeys("abc", 4)
    plan = json.loads((far / "topology.json").read_text())
    assert len(seen["connections"]) == len(plan["edges"])
    hosts = {each["id"]: each["host"] for each in (*plan["dispatchers"], *plan["servers"])}
    across = [edge for edge in plan["edges"] if hosts[edge["from"]] != hosts[edge["to"]]]
    assert 0 < len(across) < len(plan["edges"]), "both kinds of edges were there"
    assert net.run("audit", str(far))[0] == 0
    jobs = pandas.read_parquet(far / "jobs.parquet")
    ends = pandas.DataFrame({role: jobs[role].astype(str).map(hosts) for role in ("dispatcher", "server")})
    slowed = ends.min(axis=1).eq("a") & ends.max(axis=1).eq("b") & jobs["arrival"].gt(5.0)
    slowed &= jobs["done"].lt(60.0) & jobs["state"].astype(str).eq("completed")
    assert slowed.sum() > 100
    assert jobs["latency"][slowed].min() >= 0.04, "there and back"
    assert jobs["latency"][~slowed].min() < 0.04


def test_a_host_is_cut_off_and_healed_in_mid_run(net: Net) -> None:
    out = net.folder / "cut"
    process = net.start(
        "run", str(DEMO), *DEMO_RUN, "--duration", "24", "--warmup", "2", "--hosts", str(net.inventory()),
        "--out", str(out), "--json",
    )  # fmt: skip
    cut_off_and_healed(net, "b", process, out)


def test_packets_between_two_hosts_vanish_and_come_back(net: Net) -> None:
    out = net.folder / "dropped"
    process = net.start(
        "run", str(DEMO), *DEMO_RUN, "--duration", "24", "--warmup", "2", "--hosts", str(net.inventory()),
        "--out", str(out), "--json", "--delivery", "at-least-once",
    )  # fmt: skip
    wait_for(out / "control.json")
    time.sleep(3.0)
    net.drop("a", "c")
    time.sleep(4.0)
    net.pass_on("a")
    _, err = process.communicate(timeout=300.0)
    assert process.returncode == 0, err
    found = summary(out)
    balanced(found)
    assert found["resent"] > 0
    assert not sum(found["jobs"]["lost"].values())


@pytest.mark.parametrize("survive", [False, True])
def test_the_launchers_death_ends_its_agents_or_not_and_journals_are_kept(net: Net, survive: bool) -> None:
    """Its ssh connections end with it, and so the nurseries, and so the agents, unless they are to survive."""
    out = net.folder / f"orphans-{survive}"
    process = net.start(
        "run", str(DEMO), *DEMO_RUN, "--duration", "16" if survive else "600", "--warmup", "2", "--out", str(out),
        "--hosts", str(net.inventory()), *(["--survive"] if survive else []),
    )  # fmt: skip
    launcher = wait_for(out / "control.json")["launcher"]
    assert all(net.processes(name) for name in net.hosts)
    time.sleep(1.0)
    os.kill(launcher, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    deadline = time.monotonic() + 2 * PATIENCE_S
    while any(net.processes(name) for name in net.hosts):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    code, _, err = net.run("summary", str(out))
    assert code == 2
    assert "gmsr hosts collect may fetch them" in err
    code, text, err = net.run("hosts", "collect", str(out), "--json")
    assert code == 0, err
    found = json.loads(text)
    assert found["jobs"]["offered"] > 0
    assert found["valid"] == survive, found["warnings"]


def test_ctrl_c_ends_everything_everywhere(net: Net) -> None:
    out = net.folder / "interrupted"
    process = net.start(
        "run",
        str(DEMO),
        *DEMO_RUN,
        "--duration",
        "600",
        "--hosts",
        str(net.inventory()),
        "--out",
        str(out),
        "--json",
    )
    launcher = wait_for(out / "control.json")["launcher"]
    time.sleep(1.0)
    os.kill(launcher, signal.SIGTERM)  # answered as Ctrl-C is, and never ignored
    process.communicate(timeout=300.0)
    assert process.returncode == 130
    assert summary(out)["jobs"]["offered"] > 0


def killed(net: Net, name: str) -> None:
    """A host dies: at once, with all that runs there."""
    for pid in net.processes(name):
        subprocess.run(["kill", "-9", str(pid)], check=False, capture_output=True)


def test_hosts_that_die_in_mid_run_are_in_the_account(net: Net) -> None:
    """One by a fault, and one by nobody's."""
    out, faults = net.folder / "dead", net.folder / "lose.yaml"
    faults.write_text("faults: [{kind: lose-host, at: 4, host: c}]\n")
    process = net.start(
        "run", str(DEMO), *DEMO_RUN, "--duration", "40", "--warmup", "2", "--hosts", str(net.inventory()),
        "--out", str(out), "--json", "--faults", str(faults),
    )  # fmt: skip
    wait_for(out / "control.json")
    time.sleep(5.0)  # 10 emulated seconds
    killed(net, "b")
    _, err = process.communicate(timeout=300.0)
    assert process.returncode == 0, err
    found = summary(out)
    balanced(found)  # their journals were there still
    # The agents of b alone: that c was lost was to be. The launcher hears of each death, or that the host is gone.
    assert len([line for line in found["warnings"] if "no fault was to do that" in line]) == 4, found[
        "warnings"
    ]
    (lost,) = found["faults"]
    assert lost["what"] == "lose-host c"
    assert len(lost["agents"]) == 4


def spoiled(net: Net) -> dict[str, tuple[dict[str, Any], str]]:
    """What may be wrong with a host, and what is said of it."""
    if not (net.folder / "other").exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(net.folder / "other")], check=True
        )
        (net.folder / "empty").write_text("")
        (net.folder / "dying").write_text("#!/bin/sh\nkill -9 $$\n")
        (net.folder / "dying").chmod(0o755)
        site, source = net.folder / "site", Path(sys.modules["gmsr"].__path__[0])
        shutil.copytree(source, site / "gmsr", ignore=shutil.ignore_patterns("__pycache__"))
        with (site / "gmsr" / "agents" / "view.py").open("a") as file:
            file.write("# changed\n")
        (net.folder / "python").write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} "$@"\n')
        (net.folder / "python").chmod(0o755)
    return {
        "unreachable": ({"address": "10.214.0.99"}, "10.214.0.99 cannot be reached"),
        "refused key": ({"identity": "other"}, "refuses our key; add it to authorized_keys there"),
        "unknown host key": ({"known_hosts": "empty"}, "ssh does not know 10.214.0."),
        "no interpreter": ({"python": "/none/python"}, "there is no interpreter /none/python"),
        "other version": (
            {"python": str(net.folder / "python")},
            "another version of gmsr is installed there",
        ),
        "no folder": ({"folder": "/nowhere"}, "no folder for journals: /nowhere"),
        "full disk": ({"folder": str(net.small)}, f"the disk of {net.small}"),
        "dies": ({"python": str(net.folder / "dying")}, "cannot be reached (the connection ended)"),
    }


def test_what_is_wrong_with_hosts_is_named_and_nothing_is_started(net: Net) -> None:
    cases = spoiled(net)
    names = list(cases)
    for group in (names[:3], names[3:6], names[6:]):  # each on a host of its own
        changes = {host: cases[name][0] for host, name in zip(net.hosts, group, strict=False)}
        code, out, err = net.run("hosts", "check", str(net.inventory(**changes)), "--json")
        assert code == 2, err
        found = json.loads(out)
        for host, name in zip(net.hosts, group, strict=False):
            assert any(cases[name][1] in line for line in found[host]["problems"]), (name, found[host])
    assert not list(net.small.iterdir())


@pytest.mark.parametrize("name", ["unreachable", "full disk", "dies"])
def test_a_run_names_what_is_wrong_at_once_and_starts_nothing(net: Net, name: str) -> None:
    change, told = spoiled(net)[name]
    out = net.folder / "bad"
    code, text, err = net.run("run", str(DEMO), "--hosts", str(net.inventory(b=change)), "--out", str(out))
    assert (code, text) == (2, ""), err
    assert err.splitlines()[-1].startswith("error: host b: ")
    assert told in err.splitlines()[-1]
    assert not out.exists()


def test_an_address_that_is_not_the_hosts_own_is_named(net: Net) -> None:
    change = {"address": "10.214.0.77", "ssh": "10.214.0.3"}
    out = net.folder / "bad"
    code, _, err = net.run("run", str(DEMO), "--hosts", str(net.inventory(b=change)), "--out", str(out))
    assert code == 2
    assert "host b: no port at 10.214.0.77 for each of" in err.splitlines()[-1]
    assert not out.exists()


def test_check_tells_of_hosts_that_will_do_and_of_firewalls_between_them(net: Net) -> None:
    code, out, err = net.run("hosts", "check", str(net.inventory()))
    assert code == 0, err
    assert out.count("good") == 3
    net.drop("a", "b")
    try:
        code, out, _ = net.run("hosts", "check", str(net.inventory()), "--json")
    finally:
        net.pass_on("a")
    found = json.loads(out)
    assert code == 2
    assert "a cannot connect to 10.214.0.3" in found["b"]["problems"][0]
    assert not found["c"]["problems"]


def test_the_launcher_is_heard_before_it_is_taken_for_gone() -> None:
    assert PING_REAL_S * 3 < SILENCE_REAL_S
    assert ALIVE_REAL_S * ALIVE_COUNT < SILENCE_REAL_S, "the launcher gives up first, and tells"


def wheel_of(name: str, folder: Path) -> Path:
    """Of an installed package, from its own list of files: a host that reaches no index is given such."""
    found = distribution(name)
    assert found.files is not None
    tag = (found.read_text("WHEEL") or "").partition("Tag: ")[2].splitlines()[0]
    made = folder / f"{found.name}-{found.version}-{tag}.whl"
    with zipfile.ZipFile(made, "w") as packed:
        for file in found.files:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                packed.write(str(file.locate()), str(file))
    return made


def test_the_package_is_installed_on_a_host_and_will_do(net: Net) -> None:
    """From wheels alone, since a host here reaches no index, into an environment that has nothing but pip."""
    folder = net.folder / "wheels"
    folder.mkdir()
    wheels = [build(folder), *(wheel_of(name, folder) for name in NEEDED)]
    home = net.folder / "installed"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    inventory = str(net.inventory(b={"python": str(home / "bin" / "python")}))
    code, out, _ = net.run("hosts", "check", inventory, "--json")
    assert code == 2
    assert "has no gmsr" in json.loads(out)["b"]["problems"][0]
    named = [word for wheel in wheels for word in ("--wheel", str(wheel))]
    only = yaml.safe_load(Path(inventory).read_text())
    alone = net.folder / "b.yaml"
    alone.write_text(yaml.safe_dump({"hosts": [each for each in only["hosts"] if each["name"] == "b"]}))
    code, _, err = net.run("hosts", "install", str(alone), *named)
    assert code == 0, err
    code, out, err = net.run("hosts", "check", inventory)
    assert code == 0, out + err
    assert out.count("good") == 3


def test_policies_are_compared_on_a_trace_with_one_host_that_is_the_launchers_own(net: Net) -> None:
    here = {
        "local": True,
        "address": net.addresses["launcher"],
        "user": None,
        "identity": None,
        "known_hosts": None,
    }
    out = net.folder / "compared"
    code, text, err = net.run(
        "compare", str(example("llm-fleet-trace")), "--policies", "gmsr,jsq", "--load", "0.6", "--pace", "2",
        "--duration", "10", "--warmup", "2", "--hosts", str(net.inventory(a=here)), "--out", str(out), "--json",
    )  # fmt: skip
    assert code == 0, err
    assert len(json.loads(text)["policies"]) == 2
    runs = sorted(path.parent for path in out.rglob("summary.json"))
    assert len(runs) == 2
    for each in runs:
        balanced(summary(each))
        assert {host["agents"] for host in summary(each)["hosts"].values()} == {4}
