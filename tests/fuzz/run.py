"""``python tests/fuzz/run.py TARGET [-runs=N] [libFuzzer's options] CORPUS…``: the fuzzer itself (README.md)."""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a script's own folder is all that it finds

NAMES = ("decoder", "dispatcher", "server", "orders")


def main() -> None:
    """Fuzz one target until it fails, or until it has run as often as it was told."""
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in NAMES:
        sys.exit(f"run.py: {name!r} is no target; choose one of {', '.join(NAMES)}")
    if name != "decoder":
        import gmsr.broker.wire  # noqa: F401 - not instrumented: it has its own target, and others gain a sixth
    with atheris.instrument_imports(include=["gmsr.agents", "gmsr.broker"]):
        from tests.fuzz import targets
    sys.argv[0] = (
        f"{sys.executable} {sys.argv[0]} {name}"  # with -merge=1 libFuzzer has the shell start it again
    )
    atheris.Setup(sys.argv, getattr(targets, name))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
