"""New topologies: a generated or imported graph, with rates that give it the wished load."""

from pathlib import Path
from typing import Any

import click
import yaml

from gmsr.topology import generate
from gmsr.topology.check import problems
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Edge, Topology


def make(
    kind: str,
    dispatchers: int,
    servers: int,
    degree: int,
    load: float,
    *,
    seed: int,
    rates: str,
    curves: str,
    spread: float,
    source: Path | None,
) -> Topology:
    """A topology at load ``load`` (1: the demand just fits). Raises UserError on what makes no sense."""
    if not 0.0 < load < float("inf"):
        raise UserError(f"--load: {load:g} must be a number > 0")
    if not 1.0 <= spread < float("inf"):
        raise UserError(f"--spread: {spread:g} must be 1 or more")
    if curves not in (*generate.CURVES, "mixed"):
        raise UserError(f"--curves: {curves!r} is unknown; choose one of {', '.join(generate.CURVES)}, mixed")
    if (kind == "import") != (source is not None):
        raise UserError("--from: goes with the kind 'import', and only with it")
    if source is None:
        made = generate.generate(kind, dispatchers, servers, degree, seed, rates, curves, spread)
    else:
        made = _imported(source, seed, rates, curves, spread)
    for problem in problems(made):
        raise UserError(f"topology: {problem}")
    return generate.with_rates(made, _factor(made, load))


def naive(kind: str, parameter: float | None, scale: float | None) -> Topology | None:
    """A member of a family on which a naive policy fails; None if KIND is none of them. Raises UserError."""
    from gmsr.topology.theory import naive as families

    if kind not in families.FAMILIES:
        if parameter is not None:
            raise UserError(
                f"--parameter: goes with the kinds {', '.join(families.FAMILIES)}, and only with them"
            )
        return None
    return families.make(
        kind, 10.0 if parameter is None else parameter, families.SCALE if scale is None else scale
    )


def write(topology: Topology, out: Path | None, runs: bool = False) -> None:
    """YAML to a new file, or standard output; with how to run it if ``runs``. Raises UserError if the file exists."""
    plain = topology.to_dict()
    if not runs:
        del plain["run"]
    text = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UserError(f"--out: {out} exists; name a file that does not, nothing is overwritten") from error
    except OSError as error:
        raise UserError(f"--out: {out}: {error.strerror}; name a file that can be written") from error


class _Dumper(yaml.SafeDumper):
    """One line for each dispatcher, server and edge."""

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> Any:
        inner = isinstance(mapping, dict) and ({"id", "kind", "from"} & mapping.keys())
        return super().represent_mapping(tag, mapping, flow_style=True if inner else flow_style)


def _imported(source: Path, seed: int, rates: str, curves: str, spread: float) -> Topology:
    from gmsr.topology.importers import read

    dispatchers, servers, edges = read(source)
    # A graph of the same size lends its rates and curves; only its edges are replaced.
    lender = generate.generate("complete", len(dispatchers), len(servers), 1, seed, rates, curves, spread)
    return lender._replace(
        name=source.stem,
        dispatchers=tuple(
            each._replace(id=name) for each, name in zip(lender.dispatchers, dispatchers, strict=True)
        ),
        servers=tuple(each._replace(id=name) for each, name in zip(lender.servers, servers, strict=True)),
        edges=tuple(Edge(dispatcher, server) for dispatcher, server in edges),
    )


def _factor(topology: Topology, load: float) -> float:
    """What to multiply the rates by; where nothing limits them, a rate of 1 a second for each dispatcher."""
    from gmsr.topology.theory.capacity import load_factor

    now = load_factor(topology, {each.id: each.rate for each in topology.dispatchers})
    return load / now if now else float(len(topology.dispatchers))
