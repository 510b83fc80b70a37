"""A run directory as it is when a run has just begun, and a finished run."""

from pathlib import Path

import pytest

from gmsr.launch import packaged, plan
from gmsr.launch.choices import choose
from gmsr.launch.run_dir import make_folder, write_plan
from gmsr.topology.files import load


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """The run directory of two dispatchers and six servers, of which nothing has been heard yet."""
    topology, _ = load(str(packaged.path("two-regions")))
    options = plan.options(topology, duration=60.0, warmup=0.0, scale=2.0)
    run_dir = make_folder(topology, options, tmp_path / "run")
    policy = choose("gmsr")
    inputs = plan.prepare(topology, options, run_dir / "inputs")
    specs = plan.specs(topology, options, policy, run_dir, "/tmp", "token", inputs)
    write_plan(run_dir, options, policy, specs, inputs)
    return run_dir
