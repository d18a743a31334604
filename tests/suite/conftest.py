"""A service that can go and come back, and where a suite and its run lie, for the tests of the test run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kits.testrun_kit import LineServer


@pytest.fixture
def database() -> Iterator[LineServer]:
    server = LineServer()
    yield server
    server.down()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "project"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"
