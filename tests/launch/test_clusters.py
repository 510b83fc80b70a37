"""The files of docs/clusters, as far as they can be checked without a cluster."""

import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from gmsr.launch.commands.run import command
from gmsr.launch.placing import Wish, placing
from gmsr.topology import curves
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Dispatcher, Edge, Server, Topology

FILES = Path(__file__).resolve().parents[2] / "docs" / "clusters"
TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
TEXTS: dict[str, Any] = {"type": "object", "additionalProperties": TEXT}


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {
        "type": "object", "additionalProperties": False, "required": required, "properties": properties,
    }  # fmt: skip


def several(items: Any) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items}


CONTAINER = closed(
    ["name", "image", "resources"],
    name=TEXT,
    image=TEXT,
    resources=closed(["requests", "limits"], requests=TEXTS, limits=TEXTS),
    env=several(closed(["name", "value"], name=TEXT, value=TEXT)),
    volumeMounts=several(closed(["name", "mountPath"], name=TEXT, mountPath=TEXT)),
)
VOLUME = closed(
    ["name"],
    name=TEXT,
    configMap=closed(["name"], name=TEXT),
    persistentVolumeClaim=closed(["claimName"], claimName=TEXT),
)
POD = closed(["spec"], spec=closed(["containers"], containers=several(CONTAINER), volumes=several(VOLUME)))
WORKERS = closed(
    ["groupName", "rayStartParams", "template"],
    groupName=TEXT,
    replicas={"type": "integer"},
    minReplicas={"type": "integer"},
    maxReplicas={"type": "integer"},
    rayStartParams=TEXTS,
    template=POD,
)
RAY_JOB = closed(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=closed(["name"], name=TEXT),
    spec=closed(
        ["entrypoint", "rayClusterSpec"],
        entrypoint=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        shutdownAfterJobFinishes={"type": "boolean"},
        backoffLimit={"type": "integer"},
        rayClusterSpec=closed(
            ["headGroupSpec", "workerGroupSpecs"],
            rayVersion=TEXT,
            headGroupSpec=closed(["rayStartParams", "template"], rayStartParams=TEXTS, template=POD),
            workerGroupSpecs=several(WORKERS),
        ),
    ),
)
"""Of KubeRay's own definition, version 1, the fields that our manifest uses."""


def understood(words: list[str]) -> None:
    """Commands of the files are gmsr's: the topology is the first thing that is not there."""
    assert words[:2] == ["gmsr", "run"]
    told = CliRunner().invoke(command, [*words[2:], "--help"])
    assert told.exit_code == 0, told.output
    assert not [word for word in words if word.startswith("--") and word not in told.output]


def test_the_manifest_for_kubernetes() -> None:
    job, claim = yaml.safe_load_all((FILES / "kubernetes.yaml").read_text())
    jsonschema.validate(job, RAY_JOB)
    assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")
    spec = job["spec"]
    understood(spec["entrypoint"].split())
    cluster = spec["rayClusterSpec"]
    pods = [cluster["headGroupSpec"]["template"], *(each["template"] for each in cluster["workerGroupSpecs"])]
    assert len({pod["spec"]["containers"][0]["image"] for pod in pods}) == 1, "one version everywhere"
    head = pods[0]["spec"]
    assert {each["name"] for each in head["volumes"]} == {
        each["name"] for each in head["containers"][0]["volumeMounts"]
    }
    label = cluster["workerGroupSpecs"][0]["rayStartParams"]["labels"]
    assert f"--node-labels {label}" in spec["entrypoint"]


def test_the_job_file_for_slurm(tmp_path: Path) -> None:
    """With stand-ins for Slurm and Ray, which say what they were asked."""
    file = FILES / "slurm.sh"
    assert "#SBATCH --nodes=3" in file.read_text()
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "activate").write_text("")
    for name, does in (("scontrol", "printf 'n1\\nn2\\nn3\\n'"), ("srun", 'printf "%s\\n" "$@"')):
        (tools / name).write_text(f"#!/bin/sh\n{does}\n")
        (tools / name).chmod(0o755)
    environment = {
        "PATH": f"{tools}:{os.defpath}", "HOME": str(tmp_path), "GMSR_ENVIRONMENT": str(tmp_path),
        "SLURM_JOB_NODELIST": "n[1-3]", "SLURM_JOB_NUM_NODES": "3", "SLURM_JOB_ID": "7",
    }  # fmt: skip
    subprocess.run(["bash", "-n", str(file)], check=True)
    done = subprocess.run(
        ["bash", str(file)], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    ray, words = done[: done.index("--")], done[done.index("--") + 1 :]
    assert ray[1:] == ["ray", "symmetric-run", "--address", "n1:6379", "--min-nodes", "3"]
    understood(words)
    assert words[words.index("--ray") + 1] == "n1:6379"


def test_rays_command_takes_what_the_job_file_gives_it() -> None:
    pytest.importorskip("ray")
    from ray.scripts.symmetric_run import symmetric_run

    taken = {option for each in symmetric_run.params for option in each.opts}
    assert {"--address", "--min-nodes"} <= taken


def test_the_machines_of_a_cluster() -> None:
    pytest.importorskip("ray")
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((FILES / "machines.yaml").read_text())
    validate_config(prepare_config(config))


TOPOLOGY = Topology(
    "one",
    (Dispatcher("d1", 1.0),),
    (Server("s1", curves.make({"kind": "hyperbolic", "a": 4.0, "b": 2.0})),),
    (Edge("d1", "s1"),),
)


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (Wish(place="ray", hosts=Path("h")), "--hosts: is an inventory for --place ssh"),
        (Wish(place="local", nodes=2), "--place: --ray, --nodes, --node-labels and --node-resources are for"),
        (Wish(place="ssh"), "--place: ssh needs an inventory"),
        (Wish(ray="ray://head:10001"), "--ray: ray://head:10001 is for Ray's client"),
    ],
)
def test_what_does_not_fit_together_is_refused(wish: Wish, told: str) -> None:
    with pytest.raises(UserError) as refused:
        placing(TOPOLOGY, wish)
    assert told in str(refused.value)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--place: Ray is not installed here; .*gmsr\[ray\]"):
        placing(TOPOLOGY, Wish(place="ray"))


def test_nodes_are_named_and_chosen() -> None:
    from gmsr.launch.place.on_ray import Choice, chosen

    def node(number: int, name: str, labels: dict[str, str], **resources: float) -> dict[str, Any]:
        return {
            "id": f"n{number}", "name": name, "address": f"10.0.0.{number}", "labels": labels, "resources": resources,
        }  # fmt: skip

    nodes = [
        node(1, "10.0.0.1", {}),
        node(2, "pod/x", {"zone": "b"}, CPU=4.0),
        node(3, "same", {"zone": "b", "gmsr-host": "left"}, CPU=2.0),
        node(4, "same", {}, CPU=2.0),
        node(5, "same", {}, CPU=2.0),
    ]
    assert [host.name for host in chosen(nodes, Choice())] == [
        "10.0.0.1",
        "left",
        "pod-x",
        "same-1",
        "same-2",
    ]
    assert [host.node for host in chosen(nodes, Choice(labels={"zone": "b"}))] == ["n3", "n2"]
    assert [host.address for host in chosen(nodes, Choice(resources={"CPU": 4.0}))] == ["10.0.0.2"]
    assert len(chosen(nodes, Choice(nodes=2))) == 2
    with pytest.raises(UserError, match="--nodes: 6 wanted, and 5 of the cluster's 5 nodes fit"):
        chosen(nodes, Choice(nodes=6))
