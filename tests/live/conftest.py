"""Fixtures of the live tests."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name (107 bytes at most)."""
    with tempfile.TemporaryDirectory(prefix="gmsr-", dir=os.environ.get("XDG_RUNTIME_DIR")) as name:
        yield Path(name)
