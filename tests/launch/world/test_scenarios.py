"""Random testbeds with random faults: whatever befalls them, the account balances and everybody comes back."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from gmsr.launch.world.explore import play
from gmsr.launch.world.scenario import scenario

KNOWN, FRESH = 150, 100
FOUND = (415, 3952)
"""Seeds of scenarios that once failed: a job given up on word of its server, which had taken in those before it; a
server that died, and was there again, while its dispatcher stood still."""


def explored(first: int, last: int) -> dict[str, Any]:
    """By the command, which spreads them over the cores; what it says of a failure replays it."""
    told = subprocess.run(
        [sys.executable, "-m", "gmsr", "explore", "--seeds", f"{first}:{last}", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    found: dict[str, Any] = json.loads(told.stdout)
    return found


@pytest.mark.slow
def test_scenarios_of_known_seeds() -> None:
    found = explored(0, KNOWN)
    assert found["lost"] > 0
    assert found["resent"] > 0
    assert found["faults"] > KNOWN


@pytest.mark.parametrize("seed", FOUND)
def test_scenarios_that_once_failed(seed: int) -> None:
    assert play(scenario(seed)).broken == []


@pytest.mark.slow
def test_scenarios_nobody_has_seen() -> None:
    """Seeds of their own in every run; a failure tells the command that replays it."""
    base = int.from_bytes(os.urandom(4), "big")
    print(f"fresh scenarios: gmsr explore --seeds {base}:{base + FRESH}")
    explored(base, base + FRESH)


@pytest.mark.slow
def test_a_scenario_is_a_function_of_its_seed() -> None:
    """In two processes whose strings hash differently, and in this one: the same rows, to the last digit."""
    program = (
        "import sys; from gmsr.launch.world.explore import play; from gmsr.launch.world.scenario import scenario\n"
        "for seed in map(int, sys.argv[1:]): print(play(scenario(seed)).digest)"
    )
    seeds = ["3", "7", "26", "59"]
    told = {
        subprocess.run(
            [sys.executable, "-c", program, *seeds],
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    }
    here = "".join(f"{play(scenario(int(seed))).digest}\n" for seed in seeds)
    assert told == {here}


def test_scenarios_are_not_all_alike() -> None:
    """Every kind of fault, every delivery, latency and scale comes up."""
    drawn = [scenario(seed) for seed in range(120)]
    kinds = {fault.kind for each in drawn for fault in each.faults}
    assert kinds == {
        "crash", "freeze", "slow", "cut", "delay", "loss", "duplicate", "reorder", "surge", "drain", "join",
    }  # fmt: skip
    assert {each.options.again for each in drawn} == {each.by_bytes for each in drawn} == {False, True}
    assert len({each.latency for each in drawn}) == 3
    assert len({each.options.policy for each in drawn}) > 8
    assert {server.learn for each in drawn for server in each.topology.servers} == {False, True}
