"""Where compiled loops are kept, and whether they are there. Loads nothing heavy."""

import os
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).resolve().parent
MARKS = (b"@compiled", b"@inlined", b"@parallel")


def folder() -> Path:
    """Beside these files, as Python's own caches are; in the user's cache folder where that cannot be written.

    numba looks only at the file that a function stands in, and would go on using old code of what it calls in other
    files. So the folder is named after a digest of all files that hold compiled code.
    """
    digest = sha256((HERE.parent / "curves.py").read_bytes())
    for source in sorted(HERE.glob("*.py")):
        text = source.read_bytes()
        if any(mark in text for mark in MARKS):
            digest.update(text)
    name = f"compiled-{digest.hexdigest()[:16]}"
    if os.access(HERE, os.W_OK):
        return HERE / "__pycache__" / name
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "gmsr" / name


def holds(function: str) -> bool:
    """Whether ``module.function`` was compiled here before."""
    return any(folder().rglob(f"{function}-*.nbi"))
