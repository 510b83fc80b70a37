"""The structure of the code, held by a test: who imports whom, sizes, what an agent loads."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("agents", "broker", "topology", "launch")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

MAY_IMPORT = {
    "broker": {"broker"},
    "topology": {"topology"},
    "agents": {"agents", "broker", "topology"},
    "launch": set(FOLDERS),
}
LINES_A_FILE = 400
LINES_A_FUNCTION = 60

PURE = [
    *(ROOT / "agents" / f"{name}.py" for name in (
        "machine", "dispatcher", "care", "offering", "sight", "ages", "server", "sharing", "gauge", "view", "ledger",
        "workload", "suspicion", "inventory", "learning", "study", "work",
    )),
    *(ROOT / "agents" / "policies").glob("*.py"),
    *(ROOT / "agents" / "feeds").glob("*.py"),
    *(ROOT / "broker" / f"{name}.py" for name in ("wire", "census", "impair", "inlet")),
    *(ROOT / "topology" / f"{name}.py" for name in ("curves", "table", "graph", "faults", "check", "generate")),
    *(ROOT / "launch" / "faults" / f"{name}.py" for name in ("draw", "steps")),
]  # fmt: skip
"""Files without clock, socket, process or file."""
IMPURE = {"time", "socket", "select", "os", "zmq", "subprocess", "threading", "pathlib", "io", "tempfile"}

RUNS_WHAT_IT_READS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "subprocess", "code", "runpy"}
RUNS = re.compile(
    r"eval|exec|compile|__import__|os\.(system|popen|exec.*|spawn.*|posix_spawn.*)|.*\.(recv|send)_pyobj"
)

HEAVY = {
    "numpy", "scipy", "numba", "networkx", "matplotlib", "pyarrow", "msgspec", "yaml", "click", "psutil", "cvxpy",
    "logging", "dataclasses", "argparse", "multiprocessing", "importlib.metadata", "gmsr.launch",
}  # fmt: skip
"""What no agent may load: each costs milliseconds and megabytes, times a thousand processes."""


def imports(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.append(node.module or "")
    return names


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_folders_import_only_what_they_may(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    for module in imports(path):
        first, _, rest = module.partition(".")
        assert first not in FOLDERS, f"import gmsr.{module}, not {module}"
        if first == "gmsr":
            other = rest.partition(".")[0]
            assert other in MAY_IMPORT[folder], f"{folder} may not import {module}"
            assert other != folder, f"inside a folder import relatively, not {module}"
    if folder == "agents":
        assert not any("topology.theory" in module for module in imports(path))


@pytest.mark.parametrize("path", PURE, ids=name)
def test_pure_files_reach_no_outside_world(path: Path) -> None:
    assert not {module.partition(".")[0] for module in imports(path)} & IMPURE


def test_nothing_that_comes_in_can_become_code() -> None:
    """No pickle, eval or shell where frames and orders are read."""
    for path in FILES:
        if path.relative_to(ROOT).parts[0] not in ("agents", "broker"):
            continue
        assert not {module.partition(".")[0] for module in imports(path)} & RUNS_WHAT_IT_READS, name(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                assert not RUNS.fullmatch(ast.unparse(node.func)), f"{name(path)}:{node.lineno}"
                assert "shell" not in [keyword.arg for keyword in node.keywords], (
                    f"{name(path)}:{node.lineno}"
                )


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_can_be_read_in_one_sitting(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= LINES_A_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < LINES_A_FUNCTION, f"{node.name} is too long"


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=name)
def test_package_files_import_nothing(path: Path) -> None:
    assert imports(path) == []


def test_no_file_hides_a_module_of_the_standard_library() -> None:
    """Commands are files of their names, and nobody runs one as a script."""
    files = [path for path in FILES if path.parent.name != "commands"]
    assert not [name(path) for path in files if path.stem in sys.stdlib_module_names]


def test_an_agent_loads_nothing_heavy() -> None:
    program = "import sys, gmsr.agents.process; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    found = set(loaded.split())
    assert not found & HEAVY, f"an agent loads {sorted(found & HEAVY)}"
