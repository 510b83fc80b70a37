"""Compiled loops: numba's decorators, typed, with a cache on disk that knows when it is stale.

A compiled function is what a plain one would be, only faster: what stands in it is Python, and a test may call
``function.py_func``. The first use on a machine compiles for some seconds; later ones load the cache. numba looks only
at the file that a function stands in, and would go on using old code of what it calls in other files. So the
cache's folder is named after a digest of all files that hold compiled code.
"""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

HERE = Path(__file__).resolve().parent


def compiled(function: Function) -> Function:
    """Compile for one core. Divisions by zero give infinities, as in numpy."""
    return _compile(function, {})


def inlined(function: Function) -> Function:
    """Compile into each caller: a call that hands over a tuple of a dozen arrays costs more than a curve does."""
    return _compile(function, {"forceinline": True})


def parallel(function: Function) -> Function:
    """Compile ``numba.prange`` loops for all cores."""
    return _compile(function, {"parallel": True})


def _compile(function: Function, options: dict[str, Any]) -> Function:
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = _CACHE  # read while decorating; nobody else's functions are to follow
    try:
        made: Function = numba.njit(cache=True, error_model="numpy", **options)(function)
    except RuntimeError:  # nowhere to keep a cache: compile anew each time
        made = numba.njit(error_model="numpy", **options)(function)
    finally:
        config.CACHE_DIR = before
    return made


def _cache() -> str:
    """Beside these files, as Python's own caches are; in the user's cache folder where that cannot be written."""
    digest = sha256()
    for source in sorted([*HERE.glob("*.py"), HERE.parent / "curves.py"]):
        text = source.read_bytes()
        if b"@compiled" in text or b"@inlined" in text or b"@parallel" in text or source.name == "curves.py":
            digest.update(text)
    name = f"compiled-{digest.hexdigest()[:16]}"
    if os.access(HERE, os.W_OK):
        return str(HERE / "__pycache__" / name)
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return str(Path(home) / "gmsr" / name)


_CACHE = _cache()
