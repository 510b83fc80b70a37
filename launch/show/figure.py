"""What all pictures in files share: the check before anything is worked out, panels, and the file at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from gmsr.topology.errors import UserError

FORMATS = (".svg", ".png", ".pdf")
ENDS = {".svg": {"metadata": {"Date": None}}, ".png": {}, ".pdf": {"metadata": {"CreationDate": None}}}
"""The same picture gives the same file."""


def writable(out: Path | None, option: str = "--plot") -> None:
    """Raise UserError, before the work, if the file exists, its folder does not, or its ending is none of ours."""
    if out is None:
        return
    if out.suffix.lower() not in FORMATS:
        raise UserError(f"{option}: {out} ends in neither {' nor '.join(FORMATS)}; name it so")
    fresh(out, option)


def fresh(out: Path, option: str) -> None:
    """Raise UserError, before the work, if the file exists, or its folder does not."""
    if out.exists():
        raise UserError(f"{option}: {out} exists; name a file that does not, nothing is overwritten")
    if not out.parent.is_dir():
        raise UserError(
            f"{option}: {out}: No such file or directory; make folder {out.parent}, or name another"
        )


def panels(count: int, width: float = 4.1, height: float = 3.3) -> tuple[Any, Any]:
    """A figure with panels side by side; returns it and its axes, an array of shape (count,)."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "gmsr"
    mpl.rcParams["pdf.fonttype"] = 42  # letters that publishers accept, and people can search
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        1, count, figsize=(width * count, height), layout="constrained", squeeze=False
    )
    for each in axes[0]:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes[0]


def save(figure: Any, out: Path, option: str = "--plot") -> None:
    """Write the file and forget the figure. Raises UserError where that cannot be done."""
    from matplotlib import pyplot as plt

    ending = out.suffix.lower()
    try:
        with whole(out, option) as file:
            figure.savefig(file, format=ending[1:], dpi=150, **ENDS[ending])
    finally:
        plt.close(figure)


@contextmanager
def whole(out: Path, option: str) -> Iterator[BinaryIO]:
    """A new file to be written; if that is interrupted or fails, no part of it is left.

    Raises UserError where it cannot be made.
    """
    try:
        with out.open("xb") as file:
            try:
                yield file
            except BaseException:
                out.unlink()
                raise
    except FileExistsError as error:
        raise UserError(
            f"{option}: {out} exists; name a file that does not, nothing is overwritten"
        ) from error
    except OSError as error:
        raise UserError(f"{option}: {out}: {error.strerror}; name a file that can be written") from error
