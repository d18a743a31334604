"""The recorder is a process that ends with whoever started it, and whose death nothing is learned from."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.services.registry import KINDS
from resilience.teach.recording import RecorderError, Recording
from tests.kits.taught_kit import Staging, served


@pytest.fixture
def staging() -> Iterator[Staging]:
    with served() as made:
        yield made


def service(url: str, **more: object) -> Service:
    exports = {"BACKEND_URL": Secret(url.removesuffix("/health"))}
    return Service(name="api", kind=KINDS["http"], url=Secret(url), staging_exports=exports, **more)  # type: ignore[arg-type]


async def test_it_records_and_ends(staging: Staging, tmp_path: Path) -> None:
    async with Recording([service(f"{staging.origin}/health")], tmp_path, root=tmp_path, workers=1) as recording:
        (way,) = recording.ways
        async with httpx.AsyncClient(trust_env=False) as http:
            for url in (way.exports["BACKEND_URL"], way.workers[0]["BACKEND_URL"]):
                assert (await http.get(f"{url}/teapot")).status_code == 418
        pid = recording.pid
        heard = await recording.end()
    assert [(one.path, one.status, one.worker) for one in heard] == [("/teapot", 418, "main"), ("/teapot", 418, "gw0")]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_left_without_its_end_it_ends_all_the_same(staging: Staging, tmp_path: Path) -> None:
    async with Recording([service(f"{staging.origin}/health")], tmp_path, root=tmp_path, workers=0) as recording:
        pid = recording.pid
        assert recording.alive
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_of_one_that_was_killed_nothing_is_learned(staging: Staging, tmp_path: Path) -> None:
    async with Recording([service(f"{staging.origin}/health")], tmp_path, root=tmp_path, workers=0) as recording:
        os.kill(recording.pid, signal.SIGKILL)
        with pytest.raises(RecorderError, match="nothing of this lesson is kept"):
            await recording.end()


async def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    broken = service("https://api.example/health", tls_ca="no-such-file.pem")
    with pytest.raises(RecorderError, match=r"did not start: .*No such file"):
        async with Recording([broken], tmp_path, root=tmp_path):
            pass
