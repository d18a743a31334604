"""Every request of ours is held against GitHub's description by a second judge as well: Stoplight's prism, fetched by npm."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from resilience.core.secret import Secret
from resilience.publish.github import connect
from resilience.publish.outbox import PutOffError
from tests.kits.ports import free_port

pytestmark = pytest.mark.slow
SPEC = Path(__file__).parents[1] / "data" / "github" / "openapi.json"


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A mock of the description on 127.0.0.1 that answers 422 to what does not fit it; skipped where npm cannot fetch it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not there")
    folder = tmp_path_factory.mktemp("prism")
    (folder / "package.json").write_text('{"private": true}')
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "@stoplight/prism-cli@5.16.0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"npm install failed: {done.stderr[-200:]}")
    port = free_port()
    words = ["mock", str(SPEC), "--errors", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        one = subprocess.Popen([str(folder / "node_modules/.bin/prism"), *words], stdout=log, stderr=log)
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until and one.poll() is None:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/user", timeout=5)
                    break
                except httpx.TransportError:
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            one.terminate()
            one.wait(20)


async def test_prism_finds_nothing_wrong_with_any_request_and_sees_what_is_wrong(prism: str) -> None:
    asked = 0
    said: list[str] = []
    async with connect(prism, "octo/shop", Secret("t")) as github:
        for call in (
            lambda: github.comments(1278),
            lambda: github.create_comment(1278, "x"),
            lambda: github.edit_comment(7, "x"),
            lambda: github.delete_comment(7),
            lambda: github.issue(1278),
            lambda: github.open_issues(labels="infrastructure"),
            lambda: github.open_issues(creator="ci-bot"),
            lambda: github.create_issue("t", "b", ["infrastructure"]),
            lambda: github.close_issue(7),
            lambda: github.add_labels(7, ["infrastructure"]),
            lambda: github.create_check(
                {"name": "n", "head_sha": "a" * 40, "status": "completed", "conclusion": "neutral"}
            ),
        ):
            try:
                await call()
            except PutOffError as exc:
                # What the mock makes up may be no comment, or it cannot make one up (500): a request that does not fit is 422.
                said.append(str(exc))
            asked += 1
    assert asked == 11
    assert {one for one in said if "something else than" not in one} <= {"GitHub answered 500"}
    async with httpx.AsyncClient() as client:
        wrong = await client.post(f"{prism}/repos/octo/shop/issues/1/comments", json={"body": 1})
    assert wrong.status_code == 422
