"""Frames of a finished run against sums over its journals."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gmsr.launch import packaged, plan
from gmsr.launch.record.load import load
from gmsr.launch.watch.replay import aims, faults, frames
from gmsr.launch.watch.source import Replay
from gmsr.launch.world.simulate import simulate
from gmsr.topology.files import load as load_file

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    topology, _ = load_file(str(packaged.path("two-regions")))
    folder = tmp_path_factory.mktemp("replay") / "run"
    simulate(topology, plan.options(topology, duration=30.0, warmup=5.0, scale=2.0), folder)
    return folder


def test_they_add_up_to_the_journals(run: Path) -> None:
    played = load(run)
    found = frames(played)
    jobs = pd.read_parquet(run / "jobs.parquet")
    ends = np.array([frame.t for frame in found])
    assert ends[-1] == pytest.approx(30.0)
    width = ends[1] - ends[0]
    assert sum(frame.offered for frame in found) * width == pytest.approx((jobs["arrival"] < 30.0).sum())
    flows: dict[tuple[str, str], float] = {}
    for frame in found:
        for front, own in frame.flows.items():
            for back, flow in own.items():
                flows[front, back] = flows.get((front, back), 0.0) + flow * width
    sent = jobs[jobs["sent"] < 30.0]
    counts = Counter(zip(sent["dispatcher"], sent["server"], strict=True))
    assert {edge: flow for edge, flow in flows.items() if flow} == pytest.approx(dict(counts))
    late = jobs[(jobs["done"] >= 5.0) & (jobs["done"] < 30.0)]
    assert found[-1].so_far == pytest.approx(late["latency"].mean())
    middle = found[len(found) // 2]
    under_way = ((jobs["arrival"] < middle.t) & ~(jobs["done"] < middle.t)).sum()
    assert middle.in_flight == under_way
    for server in played.topology.servers:  # type: ignore[union-attr]
        mean = np.mean([frame.servers[server.id][0] for frame in found])
        assert mean == pytest.approx(np.mean(played.series.workload_of[server.id]))  # type: ignore[union-attr]


def test_it_says_what_was_optimal(run: Path) -> None:
    played = load(run)
    assert played.summary is not None
    assert aims(played)[0].workload == played.summary["optimum"]["workload"]
    assert faults(played) == []


def test_a_page_is_given_all_of_it_or_what_is_behind(run: Path) -> None:
    source = Replay(load(run))
    about, news = source.about(), source.news(0)
    assert about["mode"] == news["mode"] == "replay"
    assert [frame["number"] for frame in news["frames"]] == [*range(1, len(news["frames"]) + 1)]
    assert len(source.news(5)["frames"]) == len(news["frames"]) - 5
    names = {name for side in ("dispatchers", "servers") for name, _ in about[side]}
    assert {name for edge in about["edges"] for name in edge} == names


def test_a_run_without_journals_says_so(run: Path, tmp_path: Path) -> None:
    for name in ("plan.json", "topology.json", "launch.json", "summary.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    source = Replay(load(tmp_path))
    assert source.news(0)["frames"] == []
    assert any("nothing over time" in line for line in source.about()["problems"])
