"""A lesson asks by GET alone, with the headers it was given, and learns no outage."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest

from resilience.core.secret import Secret
from resilience.core.settings import Deadlines, Service
from resilience.services.registry import KINDS
from resilience.teach.asking import ask, build_of, contract_of
from tests.kits.taught_kit import Staging


@pytest.fixture
async def staging() -> AsyncIterator[Staging]:
    async with Staging().running() as made:
        yield made


def service(staging: Staging, *routes: str, **more: object) -> Service:
    return Service(
        name="api", kind=KINDS["http"], url=Secret(f"{staging.origin}/health"), teach_routes=routes,
        headers={"X-Key": Secret("k")}, **more,
    )  # type: ignore[arg-type]  # fmt: skip


async def test_each_route_is_asked_once_and_its_answer_unpacked(staging: Staging, tmp_path: Path) -> None:
    found, gaps = await ask(service(staging, "/gzip", "/items?page=2"), tmp_path, monotonic() + 60, Deadlines())
    assert gaps == ()
    assert found[0].answer.body.startswith(b'{"packed"')
    assert (found[1].asked.path, found[1].asked.query) == ("/items", "page=2")
    assert ("X-Key", "k") in found[1].asked.headers
    assert staging.asked == ["GET /items"]


async def test_what_is_no_answer_is_named_and_not_learned(staging: Staging, tmp_path: Path) -> None:
    staging.broken = 1
    routes = ("/items", "/big?bytes=9000000", "/slow", "/gzip")
    found, gaps = await ask(
        service(staging, *routes), tmp_path, monotonic() + 60, Deadlines(staging_connection_s=1.0)
    )  # fmt: skip
    assert [one.asked.path for one in found] == ["/gzip"]
    assert [gap.partition(":")[0] for gap in gaps] == ["GET /items", "GET /big", "GET /slow"]


async def test_a_lesson_has_an_end(staging: Staging, tmp_path: Path) -> None:
    found, gaps = await ask(service(staging, "/gzip", "/gzip"), tmp_path, monotonic(), Deadlines())
    assert (found, gaps) == ((), ("the time for a lesson was over: 2 routes were not asked",))


@pytest.mark.parametrize(
    ("told", "build"), [("json:build", "1.4.2"), ("header:X-Version", "v7"), ("json:no.such", ""), ("", "")]
)
async def test_the_build_is_what_the_health_check_says(staging: Staging, tmp_path: Path, told: str, build: str) -> None:
    assert await build_of(service(staging, build_from=told), tmp_path) == build


async def test_a_contract_is_given_out_or_it_is_said_why_not(staging: Staging, tmp_path: Path) -> None:
    data = await contract_of(service(staging), tmp_path)
    assert isinstance(data, bytes)
    assert json.loads(data) == staging.contract
    staging.contract = None
    assert await contract_of(service(staging), tmp_path) == (
        "its contract was not given out: status 404 at /openapi.json"
    )  # fmt: skip
    moved = service(staging, teach_contract="/moved?token=abc")
    assert await contract_of(moved, tmp_path) == "its contract was not given out: status 302 at /moved"
    assert "above 8 MiB" in await contract_of(service(staging, teach_contract="/big?bytes=9000000"), tmp_path)
    packed = await contract_of(service(staging, teach_contract="/gzip"), tmp_path)
    assert isinstance(packed, bytes)
    assert packed.startswith(b'{"packed"')
