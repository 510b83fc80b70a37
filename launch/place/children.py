"""What a nursery knows of its children beside that they live."""

import os
from contextlib import suppress

LAST_WORDS = 4096


def cpu_real_s(pid: int) -> float:
    """Processor time of a child that is not yet reaped (proc(5): utime, stime; the name before may hold anything)."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def last_words(path: str) -> str:
    """The end of a file that holds its standard error."""
    with suppress(OSError), open(path, "rb") as file:  # noqa: PTH123
        file.seek(max(os.fstat(file.fileno()).st_size - LAST_WORDS, 0))
        return file.read().decode(errors="replace").strip()
    return ""
