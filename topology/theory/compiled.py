"""Compiled loops: numba's decorators, typed, with a cache on disk where there is room for one.

A compiled function is what a plain one would be, only faster: what stands in it is Python, and a test may call
``function.py_func``. The first use on a machine compiles for some seconds; later ones load the cache, which
numba keeps beside the source, or in the user's cache folder where that cannot be written.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile for one core. Divisions by zero give infinities, as in numpy."""
    return _compile(function, {})


def parallel(function: Function) -> Function:
    """Compile ``numba.prange`` loops for all cores."""
    return _compile(function, {"parallel": True})


def _compile(function: Function, options: dict[str, Any]) -> Function:
    try:
        made: Function = numba.njit(cache=True, error_model="numpy", **options)(function)
    except RuntimeError:  # nowhere to keep a cache: compile anew each time
        made = numba.njit(error_model="numpy", **options)(function)
    return made
