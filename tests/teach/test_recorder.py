"""The recorder passes everything on as it is, keeps what it may, and hides no failure of staging."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trustme
from aiohttp import web

from resilience.teach.keeping import keep
from resilience.teach.recorder import Config, Recorder, Upstream, heard_from, read_config, scrubbed, told
from tests.kits.taught_kit import Lessons, client, lessons


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lessons]:
    async with lessons(tmp_path) as made:
        yield made


async def test_bodies_and_headers_pass_as_they_are(lab: Lessons) -> None:
    async with (
        lab.recorder() as recorder,
        client(recorder.ports["api"][""]) as through,
        client(lab.staging.port) as direct,
    ):
        for method, path in (
            ("GET", "/gzip"), ("GET", "/events"), ("GET", "/binary"), ("HEAD", "/binary"), ("GET", "/nothing"),
            ("GET", "/pieces"), ("GET", "/teapot"), ("GET", "/health"), ("GET", "/items/a%2Fb?x=%20&y"),
        ):  # fmt: skip
            one, other = await direct.request(method, path), await through.request(method, path)
            assert (one.status_code, one.reason_phrase) == (other.status_code, other.reason_phrase), path
            assert one.content == other.content
            mine, theirs = ({k: v for k, v in x.headers.items() if k != "date"} for x in (one, other))
            assert mine == theirs, path


async def test_an_exchange_is_a_tests_only_from_its_beginning_to_its_end(lab: Lessons) -> None:
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        with lab.test("a::one"):
            await http.get("/gzip")
            slow = asyncio.create_task(http.get("/slow"))
            await lab.staging.slow.wait()
        with lab.test("a::two"):
            lab.staging.hang.set()
            await slow
        await http.get("/binary")
    owners = {one.path: one.owner for one in recorder.heard}
    assert owners == {"/gzip": "test a::one", "/slow": "", "/binary": ""}


async def test_each_worker_has_its_own_port(lab: Lessons) -> None:
    async with lab.recorder() as recorder:
        with lab.test("a::one", worker="gw0"), lab.test("a::two", worker="gw1"):
            for worker in ("gw1", "gw0", ""):
                async with client(recorder.ports["api"][worker]) as http:
                    await http.get("/gzip")
    assert [(one.worker, one.owner) for one in recorder.heard] == [
        ("gw1", "test a::two"),
        ("gw0", "test a::one"),
        ("main", ""),
    ]


@pytest.mark.parametrize("size", [64 << 20, pytest.param(2 << 30, marks=pytest.mark.slow)], ids=["64 MiB", "2 GiB"])
async def test_a_large_body_is_passed_on_whole_and_never_held(lab: Lessons, size: int) -> None:
    """No more than the limit is kept; the bytes are counted and thrown away."""
    async with lab.recorder(body_at_most=1 << 20) as recorder, client(recorder.ports["api"][""]) as http:
        passed = most = 0
        async with http.stream("GET", f"/big?bytes={size}") as answer:
            async for piece in answer.aiter_raw(1 << 20):
                passed += len(piece)
                most = max(most, sum(len(one.body) for one in recorder.heard))
        sent = await http.post("/echo", content=b"y" * (3 << 20), headers={"Content-Type": "text/plain"})
    assert (passed, most) == (size, 0)
    assert len(sent.content) == 3 << 20
    assert [(one.lost, one.body, one.request_body) for one in recorder.heard] == [
        ("its body is above 1 MiB", b"", b"")
    ] * 2


async def test_a_lesson_that_is_full_keeps_nothing_more_and_says_so(lab: Lessons) -> None:
    async with lab.recorder(all_at_most=1500) as recorder, client(recorder.ports["api"][""]) as http:
        for _ in range(3):
            await http.get("/binary")
    assert [one.lost for one in recorder.heard] == ["", "the lesson is full", "the lesson is full"]


async def test_a_staging_that_fails_resets_the_client_and_the_typed_fault_is_kept(lab: Lessons) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        config = Config(
            services=(Upstream(name="api", origin=f"http://127.0.0.1:{nobody.getsockname()[1]}"),),
            under_way=str(lab.notes),
        )
        recorder = await Recorder(config).start()
        try:
            async with client(recorder.ports["api"][""]) as http:
                with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                    await http.get("/items")
        finally:
            await recorder.stop()
    assert [(one.fault, one.lost) for one in recorder.heard] == [
        ("ClientConnectorError", "staging failed: ClientConnectorError")
    ]


async def test_an_answer_that_is_cut_in_the_middle_is_cut_for_the_client_and_not_kept(tmp_path: Path) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    config = Config(
        services=(Upstream(name="api", origin=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"),),
        under_way=str(tmp_path),
    )
    recorder = await Recorder(config).start()
    try:
        async with client(recorder.ports["api"][""]) as http:
            with pytest.raises(httpx.TransportError):
                await http.get("/")
    finally:
        await recorder.stop()
        server.close()
    assert recorder.heard[0].lost.startswith("staging failed")


async def test_a_client_that_leaves_is_no_exchange(lab: Lessons) -> None:
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.get("/slow", timeout=0.1)
    assert recorder.heard[0].lost == "the client left before the answer's end"


@pytest.mark.parametrize(
    "raw",
    [
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /items HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
    ids=["CONNECT", "a proxy's form", "a foreign Host", "an upgrade"],
)
async def test_it_is_no_proxy_and_answers_to_no_other_name(lab: Lessons, raw: bytes) -> None:
    async with lab.recorder() as recorder:
        port = recorder.ports["api"][""]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(raw % port if b"%d" in raw else raw)
        line = await asyncio.wait_for(reader.readline(), 5)
        writer.close()
    assert line.split()[1] in (b"421", b"400", b"404"), line
    assert recorder.heard == []
    assert lab.staging.asked == []


async def test_it_listens_on_loopback_alone(lab: Lessons) -> None:
    async with lab.recorder() as recorder:
        assert {socket.getsockname()[0] for server in recorder._servers for socket in server.sockets} == {"127.0.0.1"}
        assert len(recorder._servers) == sum(map(len, recorder.ports.values()))


async def test_addresses_are_turned_both_ways_and_cookies_come_back_over_loopback(lab: Lessons) -> None:
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        moved = await http.get("/moved", headers={"Origin": f"http://127.0.0.1:{recorder.ports['api']['']}"})
        assert moved.headers["Location"] == f"http://127.0.0.1:{recorder.ports['api']['']}/gzip"
        await http.post("/login", data={"user": "alice", "password": "wonderland-9"})
        assert (await http.get("/me")).json()["user"] == "alice"
        listed = await http.get("/absolute")
        assert listed.headers["Next-Page"].startswith(f"http://127.0.0.1:{recorder.ports['api']['']}/items?page=2")
        assert listed.json() == {"next": f"{lab.staging.origin}/items?page=2"}
    turned = {note for one in recorder.heard for note in one.notes}
    assert turned == {"Location turned", "cookie turned", "Next-Page turned"}


@pytest.mark.parametrize(
    ("cookie", "kept"),
    [
        ("a=b; Path=/; Domain=x.example; Secure; HttpOnly", "a=b; Path=/; HttpOnly"),
        ("a=secure; SECURE", "a=secure"),
        ("a=b; Secured=1; SameSite=None", "a=b; Secured=1; SameSite=None"),
    ],
)
def test_a_cookie_loses_only_what_loopback_cannot_keep(cookie: str, kept: str) -> None:
    assert scrubbed(cookie) == kept


async def test_stagings_certificate_is_verified(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    app = web.Application()

    async def host(request: web.Request) -> web.StreamResponse:
        return web.Response(text=request.host)

    app.router.add_get("/", host)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    port = runner.addresses[0][1]
    found = []
    for number, one in enumerate((authority, stranger)):
        one.cert_pem.write_to_path(tmp_path / f"{number}.pem")
        config = Config(
            services=(
                Upstream(name="api", origin=f"https://localhost:{port}", tls_ca=str(tmp_path / f"{number}.pem")),
            ),
            under_way=str(tmp_path),
        )
        recorder = await Recorder(config).start()
        try:
            async with client(recorder.ports["api"][""]) as http:
                try:
                    found.append((await http.get("/")).text)
                except httpx.TransportError:
                    found.append(recorder.heard[0].fault)
        finally:
            await recorder.stop()
    await runner.cleanup()
    assert found == [f"localhost:{port}", "ClientConnectorCertificateError"]


async def test_what_was_heard_comes_out_as_it_went_in(lab: Lessons) -> None:
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        with lab.test("a::one"):
            await http.post("/upload", files={"file": ("a", bytes(range(256)))}, data={"title": "é"})
    assert list(heard_from(told(recorder))) == recorder.heard
    config = Config(services=(Upstream(name="a", origin="http://h:1"),), under_way="/x", workers=3)
    line = json.dumps(
        {"services": [{"name": "a", "origin": "http://h:1", "tls_ca": ""}], "under_way": "/x", "workers": 3}
    )
    assert read_config(line) == config


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
    ],
    ids=["TLS", "HTTP/2"],
)
async def test_a_client_that_speaks_something_else_is_a_gap_of_its_test(lab: Lessons, first: bytes, said: str) -> None:
    """It pins TLS, or speaks HTTP/2 alone: its test fails through the recorder, and the lesson says why."""
    async with lab.recorder() as recorder:
        with lab.test("a::t"):
            reader, writer = await asyncio.open_connection("127.0.0.1", recorder.ports["api"][""])
            writer.write(first)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b"", "ended at once: nothing of ours would be understood"
            writer.close()
        async with client(recorder.ports["api"][""]) as http:
            with lab.test("a::u"):
                assert (await http.get("/gzip")).status_code == 200
    (gap,) = keep(recorder.heard, {"a::t", "a::u"}).gaps[:1]
    way = "; recorder_tls = true lets the recorder speak it" if said == "TLS" else ""
    assert gap == f"api: a connection: its client speaks {said}, and not HTTP/1.1 without TLS as the recorder does{way}"
    assert set(keep(recorder.heard, {"a::t", "a::u"}).tests) == {"a::u"}


async def test_a_request_that_comes_byte_by_byte_is_passed_on(lab: Lessons) -> None:
    async with lab.recorder() as recorder:
        reader, writer = await asyncio.open_connection("127.0.0.1", recorder.ports["api"][""])
        for byte in (
            f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{recorder.ports['api']['']}\r\nConnection: close\r\n\r\n".encode()
        ):
            writer.write(bytes([byte]))
            await writer.drain()
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
