"""What staging said is said again, to the very request and at the very place in its test; all else is a loud miss."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import jwt
import pytest

from tests.kits.taught_kit import Lessons, client, lessons, source

Ask = Callable[[httpx.AsyncClient], Awaitable[list[httpx.Response]]]


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lessons]:
    async with lessons(tmp_path) as made:
        yield made


async def taught(lab: Lessons, ask: Ask, name: str = "a::t") -> list[httpx.Response]:
    """Ask staging through the recorder in a test that passes, and learn it."""
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        with lab.test(name):
            said = await ask(http)
    assert lab.learn(recorder.heard) is not None
    return said


async def again(lab: Lessons, ask: Ask, name: str = "a::t") -> list[httpx.Response]:
    """Ask the stand-in the same, staging out of reach."""
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test(name):
            return await ask(http)


def alike(one: list[httpx.Response], other: list[httpx.Response]) -> None:
    assert [source(answer) for answer in other] == ["recorded"] * len(one), [answer.text for answer in other]
    for live, recorded in zip(one, other, strict=True):
        assert (live.status_code, live.reason_phrase, live.content) == (
            recorded.status_code, recorded.reason_phrase, recorded.content,
        )  # fmt: skip
        for name in ("content-type", "content-encoding", "transfer-encoding", "content-length", "x-version"):
            if name != "content-length" or live.headers.get("content-encoding") != "gzip":
                assert live.headers.get(name) == recorded.headers.get(name), name


async def flow(http: httpx.AsyncClient) -> list[httpx.Response]:
    """Create, read, change, read, delete, and find it gone."""
    made = await http.post("/items", json={"name": "lamp"})
    path = f"/items/{made.json()['id']}"
    return [
        made,
        await http.get(path),
        await http.put(path, json={"stock": 9}),
        await http.get(path),
        await http.delete(path),
        await http.get(path),
    ]


async def pages(http: httpx.AsyncClient) -> list[httpx.Response]:
    for name in ("a", "b", "c"):
        await http.post("/items", json={"name": name})
    return [await http.get("/items", params={"page": page}) for page in (1, 2, 1, 3)]


async def all_sorts(http: httpx.AsyncClient) -> list[httpx.Response]:
    found = [
        await http.get(path) for path in ("/gzip", "/events", "/binary", "/nothing", "/pieces", "/teapot", "/health")
    ]
    found.append(await http.head("/binary"))
    found.append(await http.post("/upload", files={"file": ("a.bin", bytes(300))}, data={"title": "a title"}))
    found.append(await http.post("/items", json={}))
    found.append(await http.get("/items/item-9999"))
    found.append(await http.post("/echo", content=b"x" * (3 << 20), headers={"Content-Type": "text/plain"}))
    return found


@pytest.mark.parametrize("ask", [flow, pages, all_sorts])
async def test_a_test_is_told_what_staging_told_it(lab: Lessons, ask: Ask) -> None:
    alike(await taught(lab, ask), await again(lab, ask))


async def test_the_same_request_three_times_has_its_three_answers_and_then_the_last(lab: Lessons) -> None:
    async def three(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.get("/counter") for _ in range(3)]

    async def five(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.get("/counter") for _ in range(5)]

    await taught(lab, three)
    assert [one.json()["count"] for one in await again(lab, five)] == [1, 2, 3, 3, 3]


async def test_a_change_is_said_once(lab: Lessons) -> None:
    async def once(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.post("/items", json={"name": "a"})]

    async def twice(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [*await once(http), *await once(http)]

    await taught(lab, once)
    first, second = await again(lab, twice)
    assert (source(first), source(second), second.status_code) == ("recorded", "miss", 501)
    assert "once more" in second.json()["miss"]["reason"]


@pytest.mark.parametrize(
    ("method", "path", "more", "said"),
    [
        ("POST", "/items", {"json": {"name": "lamp", "stock": 1}}, "body.json.stock was not there"),
        ("POST", "/items", {"json": {"name": "Lamp"}}, 'body.json.name is "Lamp", "lamp" was recorded'),
        ("PATCH", "/items", {"json": {"name": "lamp"}}, "method POST was recorded"),
        ("POST", "/itemz", {"json": {"name": "lamp"}}, "path /items was recorded"),
        ("POST", "/items?x=1", {"json": {"name": "lamp"}}, "query"),
        ("POST", "/items", {"json": {"name": "lamp"}, "headers": {"X-Tenant": "b"}}, "headers"),
        ("POST", "/items", {"content": b'{"name":"lamp"}', "headers": {"Content-Type": "text/plain"}}, "headers"),
    ],
    ids=["a field more", "another value", "another method", "another path", "a query", "a header", "another type"],
)
async def test_one_thing_changed_in_a_request_is_a_miss_that_says_what(
    lab: Lessons, method: str, path: str, more: dict[str, object], said: str
) -> None:
    async def one(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.post("/items", json={"name": "lamp"})]

    async def other(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.request(method, path, **more)]  # type: ignore[arg-type]

    await taught(lab, one)
    (answer,) = await again(lab, other)
    assert (source(answer), answer.status_code) == ("miss", 501)
    assert said in answer.json()["miss"]["differs"], answer.json()


async def test_order_of_keys_and_fields_user_agent_and_trace_do_not_count(lab: Lessons) -> None:
    async def one(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [
            await http.post("/search?a=1&b=2", json={"words": ["b", "a"], "size": 2}),
            await http.post("/upload", files={"file": ("a.bin", b"\x00")}, data={"title": "t"}),
        ]

    async def other(http: httpx.AsyncClient) -> list[httpx.Response]:
        headers = {"User-Agent": "another/2", "traceparent": "00-1-2-3"}
        return [
            await http.post(
                "/search?b=2&a=1", content=b'{"size": 2,\n "words": ["b", "a"]}',
                headers={**headers, "Content-Type": "application/json"},
            ),
            await http.post("/upload", files={"file": ("a.bin", b"\x00")}, data={"title": "t"}, headers=headers),
        ]  # fmt: skip

    alike(await taught(lab, one), await again(lab, other))


async def test_reordered_reads_are_answered_and_a_read_on_the_wrong_side_of_a_change_is_a_miss(lab: Lessons) -> None:
    async def one(http: httpx.AsyncClient) -> list[httpx.Response]:
        before = await http.get("/items")
        made = await http.post("/items", json={"name": "a"})
        return [before, made, await http.get("/items"), await http.get("/gzip"), await http.get("/binary")]

    async def swapped(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [
            await http.get("/binary"),
            await http.get("/gzip"),
            await http.get("/items"),
            await http.get("/items"),
            await http.post("/items", json={"name": "a"}),
        ]

    live = await taught(lab, one)
    found = await again(lab, swapped)
    assert [source(answer) for answer in found] == ["recorded"] * 5
    assert found[3].json() == live[0].json(), "nothing was changed yet: staging would have said the same again"
    assert found[3].json() != live[2].json()


async def test_a_read_recorded_only_after_a_change_to_it_is_a_miss_before(lab: Lessons) -> None:
    async def one(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.post("/items", json={"name": "a"}), await http.get("/items")]

    async def without(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.get("/items")]

    await taught(lab, one)
    (answer,) = await again(lab, without)
    assert source(answer) == "miss"
    assert "in another order" in answer.json()["miss"]["reason"]


async def test_changes_to_one_thing_in_another_order_are_a_miss(lab: Lessons) -> None:
    async def one(http: httpx.AsyncClient) -> list[httpx.Response]:
        made = await http.post("/items", json={"name": "a"})
        path = f"/items/{made.json()['id']}"
        return [made, await http.put(path, json={"stock": 1}), await http.delete(path)]

    async def other(http: httpx.AsyncClient) -> list[httpx.Response]:
        made = await http.post("/items", json={"name": "a"})
        return [made, await http.delete(f"/items/{made.json()['id']}")]

    await taught(lab, one)
    made, deleted = await again(lab, other)
    assert (source(made), source(deleted)) == ("recorded", "miss")


async def test_two_users_behind_one_path_are_told_apart_by_cookie_and_by_token(lab: Lessons) -> None:
    async def cookies(http: httpx.AsyncClient) -> list[httpx.Response]:
        found = []
        for user, password in (("alice", "wonderland-9"), ("bob", "builder-77")):
            http.cookies.clear()
            await http.post("/login", data={"user": user, "password": password})
            found.append(await http.get("/me"))
        http.cookies.clear()
        return [*found, await http.get("/me")]

    async def tokens(http: httpx.AsyncClient) -> list[httpx.Response]:
        found = []
        for user in ("alice", "bob"):
            token = (await http.post("/token", data={"username": user})).json()["access_token"]
            found.append(await http.get("/me", headers={"Authorization": f"Bearer {token}"}))
        return [*found, await http.get("/me", headers={"Authorization": "Bearer nobody"})]

    for ask in (cookies, tokens):
        alike(await taught(lab, ask), await again(lab, ask))
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            stranger = await http.get("/me", headers={"Authorization": "Bearer somebody-else"})
    assert source(stranger) == "miss", "an unknown principal"


async def test_a_token_is_issued_anew_with_its_claims_and_a_tampered_one_is_a_miss(lab: Lessons) -> None:
    async def log_in(http: httpx.AsyncClient) -> list[httpx.Response]:
        made = await http.post("/token", data={"username": "alice"})
        token = made.json()["access_token"]
        return [made, await http.get("/me", headers={"Authorization": f"Bearer {token}"}), await http.get("/jwks")]

    live = await taught(lab, log_in)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            made, me, keys = await log_in(http)
            token = made.json()["access_token"]
            tampered = await http.get("/me", headers={"Authorization": f"Bearer {token[:-6]}AAAAAA"})
    old = jwt.decode(live[0].json()["access_token"], options={"verify_signature": False})
    new = jwt.decode(
        token, jwt.PyJWK(keys.json()["keys"][0]).key, algorithms=["RS256"], options={"require": ["exp", "iat"]}
    )
    assert (new["sub"], new["iss"]) == (old["sub"], old["iss"])
    assert new["exp"] - new["iat"] == 600
    assert new["jti"] != old["jti"]
    assert me.json() == live[1].json()
    assert source(tampered) == "miss"


async def test_an_opaque_token_of_a_lasting_fixture_serves_tests_in_any_order_and_number_of_workers(
    lab: Lessons,
) -> None:
    async def fetch(http: httpx.AsyncClient, token: str) -> httpx.Response:
        return await http.get("/me", headers={"Authorization": f"Bearer {token}"})

    async with lab.recorder() as recorder:
        for number, worker in enumerate(("gw0", "gw1")):
            async with client(recorder.ports["api"][worker]) as http:
                with lab.test(f"a::t{number}", worker=worker, fixture="::token", attempt=1):
                    token = (await http.post("/opaque")).json()["access_token"]
                with lab.test(f"a::t{number}", worker=worker):
                    assert (await fetch(http, token)).json()["user"] == "alice"
    generation = lab.learn(recorder.heard)
    assert generation is not None
    assert set(generation.manifest["tests"]) == {"a::t0", "a::t1"}
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t1", fixture="::token", attempt=1):
            token = (await http.post("/opaque")).json()["access_token"]
        for name in ("a::t1", "a::t0"):
            with lab.test(name):
                answer = await fetch(http, token)
                assert (source(answer), answer.json()["user"]) == ("recorded", "alice"), answer.text


async def test_a_worker_is_known_by_its_port(lab: Lessons) -> None:
    async def count(http: httpx.AsyncClient) -> int:
        return int((await http.get("/counter")).json()["count"])

    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        for name in ("a::one", "a::two"):
            with lab.test(name):
                await count(http)
    lab.learn(recorder.heard)
    async with lab.stand_in() as mocks:
        first, second = mocks.workers["api"][:2]
        async with client(first) as one, client(second) as two, client(mocks.mock("api").port) as main:
            with lab.test("a::one", worker="gw0"), lab.test("a::two", worker="gw1"):
                assert [await count(two), await count(one)] == [2, 1]
                nobody = await main.get("/counter")
    assert source(nobody) == "miss"
    assert "2 recordings of it differ" in nobody.json()["miss"]["reason"]


async def test_what_another_test_recorded_is_said_only_where_all_recordings_agree_and_nothing_was_changed(
    lab: Lessons,
) -> None:
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        for name in ("a::one", "a::two"):
            with lab.test(name):
                await http.get("/gzip")
                await http.get("/counter")
        with lab.test("a::three"):
            await http.post("/items", json={"name": "a"})
    lab.learn(recorder.heard)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::new"):
            found = [await http.get("/gzip"), await http.get("/counter")]
            found.append(await http.post("/items", json={"name": "a"}))
            found += [await http.post("/items", json={"name": "a"}), await http.get("/gzip")]
    assert [source(one) for one in found] == ["recorded", "miss", "recorded", "miss", "miss"]


async def test_a_second_run_of_a_test_begins_its_sequences_anew(lab: Lessons) -> None:
    async def two(http: httpx.AsyncClient) -> list[int]:
        return [(await http.get("/counter")).json()["count"] for _ in range(2)]

    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        with lab.test("a::t"):
            await two(http)
    lab.learn(recorder.heard)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        for _ in range(2):
            with lab.test("a::t"):
                assert await two(http) == [1, 2]


async def test_addresses_of_staging_in_headers_lead_to_the_stand_in_and_in_bodies_are_a_gap(lab: Lessons) -> None:
    async def ask(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.get("/moved"), await http.post("/items", json={"name": "a"}), await http.get("/absolute")]

    await taught(lab, ask)
    (current,) = lab.store.current("api")
    assert any("staging's own address in their bodies" in gap for gap in current.manifest["gaps"])
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            moved, made, _ = await ask(http)
            assert moved.headers["Location"] == f"http://127.0.0.1:{mocks.mock('api').port}/gzip"
            assert made.headers["Location"].startswith(f"http://127.0.0.1:{mocks.mock('api').port}/items/")


async def test_a_secret_that_the_test_itself_sent_is_said_back_and_stored_nowhere(lab: Lessons) -> None:
    """Staging says back what it was told; a test that compares would fail on the pseudonym."""

    async def ask(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.post("/echo", json={"name": "lamp", "password": 'swordfish "9"\n'})]

    live = await taught(lab, ask)
    (current,) = lab.store.current("api")
    assert b"swordfish" not in (current.folder / "recordings.har").read_bytes()
    found = await again(lab, ask)
    assert [one.json() for one in found] == [one.json() for one in live]
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            other = await http.post("/echo", json={"name": "lamp", "password": "swordfish-8"})
    assert source(other) == "miss"


async def test_one_wrong_byte_and_nothing_is_served(lab: Lessons) -> None:
    await taught(lab, flow)
    (current,) = lab.store.current("api")
    file = current.folder / "recordings.har"
    file.write_bytes(file.read_bytes().replace(b"lamp", b"lamq", 1))
    with pytest.raises(ValueError, match="is not what was written"):
        async with lab.stand_in():
            pass


async def test_health_is_staging_where_a_test_asked_and_the_mocks_own_elsewhere(lab: Lessons) -> None:
    await taught(lab, flow)
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            answer = await http.get("/health")
    assert (source(answer), answer.json()["mock"]) == ("synthetic", True)


async def test_a_recording_comes_before_the_contracts_refusal_and_that_before_a_miss(lab: Lessons) -> None:
    async def recorded(http: httpx.AsyncClient) -> list[httpx.Response]:
        return [await http.get("/items", params={"page": 0})]

    await taught(lab, recorded)
    lab.agree()
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            asked = [
                await http.get("/items", params={"page": 0}),
                await http.get("/items", params={"page": -1}),
                await http.post("/items", json={"stock": 1}),
                await http.post("/items", json={"name": "lamp"}),
                await http.get("/health"),
            ]
        told = [one[1] for one in mocks.mock("api").told]
    assert [(source(one), one.status_code) for one in asked] == [
        ("recorded", 200), ("contract", 400), ("contract", 422), ("miss", 501), ("synthetic", 200),
    ]  # fmt: skip
    assert told == ["recorded", "contract", "contract", "miss", "synthetic"]
    refused = asked[2]
    assert refused.headers["X-Resilience-Mock"].startswith("api; contract; at=20")
    assert refused.headers["X-Resilience-Mock"].endswith("; gen=2")
    assert refused.json()["contract"] == {"operation": "POST /items", "refused": "body.name: required"}


async def test_a_contract_alone_refuses_and_misses_and_makes_nothing_up(lab: Lessons) -> None:
    lab.agree()
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        assert source(await http.get("/items", params={"page": 0})) == "contract"
        assert source(await http.get("/items", params={"page": 1})) == "miss"


async def test_a_contract_whose_bytes_changed_while_it_was_served_refuses_nothing(lab: Lessons) -> None:
    made = lab.agree()
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        file = made.folder / "contract.json"
        file.write_bytes(file.read_bytes().replace(b'"minimum": 1', b'"minimum": 9'))
        assert source(await http.get("/items", params={"page": 3})) == "miss"
