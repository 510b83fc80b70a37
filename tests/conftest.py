"""How tests share two cores: whatever starts agents takes turns, on one of them."""

import pytest

AGENTS_IN = (
    "test_nursery.py",
    "test_run.py",
    "test_tcp.py",
    "test_compare.py",
    "test_pace.py",
    "test_cli.py",
)
"""Files that start agents here and there without being live tests as a whole."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two testbeds side by side would find each other's sockets, and share what time there is."""
    for item in items:
        if item.get_closest_marker("live") or item.path.name in AGENTS_IN:
            item.add_marker(pytest.mark.xdist_group("agents"))
