"""Services that only sleep, to be kept by a supervisor, and its folder, of which nothing is left at the end."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from resilience.host.processes import Launch
from resilience.stand_ins import supervision
from resilience.stand_ins.lease import Lease
from tests.kits.stand_in_kit import eventually, processes_naming

LINUX = sys.platform == "linux"

LONG = Lease(seconds=3600, warn_s=1)


def sleeper(folder: Path, name: str = "sleeper", digest: str = "1") -> Launch:
    """A service whose command line names the folder, so that what is left of it can be found."""
    code = "import signal; signal.pause()"
    return Launch(
        name=name,
        argv=(sys.executable, "-I", "-S", "-c", code, str(folder)),
        cwd=str(folder),
        log=str(folder / f"{name}.log"),
        digest=digest,
    )


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    place = tmp_path / "supervisor"
    place.mkdir()
    yield place
    await supervision.end(place)
    assert eventually(lambda: not processes_naming(tmp_path)), "something of ours is left"
