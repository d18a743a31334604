"""A lesson is masked, proved and scanned before one byte of it is written; what is not kept is named."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from resilience.teach.exchange import Answer, Asked, Exchange
from resilience.teach.lesson import Lesson, masker_of, teach
from resilience.teach.store import Store
from tests.kits.taught_kit import Lessons, client, lessons, source

PLANTED = (
    "planted-password-1",
    "planted-api-key-22",
    "planted-cookie-333",
    "planted-in-text-4444",
    "planted/slash+55555",
)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lessons]:
    async with lessons(tmp_path, PLANTED) as made:
        yield made


def bytes_of(lab: Lessons) -> dict[str, bytes]:
    """Every byte that a lesson left anywhere below its folder."""
    return {
        str(path): path.read_bytes() for path in lab.folder.rglob("*") if path.is_file() and "notes" not in path.parts
    }


def forms(secret: str) -> list[bytes]:
    return [
        secret.encode(),
        urllib.parse.quote(secret, safe="").encode(),
        base64.b64encode(secret.encode()).rstrip(b"="),
        json.dumps(secret)[1:-1].encode(),
    ]


async def say_secrets(http: httpx.AsyncClient) -> list[httpx.Response]:
    """Send each secret in headers, bodies, query strings, forms, cookies and files, and have it echoed."""
    found = []
    for secret in PLANTED:
        quoted = urllib.parse.quote(secret, safe="")
        found += [
            await http.get("/gzip", headers={"X-Api-Key": secret, "Authorization": f"Bearer {secret}"}),
            await http.get("/items", params={"page": 1, "api_key": secret, "q": f"in {secret} text"}),
            await http.get(f"/items/{quoted}"),
            await http.post("/login", data={"user": "alice", "password": secret}),
            await http.post("/echo", json={"password": secret, "deep": [{"note": f"it is {secret}."}], "n": 1}),
            await http.post("/echo", content=f"plain {secret} text", headers={"Content-Type": "text/plain"}),
            await http.get("/me", headers={"Cookie": f"session={secret}; theme=dark"}),
            await http.post("/upload", files={"file": ("a.txt", b"file")}, data={"title": secret}),
            await http.get(
                "/gzip", headers={"Authorization": "Basic " + base64.b64encode(f"u:{secret}".encode()).decode()}
            ),
        ]
    return found


async def test_planted_secrets_are_in_no_byte_and_requests_with_them_are_known_again(lab: Lessons) -> None:
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        with lab.test("a::t"):
            live = await say_secrets(http)
    generation = lab.learn(recorder.heard)
    assert generation is not None
    for name, data in bytes_of(lab).items():
        for secret in PLANTED:
            for form in forms(secret):
                assert form not in data, f"{secret} in {name}"
    async with lab.stand_in() as mocks, client(mocks.mock("api").port) as http:
        with lab.test("a::t"):
            again = await say_secrets(http)
    within_a_text = [number for number in range(len(live)) if number % 9 in (1, 4, 5)]
    for number, (one, two) in enumerate(zip(again, live, strict=True)):
        if number in within_a_text:
            assert source(one) == "miss", "in the middle of a text nobody here knows it any more: a miss, not a guess"
        else:
            assert (source(one), one.status_code) == ("recorded", two.status_code), one.text
    assert lab.folder.joinpath("state/taught").stat().st_mode & 0o777 == 0o700


async def test_a_secret_in_a_form_that_cannot_be_masked_keeps_the_whole_test_out(lab: Lessons) -> None:
    hidden = base64.b64encode(f"xx{PLANTED[0]}xx".encode())
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        with lab.test("a::hides"):
            await http.post("/echo", content=b"\x00\xff" + PLANTED[0].encode(), headers={"Content-Type": "image/png"})
            await http.get("/gzip")
        with lab.test("a::encodes"):
            await http.post("/echo", json={"blob": hidden.decode()})
        with lab.test("a::plain"):
            await http.get("/gzip")
    generation = lab.learn(recorder.heard)
    assert generation is not None
    assert set(generation.manifest["tests"]) == {"a::plain"}
    assert sum("a secret is in" in gap for gap in generation.manifest["gaps"]) == 2
    assert not any(PLANTED[0].encode() in data or hidden in data for data in bytes_of(lab).values())


async def test_what_a_failed_test_was_told_is_not_kept(lab: Lessons) -> None:
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        for name in ("a::passes", "a::fails"):
            with lab.test(name):
                await http.get("/counter")
    generation = lab.learn(recorder.heard, failed=["a::fails"])
    assert generation is not None
    assert generation.manifest["tests"] == {"a::passes": 1}


async def test_a_503_is_believed_only_from_a_test_that_passed_on_it_twice(lab: Lessons) -> None:
    for number in range(2):
        lab.staging.broken = 1
        async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
            with lab.test("a::expects"):
                assert (await http.get("/items")).status_code == 503
            with lab.test("a::plain"):
                await http.get("/gzip")
        generation = lab.learn(recorder.heard)
        assert generation is not None
        assert set(generation.manifest["tests"]) == ({"a::plain", "a::expects"} if number else {"a::plain"})


async def test_a_shared_503_is_never_learned(lab: Lessons) -> None:
    lab.staging.broken = 1
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        await http.get("/items")
        await http.get("/gzip")
    generation = lab.learn(recorder.heard)
    assert generation is not None
    assert generation.manifest["exchanges"] == 1


async def test_two_lessons_of_an_unchanged_staging_differ_in_their_times_alone(lab: Lessons) -> None:
    texts = []
    for _ in range(2):
        async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
            for name in ("b::t", "a::t"):
                with lab.test(name):
                    await http.get("/gzip")
                    await http.post("/search", json={"words": ["b", "a"]})
                    await http.post("/login", data={"user": "alice", "password": "wrong"})
        generation = lab.learn(recorder.heard)
        assert generation is not None
        document = json.loads(generation.read("recordings.har"))
        for entry in document["log"]["entries"]:
            for name in ("startedDateTime", "time", "timings", "_began", "_ended"):
                del entry[name]
        texts.append(json.dumps(document))
    assert texts[0] == texts[1]


async def test_nothing_learned_leaves_the_lesson_before_and_says_so(lab: Lessons) -> None:
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        with lab.test("a::t"):
            await http.get("/gzip")
    assert lab.learn(recorder.heard) is not None
    async with lab.recorder() as recorder:
        pass
    assert lab.learn(recorder.heard) is None
    assert [one.number for one in lab.store.generations("api")] == [1]
    assert "no test that passed" in lab.store.stale("api")


async def test_people_are_counted_not_hidden(lab: Lessons) -> None:
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        with lab.test("a::t"):
            token = (await http.post("/token", data={"username": "alice"})).json()["access_token"]
            await http.get("/me", headers={"Authorization": f"Bearer {token}"})
    generation = lab.learn(recorder.heard)
    assert generation is not None
    assert generation.manifest["personal"] == {"e-mail addresses": 1}
    assert token.encode() not in b"".join(bytes_of(lab).values())


async def test_a_malformed_recording_is_never_served(lab: Lessons) -> None:
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        with lab.test("a::t"):
            await http.get("/gzip")
    generation = lab.learn(recorder.heard)
    assert generation is not None
    with lab.store.lesson():
        lab.store.write("api", dict(generation.manifest), {"recordings.har": b'{"log": {"entries": [{}]}}'})
    with pytest.raises(LookupError):
        async with lab.stand_in():
            pass


def test_a_signed_host_and_a_cookie_of_its_host_alone_are_gaps(tmp_path: Path) -> None:
    """A stand-in has another host than the one that was signed, and no TLS, without which no client keeps such a cookie."""
    signature = "AWS4-HMAC-SHA256 Credential=a/20261125/x, SignedHeaders=host;x-amz-date, Signature=00ff"
    cookie = ("Set-Cookie", "__Host-session=abcdef; Path=/; Secure")
    exchanges = [
        Exchange(
            asked=Asked(method="GET", path="/signed", headers=(("Authorization", signature),)),
            answer=Answer(status=200, headers=(cookie,)),
            owner="test a::t",
        )
    ]
    store = Store(tmp_path)
    with store.lesson():
        lesson = Lesson(service="api", source="traffic", at=datetime.now(UTC), exchanges=exchanges)
        generation = teach(store, lesson, masker_of(b"k" * 32, (), exchanges))
    assert generation is not None
    signed, host = generation.manifest["gaps"]
    assert signed.startswith("1 requests sign their Host header")
    assert host.startswith("__Host- cookies are kept by no client")
