"""The packaged topologies and their files."""

from importlib.resources import files
from pathlib import Path

from gmsr.topology.errors import UserError

TRACES = {"llm-fleet-trace": ("llm-trace.csv",)}
"""Examples that read another file."""


def folder() -> Path:
    """Where they lie."""
    return Path(str(files("gmsr.launch.examples")))


def titles() -> dict[str, str]:
    """Name → what it shows: the first line of its file."""
    made = {}
    for file in sorted(folder().glob("*.yaml")):
        with file.open(encoding="utf-8") as text:
            made[file.stem] = text.readline().lstrip("# ").strip()
    return made


def path(name: str) -> Path:
    """The file of an example. Raises UserError if there is none of that name."""
    if name not in titles():
        raise UserError(f"no example is called {name!r}; choose one of {', '.join(titles())}")
    return folder() / f"{name}.yaml"


def read(name: str) -> str:
    """An example's text."""
    return path(name).read_text(encoding="utf-8")


def copy(name: str, target: Path) -> list[Path]:
    """Copy an example; returns the new files. Raises UserError if one of them exists already."""
    sources = [path(name), *(folder() / other for other in TRACES.get(name, ()))]
    made = [target / source.name for source in sources]
    for file in made:
        if file.exists():
            raise UserError(f"{file}: exists; name another folder, nothing is overwritten")
    try:
        target.mkdir(parents=True, exist_ok=True)
        for source, file in zip(sources, made, strict=True):
            file.write_bytes(source.read_bytes())
    except OSError as error:
        raise UserError(f"{target}: {error.strerror}; name a folder that can be written") from error
    return made
