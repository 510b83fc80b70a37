"""What happened, told in the order of time."""

import json
from pathlib import Path

import pytest

from gmsr.launch.record.folder import Happening, tell
from gmsr.launch.record.story import complaints, story
from gmsr.topology.errors import UserError


def test_it_is_told_in_order_and_for_one_agent(wide_dir: Path) -> None:
    for happening in (
        Happening(t=3.0, event="begin", kind="crash", agents=["s1"], what="crash s1", by="hand"),
        Happening(t=3.1, event="died", agents=["s1"], by="fault", why="SIGKILL"),
        Happening(t=9.0, event="started", agents=["s1"], life=2),
        Happening(t=4.0, event="begin", kind="cut", agents=["d2"], edges=[("d2", "s3")], what="cut d2"),
    ):
        tell(wide_dir, happening)
    statement = wide_dir / "agents" / "d1.json"
    content = json.loads(statement.read_text())
    content["events"] = [[3.5, "suspect", "s1"], [3.6, "leaving", "s2"]]
    statement.write_text(json.dumps(content))
    (wide_dir / "agents" / "s1.err").write_text("oh\n")
    (wide_dir / "agents" / "s2.err").write_text("")
    assert [(line.t, line.who, line.what) for line in story(wide_dir)] == [
        (3.0, "hand", "begin: crash s1"),
        (3.1, "s1", "died (SIGKILL, by fault)"),
        (3.5, "d1", "suspects s1 and sends it nothing more"),
        (3.6, "d1", "hears that s2 leaves"),
        (4.0, "schedule", "begin: cut d2"),
        (9.0, "s1@2", "began its next life"),
    ]
    assert [line.t for line in story(wide_dir, "s1")] == [3.0, 3.1, 3.5, 9.0]
    assert [line.t for line in story(wide_dir, "s3")] == [4.0]
    assert complaints(wide_dir) == {"s1": "oh\n"}
    assert complaints(wide_dir, "d1") == {}


def test_an_agent_that_there_is_not(wide_dir: Path) -> None:
    with pytest.raises(UserError, match="no agent 's9'"):
        story(wide_dir, "s9")
