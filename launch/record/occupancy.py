"""How long a server held how many jobs, from its visits' exact instants."""

import numpy as np
from numpy.typing import NDArray


def occupancy(
    arrived: NDArray[np.float64], departed: NDArray[np.float64], begin: float, end: float
) -> NDArray[np.float64]:
    """Seconds of [begin, end) by number of jobs, shape (most + 1,).

    ``arrived`` and ``departed`` (shape (visits,), not-a-number while still there) in emulated seconds.
    """
    gone = departed[~np.isnan(departed)]
    at = np.concatenate([arrived, gone, [begin, end]])
    change = np.concatenate([np.ones(len(arrived)), -np.ones(len(gone)), [0.0, 0.0]])
    order = np.argsort(at, kind="stable")
    at, jobs = np.clip(at[order], begin, end), np.cumsum(change[order]).astype(np.int64)
    return np.bincount(np.maximum(jobs[:-1], 0), np.diff(at)).astype(np.float64)  # also if there are none
