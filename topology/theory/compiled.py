"""Compiled loops: numba's decorators, typed, with a cache on disk.

A compiled function is what a plain one would be, only faster: what stands in it is Python, and a test may call
``function.py_func``. The first use on a machine compiles for some seconds; later ones load the cache (``cache``).
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import numba

from .cache import folder

Function = TypeVar("Function", bound=Callable[..., Any])

# Threads that wait for the next parallel loop sleep. By default they would spin, and where others use the machine too,
# whoever is put off the processor while all spin costs milliseconds a loop. Read when the first threads start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

SHARED: dict[str, Any] = {"error_model": "numpy", "nogil": True}
"""Divisions by zero give infinities. Other threads run on: one that waits for a long loop can hear Ctrl-C."""


def compiled(function: Function) -> Function:
    """Compile for one core."""
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
        made: Function = numba.njit(cache=True, **SHARED, **options)(function)
    except RuntimeError:  # nowhere to keep a cache: compile anew each time
        made = numba.njit(**SHARED, **options)(function)
    finally:
        config.CACHE_DIR = before
    return made


_CACHE = str(folder())
