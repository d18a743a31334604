"""What a test makes up anew in each run is known by two lessons, taken from it and said back; all else stays exact."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.kits.taught_kit import Lessons, client, lessons, source


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lessons]:
    async with lessons(tmp_path) as made:
        yield made


async def create(http: httpx.AsyncClient, name: str, **more: object) -> httpx.Response:
    return await http.post("/echo", json={"name": name, "size": 3, **more})


async def two_lessons(lab: Lessons) -> None:
    for _ in range(2):
        async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
            with lab.test("a::t"):
                name = f"lamp-{uuid.uuid4()}"
                await create(http, name)
                await http.get(f"/items/{name}")
                await http.get("/time")
        assert lab.learn(recorder.heard) is not None


async def test_a_random_name_is_said_back_and_known_in_later_requests(lab: Lessons) -> None:
    await two_lessons(lab)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            made = await create(http, "lamp-of-today-1")
            assert (source(made), made.json()) == ("recorded", {"name": "lamp-of-today-1", "size": 3})
            found = await http.get("/items/lamp-of-today-1")
            assert (source(found), found.status_code) == ("recorded", 404)


async def test_after_one_lesson_a_random_name_is_a_miss(lab: Lessons) -> None:
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        with lab.test("a::t"):
            await create(http, f"lamp-{uuid.uuid4()}")
    lab.learn(recorder.heard)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            assert source(await create(http, "lamp-of-today-1")) == "miss"


async def test_beside_what_is_made_up_anew_everything_else_stays_exact(lab: Lessons) -> None:
    await two_lessons(lab)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            assert source(await http.post("/echo", json={"name": "lamp-of-today-1", "size": 4})) == "miss"
            assert source(await create(http, "lamp-of-today-1", more=1)) == "miss"
            assert source(await create(http, "lamp-of-today-1")) == "recorded"
            assert source(await http.get("/items/another-lamp-2")) == "miss", "not the one of this run"
            assert source(await http.get("/items/lamp-of-today-1")) == "recorded"


async def test_what_is_of_its_moment_is_counted_in_the_answer(lab: Lessons) -> None:
    await two_lessons(lab)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            answer = await http.get("/time")
    assert answer.headers["X-Resilience-Mock"].split("; ")[1:][0] == "recorded"
    assert answer.headers["X-Resilience-Mock"].endswith("; volatile=1")
    assert answer.json()["zone"] == "UTC"


async def test_a_short_value_that_differs_is_not_bound(lab: Lessons) -> None:
    for name in ("one", "two"):
        async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
            with lab.test("a::t"):
                await create(http, name)
        lab.learn(recorder.heard)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            assert source(await create(http, "three")) == "miss"
            assert source(await create(http, "two")) == "recorded"


async def test_a_value_that_does_not_come_back_is_not_bound(lab: Lessons) -> None:
    for _ in range(2):
        async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
            with lab.test("a::t"):
                await http.post("/search", json={"words": [], "trace": str(uuid.uuid4())})
        lab.learn(recorder.heard)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            assert source(await http.post("/search", json={"words": [], "trace": str(uuid.uuid4())})) == "miss"
