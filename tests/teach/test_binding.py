"""What a test makes up anew in each run is known by two lessons, taken from it and said back; all else stays exact."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.kits.taught_kit import Lessons, client, lessons, source

NEW = f"lamp-{uuid.uuid4()}"
"""A name as the test makes one up in each run."""


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
            made = await create(http, NEW)
            assert (source(made), made.json()) == ("recorded", {"name": NEW, "size": 3})
            found = await http.get(f"/items/{NEW}")
            assert (source(found), found.status_code) == ("recorded", 404)


async def test_after_one_lesson_a_random_name_is_a_miss(lab: Lessons) -> None:
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        with lab.test("a::t"):
            await create(http, f"lamp-{uuid.uuid4()}")
    lab.learn(recorder.heard)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            assert source(await create(http, NEW)) == "miss"


async def test_beside_what_is_made_up_anew_everything_else_stays_exact(lab: Lessons) -> None:
    await two_lessons(lab)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            assert source(await http.post("/echo", json={"name": NEW, "size": 4})) == "miss"
            assert source(await create(http, NEW, more=1)) == "miss"
            assert source(await create(http, NEW)) == "recorded"
            assert source(await http.get(f"/items/lamp-{uuid.uuid4()}")) == "miss", "not the one of this run"
            assert source(await http.get(f"/items/{NEW}")) == "recorded"


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


async def test_an_id_that_staging_gave_is_that_id_and_no_other_value(lab: Lessons) -> None:
    """A client that takes the name for the id gets a 404 of staging; the recorded item would let its test pass."""
    for _ in range(2):
        async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
            with lab.test("a::t"):
                made = (await http.post("/items", json={"name": "standing-desk"})).json()
                await http.get(f"/items/{made['id']}")
                await http.put(f"/items/{made['id']}", json={"stock": 3, "of": made["id"]})
        lab.learn(recorder.heard)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            made = (await http.post("/items", json={"name": "standing-desk"})).json()
            assert source(await http.get(f"/items/{made['name']}")) == "miss"
            assert source(await http.get(f"/items/{made['id']}")) == "recorded"
            assert source(await http.put(f"/items/{made['id']}", json={"stock": 3, "of": made["name"]})) == "miss"
            assert source(await http.put(f"/items/{made['id']}", json={"stock": 3, "of": made["id"]})) == "recorded"


async def test_a_number_that_staging_gave_leaves_a_name_of_the_test_bound(lab: Lessons) -> None:
    for _ in range(2):
        async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
            with lab.test("a::t"):
                count = (await http.get("/counter")).json()["count"]
                await create(http, f"lamp-{uuid.uuid4()}", version=count)
        lab.learn(recorder.heard)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            count = (await http.get("/counter")).json()["count"]
            assert source(await create(http, NEW, version=count + 1)) == "miss"
            assert source(await create(http, NEW, version=count)) == "recorded"


async def test_a_cursor_in_an_address_that_staging_gave_leaves_a_name_of_the_test_bound(lab: Lessons) -> None:
    for _ in range(2):
        async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
            with lab.test("a::t"):
                await create(http, f"lamp-{uuid.uuid4()}")
                await http.get((await http.get("/absolute")).headers["Next-Page"])
        lab.learn(recorder.heard)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            assert source(await create(http, NEW)) == "recorded"
            following = (await http.get("/absolute")).headers["Next-Page"]
            assert source(await http.get(following[:-4] + "0%3D")) == "miss"
            assert source(await http.get(following)) == "recorded"


async def test_a_token_that_a_lasting_fixture_was_given_leaves_a_name_of_the_test_bound(lab: Lessons) -> None:
    async def log_in(http: httpx.AsyncClient) -> dict[str, str]:
        token = (await http.post("/opaque")).json()["access_token"]
        return {"Authorization": f"Bearer {token}"}

    for _ in range(2):
        async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
            with lab.test("a::t", fixture="::token", attempt=1):
                headers = await log_in(http)
            with lab.test("a::t"):
                await http.post("/echo", json={"name": f"lamp-{uuid.uuid4()}"}, headers=headers)
        lab.learn(recorder.heard)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t", fixture="::token", attempt=1):
            headers = await log_in(http)
        with lab.test("a::t"):
            other = {"Authorization": "Bearer another-one-99"}
            assert source(await http.post("/echo", json={"name": NEW}, headers=other)) == "miss"
            assert source(await http.post("/echo", json={"name": NEW}, headers=headers)) == "recorded"


@pytest.mark.parametrize(
    "name",
    ["", "lamp", NEW.upper(), NEW[5:], f"desk-{NEW[5:]}", f"{NEW}0", NEW[:-1], f"lamp-{NEW[5:-1]}/", 7],
    ids=["empty", "short", "upper case", "no prefix", "another prefix", "longer", "shorter", "a slash", "a number"],
)
async def test_only_what_two_lessons_saw_to_vary_is_free(lab: Lessons, name: object) -> None:
    """Staging may refuse a name that is too long, or of other letters: nobody has seen it take one."""
    await two_lessons(lab)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            assert source(await http.post("/echo", json={"name": name, "size": 3})) == "miss"


async def test_an_empty_list_that_became_an_empty_object_is_another_request(lab: Lessons) -> None:
    for tags in ([], {}):
        async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
            with lab.test("a::t"):
                await create(http, f"lamp-{uuid.uuid4()}", tags=tags)
        assert lab.learn(recorder.heard) is not None
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            assert source(await create(http, NEW, tags={})) == "miss"
