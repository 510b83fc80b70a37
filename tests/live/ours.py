"""Our own processes among a test's children: browsers and notebooks of other tests may be there too."""

from contextlib import suppress

import psutil


def ours() -> list[psutil.Process]:
    """Nurseries and agents that live; an agent is forked from a nursery and has its command line."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            if "gmsr.launch.place.nursery" in child.cmdline():
                found.append(child)
    return found
