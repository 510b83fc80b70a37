"""Work spread over processes of its own kind, which a Ctrl-C ends at once and without their own tracebacks."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context, resource_tracker
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None, chunk: int = 1
) -> Iterator[Result]:
    """``function`` of each item, in order, by so many processes (None: as many as cores)."""
    resource_tracker.ensure_running()  # its start would undo what is blocked
    # Processes inherit what is blocked: a terminal's Ctrl-C is ours to answer, also while they are starting.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        pool = get_context("spawn").Pool(min(workers or os.cpu_count() or 1, len(items)))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with pool:  # which ends them, done or not
        yield from pool.imap(function, items, chunk)
