"""Traces: read strictly, split by a hash that anyone can repeat, and made anew from a fitted model."""

import hashlib
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmsr.launch import packaged, trace_model, traces
from gmsr.launch.demand import at_load, demand
from gmsr.launch.traces import Trace
from gmsr.topology import files
from gmsr.topology.errors import UserError

HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
ROWS = "2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,0\n2023-11-16 18:18:04.0319600,1,7\n"


def write(folder: Path, text: str) -> Path:
    (folder / "t.csv").write_text(text)
    return folder / "t.csv"


def test_the_azure_format(tmp_path: Path) -> None:
    for text in (HEAD + ROWS, HEAD + ROWS.rstrip("\n"), HEAD + ROWS.replace("\n", "\r\n")):
        trace = traces.read(write(tmp_path, text))
        assert trace.seconds == pytest.approx([0.0, 0.052, 60.052], abs=1e-6)
        assert list(trace.sizes) == [10.0, 1.0, 7.0], "a request that generated nothing counts as 1"
        assert trace.rate == pytest.approx(2 / 60.052)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: is not TIMESTAMP,"),
        ("a,b,c\n" + ROWS, "line 1: is not TIMESTAMP,"),
        (HEAD, "holds 0 requests"),
        (HEAD + ROWS.splitlines()[0] + "\n", "holds 1 requests"),
        (
            HEAD + ROWS + "2023-11-16 18:18",
            "line 5: '2023-11-16 18:18' is no request; the file is half-written",
        ),
        (HEAD + ROWS + "2023-11-16 18:18:09.1,5\n", "line 5: '2023-11-16 18:18:09.1,5' is no request; write"),
        (HEAD + ROWS + "2023-11-16 18:18:09.1,5,x\n", "line 5:"),
        (HEAD + ROWS + "2023-11-16 18:18:09.1,5,-1\n", "line 5: a negative number of tokens"),
        (HEAD + ROWS + "2023-11-16 18:17:09.1,5,1\n", "line 5: is earlier than the line before"),
        (HEAD + ROWS + "16.11.2023 18:17,5,1\n", "line 5:"),
    ],
)
def test_bad_traces_name_file_line_and_mend(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        traces.read(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_unreadable_traces(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        traces.read(tmp_path / "none.csv")
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="no UTF-8"):
        traces.read(tmp_path / "t.csv")
    with (tmp_path / "t.csv").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(UserError, match="1,074 MB"):
        traces.read(tmp_path / "t.csv")


def a_trace(count: int) -> Trace:
    order = np.arange(count, dtype=np.float64)
    return Trace(order * 0.5, np.ones(count), 1.0 + order)


def test_the_split_is_a_hash_that_anyone_can_repeat() -> None:
    parts = traces.split(a_trace(2000), {"a": 1.0, "b": 3.0}, seed=7, speed=2.0)
    assert sum(len(rows) for rows in parts.values()) == 2000
    assert len(parts["b"]) == pytest.approx(1500, abs=4 * np.sqrt(2000 * 0.25 * 0.75))
    draws = [
        int.from_bytes(hashlib.blake2b(f"7/{k}".encode(), digest_size=8).digest(), "big") / 2**64
        for k in range(2000)
    ]
    assert [row[1] - 1.0 for row in parts["a"]] == [k for k, draw in enumerate(draws) if draw < 0.25]
    assert parts["a"][0][0] == (parts["a"][0][1] - 1.0) * 0.25, "half a second each, played twice as fast"
    again = traces.split(a_trace(2000), {"a": 1.0, "b": 3.0}, seed=8, speed=2.0)
    assert len(again["a"]) != len(parts["a"]) or not np.array_equal(again["a"], parts["a"])


@given(
    st.lists(
        st.tuples(st.floats(0.0, 50.0), st.integers(0, 9999), st.integers(1, 2000)), min_size=2, max_size=30
    )
)
@settings(max_examples=50)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, int, int]]
) -> None:
    gaps = np.array([gap for gap, _, _ in rows])
    gaps[0] = 0.0
    gaps[1] = max(gaps[1], 1.0)
    made = Trace(
        np.cumsum(gaps), np.array([float(row[1]) for row in rows]), np.array([float(row[2]) for row in rows])
    )
    path = tmp_path_factory.mktemp("t") / "t.csv"
    traces.write(path, made, datetime(2000, 1, 1))
    again = traces.read(path)
    assert np.allclose(again.seconds, made.seconds, atol=2e-6)
    assert np.array_equal(again.sizes, made.sizes)
    assert np.array_equal(again.context, made.context)


def test_a_model_keeps_what_it_promises() -> None:
    """Fitted to one synthetic trace, it makes another whose rate, sizes and bursts are alike."""
    packaged_model = trace_model.load(packaged.folder() / "llm-trace-model.json")
    first = trace_model.generate(packaged_model, 20_000, seed=11)
    second = trace_model.generate(trace_model.fit(first), 20_000, seed=12)
    one, two = traces.statistics(first), traces.statistics(second)
    assert two["rate"] == pytest.approx(one["rate"], rel=0.25)
    assert two["size_mean"] == pytest.approx(one["size_mean"], rel=0.1)
    assert two["size_median"] == pytest.approx(one["size_median"], rel=0.1)
    assert two["dispersion_10s"] == pytest.approx(one["dispersion_10s"], rel=0.5)
    assert one["dispersion_10s"] > 20, "far burstier than Poisson"


def test_a_generated_trace_is_fixed_by_its_seed() -> None:
    model = trace_model.load(packaged.folder() / "llm-trace-model.json")
    one, same, other = (trace_model.generate(model, 500, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.seconds, same.seconds)
    assert not np.array_equal(one.seconds, other.seconds)
    assert len(one.seconds) == 500
    assert one.sizes.min() >= 1.0


def test_the_packaged_trace_is_the_generators_own(tmp_path: Path) -> None:
    model = trace_model.load(packaged.folder() / "llm-trace-model.json")
    traces.write(tmp_path / "again.csv", trace_model.generate(model, 8000, 4), trace_model.BEGIN)
    assert (tmp_path / "again.csv").read_bytes() == (packaged.folder() / "llm-trace.csv").read_bytes()


def test_models_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("{}")
    with pytest.raises(UserError, match="is no trace model"):
        trace_model.load(tmp_path / "m.json")
    with pytest.raises(UserError, match="No such file"):
        trace_model.load(tmp_path / "none.json")
    with pytest.raises(UserError, match="fewer than three busy spells"):
        trace_model.fit(a_trace(100))
    model = trace_model.load(packaged.folder() / "llm-trace-model.json")
    with pytest.raises(UserError, match="File exists"):
        trace_model.save(tmp_path / "m.json", model, "")


def test_demand_and_load() -> None:
    fleet = files.load(packaged.path("llm-fleet-trace")).topology
    wanted = demand(fleet)
    assert sum(wanted.rates.values()) == pytest.approx(traces.read(Path(fleet.arrivals.trace)).rate * 40)
    assert wanted.mean_size == pytest.approx(27.8, abs=0.1)
    from gmsr.topology.theory.capacity import load_factor

    for name in ("llm-fleet", "llm-fleet-trace"):
        scaled = at_load(files.load(packaged.path(name)).topology, 0.55)
        assert load_factor(scaled, demand(scaled).volume) == pytest.approx(0.55, rel=1e-4)
    with pytest.raises(UserError, match="without a cap"):
        at_load(files.load(packaged.path("two-regions")).topology, 0.5)
