"""Turn requests of tests into requests to staging, answers of staging into answers to tests, and keep both in memory.

    python -m resilience.teach.recorder

It reads one line of JSON from stdin and says on stdout, in one line, on which ports of 127.0.0.1 it listens. The line `end` on
stdin makes it write what it heard and end; the end of stdin, that is of whoever started it, makes it end and write nothing.
Nothing it hears is ever on a disk: it is masked first, by whoever asked for it. Where a service is to have TLS, a second line is
the certificate of the authority that clients are to trust, made anew each time; its key never leaves this process.

Each port leads to one fixed upstream. Bodies pass as they are; of headers only those that are an address of the upstream (in
Location and Link also those that name one) are turned, for a client that follows it would pass us by. Cookies lose `Domain` and
`Secure`, which a client on loopback would not send back. Where the upstream fails, the client's connection is reset.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import ssl
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from resilience.host.either import HANDSHAKE, Either, over_tls
from resilience.host.under_way import UnderWay, under_way

BODY_AT_MOST = 8 << 20
"""Bytes of one body that are kept; a longer one is passed on, and its exchange is not kept."""
ALL_AT_MOST = 256 << 20
"""Bytes of all bodies that are kept."""
_SMALL = 1 << 20
_HTTP_2 = b"PRI * HTTP/2.0"
"""What begins a connection of HTTP/2 that nobody asked for first (RFC 9113, 3.4)."""
_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        *("proxy-authenticate", "proxy-authorization", "host"),
    }
)
"""Headers of one hop (RFC 9110, 7.6.1), and Host, which is the upstream's own."""
_ADDRESSES = frozenset({"location", "content-location", "link"})
_AFTER_ORIGIN = ("", "/", "?", "#")
_SCRUB = re.compile(r";\s*(?:domain=[^;]*|secure)(?=;|$)", re.I)
_SCRUB_DOMAIN = re.compile(r";\s*domain=[^;]*(?=;|$)", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A service of staging. `origin` is scheme, host and port; `tls_ca` a file of authorities, empty for the system's."""

    name: str
    origin: str
    tls_ca: str = ""
    tls: bool = False
    """Whether its ports speak TLS as well, with who begins with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the recorder is told. `workers` of pytest-xdist get a port each, beside the one for a process without.

    `folder` is the lesson's own, in which a key of TLS lies for the moment in which it is read.
    """

    services: tuple[Upstream, ...]
    under_way: str
    workers: int = 0
    body_at_most: int = BODY_AT_MOST
    all_at_most: int = ALL_AT_MOST
    folder: str = ""


@dataclass(slots=True, kw_only=True)
class Heard:
    """One exchange as it was, or what became of it: `lost` says why it cannot be kept."""

    service: str
    method: str
    path: str
    began: float
    ended: float = 0.0
    owner: str = ""
    test: str = ""
    attempt: int = 0
    worker: str = ""
    request_headers: list[tuple[str, str]] = field(default_factory=list)
    request_body: bytes = b""
    status: int = 0
    reason: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    chunked: bool = False
    lost: str = ""
    fault: str = ""
    """The typed fault of the upstream, where it failed: the name of the exception."""
    notes: list[str] = field(default_factory=list)
    after: UnderWay | None = None


def read_config(line: str) -> Config:
    raw = json.loads(line)
    return Config(**{**raw, "services": tuple(Upstream(**one) for one in raw["services"])})


class Recorder:
    """The proxies of one lesson. `start` and `stop`; `heard` is what passed, in the order of its ends."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.heard: list[Heard] = []
        self.kept = 0
        self.ports: dict[str, dict[str, int]] = {}
        self._runners: list[web.AppRunner] = []
        self.certificate = b""
        """The authority that clients are to trust, where a service has TLS."""
        self._tls: ssl.SSLContext | None = None
        self._servers: list[asyncio.Server | Either] = []
        self._unheard: set[asyncio.Transport] = set()
        """Connections that have said nothing yet."""
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._folder = Path(config.under_way)

    async def start(self) -> Recorder:
        """Listen, a port for each service and worker. Raises OSError, and ssl.SSLError for authorities that cannot be read."""
        try:
            if any(upstream.tls for upstream in self.config.services):
                authority = resolve_name("resilience.host.authority:Authority")()
                self.certificate, self._tls = authority.certificate, authority.context(Path(self.config.folder))
            for upstream in self.config.services:
                self._sessions[upstream.name] = self._session(upstream)
                self.ports[upstream.name] = {}
                for worker in ("", *(f"gw{number}" for number in range(self.config.workers))):
                    door = _Door(self, upstream, worker)
                    runner = web.AppRunner(
                        door.app(), access_log=None, shutdown_timeout=0.2, handle_signals=False,
                        handler_cancellation=True,
                    )  # fmt: skip
                    await runner.setup()
                    self._runners.append(runner)
                    assert runner.server is not None
                    front = partial(_Front, runner.server, door.other, self._unheard)
                    door.port = self.ports[upstream.name][worker] = await self._listen(front, door)
        except BaseException:
            await self.stop()
            raise
        return self

    async def _listen(self, front: Callable[[], asyncio.Protocol], door: _Door) -> int:
        if door.upstream.tls and self._tls is not None:
            either = Either(front, self._tls, refused=door.shaken)
            self._servers.append(either)
            return either.port
        server = await asyncio.get_running_loop().create_server(front, "127.0.0.1", 0, backlog=128)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for transport in self._unheard:
            transport.abort()
        self._servers.clear()
        await asyncio.gather(*(runner.cleanup() for runner in self._runners))
        await asyncio.gather(*(session.close() for session in self._sessions.values()))
        self._runners.clear()
        self._sessions.clear()

    def _session(self, upstream: Upstream) -> aiohttp.ClientSession:
        """Return a client of one upstream: no proxy, no redirects, no cookies and no time-outs of its own."""
        tls: ssl.SSLContext | bool = True
        if upstream.origin.startswith("https:"):
            tls = ssl.create_default_context(cafile=upstream.tls_ca or None)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=tls),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            max_line_size=32768,
            max_field_size=65536,
        )

    def session(self, name: str) -> aiohttp.ClientSession:
        return self._sessions[name]

    def now(self, worker: str) -> UnderWay | None:
        return under_way(self._folder, worker)

    def keep(self, one: Heard) -> None:
        """Keep an exchange while there is room; one too many keeps its line without its bodies, so that it is known to be lost."""
        size = len(one.request_body) + len(one.body)
        if self.kept + size > self.config.all_at_most:
            one.lost = one.lost or "the lesson is full"
        if one.lost:
            one.request_body = one.body = b""
        else:
            self.kept += size
        self.heard.append(one)


class _Front(asyncio.Protocol):
    """The first bytes of a connection: those of HTTP/1 go on to the server, any other are of a client that cannot be recorded."""

    def __init__(self, server: web.Server, other: Callable[[str], None], unheard: set[asyncio.Transport]) -> None:
        self._server, self._other, self._unheard = server, other, unheard
        self._transport: asyncio.Transport
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._unheard.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unheard.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Hand the connection over at its first bytes that no other protocol begins with."""
        self._seen += data
        spoken = "TLS" if self._seen[:1] == HANDSHAKE else "HTTP/2" if self._seen.startswith(_HTTP_2) else ""
        if not spoken and _HTTP_2.startswith(self._seen):
            return
        self._unheard.discard(self._transport)
        if spoken:
            self._other(spoken)
            self._transport.abort()
            return
        handler = self._server()
        handler.connection_made(self._transport)
        self._transport.set_protocol(handler)
        handler.data_received(self._seen)


class _Door:
    """One port: one upstream, and one worker's tests."""

    def __init__(self, recorder: Recorder, upstream: Upstream, worker: str) -> None:
        self.recorder, self.upstream, self.worker = recorder, upstream, worker
        self.origin = URL(upstream.origin)
        self.port = 0

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 62)
        app.router.add_route("*", "/{tail:.*}", self.handle)
        return app

    def other(self, spoken: str) -> None:
        if self.upstream.tls:
            self.lost(f"its client speaks {spoken}, and not HTTP/1.1 as the recorder does")
            return
        way = "; recorder_tls = true lets the recorder speak it" if spoken == "TLS" else ""
        self.lost(f"its client speaks {spoken}, and not HTTP/1.1 without TLS as the recorder does{way}")

    def shaken(self, why: str) -> None:
        self.lost(
            f"its client does not take the certificate of the recorder ({why}): it pins another one, or does not read "
            "SSL_CERT_FILE, REQUESTS_CA_BUNDLE or NODE_EXTRA_CA_CERTS"
        )

    def lost(self, why: str) -> None:
        """Keep that a client of the test under way could not be heard: all of its test is lost."""
        now, at = self.recorder.now(self.worker), time.time()
        one = Heard(service=self.upstream.name, method="", path="", began=at, ended=at, worker=self.worker or "main")
        one.lost = why
        if now is not None:
            one.owner, one.test, one.attempt = now.owner, now.test, now.attempt
        self.recorder.keep(one)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass a request on and its answer back; keep both where nothing was cut and one test asked for it from end to end."""
        refusal = self._refusal(request)
        if refusal:
            return web.Response(status=421, text=f"resilience recorder: {refusal}\n")
        one = Heard(
            service=self.upstream.name, method=request.method, path=request.raw_path, began=time.time(),
            request_headers=list(_text(request.raw_headers)),
        )  # fmt: skip
        before = self.recorder.now(self.worker)
        self._note(one)
        try:
            response = await self._pass(request, one)
        except asyncio.CancelledError:
            one.lost = "the client left before the answer's end"
            raise
        except (aiohttp.ClientError, OSError) as exc:
            one.lost, one.fault = f"staging failed: {type(exc).__name__}", type(exc).__name__
            _reset(request)
            response = web.Response(status=502)
        finally:
            if before is not None and before == one.after:
                one.owner, one.test, one.attempt = before.owner, before.test, before.attempt
            one.after = None
            one.worker = self.worker or "main"
            self.recorder.keep(one)
        return response

    def _refusal(self, request: web.Request) -> str:
        """Say why a request is not passed on: it is a proxy's, or of a page that had our address under another name."""
        if request.method == "CONNECT" or not request.raw_path.startswith("/"):
            return "it leads to one service, and is no proxy for others"
        host = request.headers.get("Host", "")
        if host not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            return "another Host than 127.0.0.1 or localhost, with this port"
        if request.headers.get("Upgrade", ""):
            return "connections that are upgraded are not recorded"
        return ""

    async def _pass(self, request: web.Request, one: Heard) -> web.StreamResponse:
        url = URL(f"{self.origin.origin()}{request.raw_path}", encoded=True)
        headers = CIMultiDict((n, v) for n, v in one.request_headers if n.lower() not in _HOP)
        for name in ("Origin", "Referer"):
            if name in headers:
                headers[name] = headers[name].replace(self._here(request), str(self.origin.origin()))
        body = await self._request_body(request, one)
        async with self.recorder.session(self.upstream.name).request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            return await self._answer(request, answer, one)

    async def _request_body(self, request: web.Request, one: Heard) -> bytes | AsyncIterator[bytes] | None:
        """Return the body to send: read whole where it is small, else passed on piece by piece and kept up to the limit."""
        if not request.body_exists:
            return None
        if request.content_length is not None and request.content_length <= _SMALL:
            one.request_body = await request.content.read()
            return one.request_body

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in request.content.iter_any():
                self._keep(one, "request_body", piece)
                yield piece

        return pieces()

    async def _answer(self, request: web.Request, answer: aiohttp.ClientResponse, one: Heard) -> web.StreamResponse:
        """Pass an answer back: a small one whole, since a client may go on from its head alone; else piece by piece as it comes."""
        one.status, one.reason = answer.status, answer.reason or ""
        one.headers = [(n, v) for n, v in _text(answer.raw_headers) if n.lower() not in _HOP]
        one.chunked = answer.headers.get("Transfer-Encoding", "").lower() == "chunked"
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        response.headers.extend(CIMultiDict((n, self._turned(n, v, request, one)) for n, v in one.headers))
        if one.chunked and request.method != "HEAD":
            response.enable_chunked_encoding()
        length = answer.content_length
        if request.method == "HEAD" or answer.status in (204, 304) or (length is not None and length <= _SMALL):
            one.body = await answer.read()
            self._note(one)
            await response.prepare(request)
            if one.body:
                await response.write(one.body)
            await response.write_eof()
            return response
        self._note(one)
        await response.prepare(request)
        async for piece in answer.content.iter_any():
            self._keep(one, "body", piece)
            self._note(one)
            await response.write(piece)
        if one.chunked:
            self._note(one)
        await response.write_eof()
        return response

    def _note(self, one: Heard) -> None:
        """Note which test is under way before what may be the answer's last byte is sent: after it the client goes on."""
        one.ended, one.after = time.time(), self.recorder.now(self.worker)

    def _keep(self, one: Heard, name: str, piece: bytes) -> None:
        if one.lost:
            return
        if len(getattr(one, name)) + len(piece) > self.recorder.config.body_at_most:
            one.lost = f"its body is above {self.recorder.config.body_at_most >> 20} MiB"
            one.body = one.request_body = b""
            return
        setattr(one, name, getattr(one, name) + piece)

    def _turned(self, name: str, value: str, request: web.Request, one: Heard) -> str:
        """Return a header as the client is told it: addresses of staging lead here, cookies come back over plain loopback."""
        low = name.lower()
        origin = str(self.origin.origin())
        if (low in _ADDRESSES and origin in value) or (
            value.startswith(origin) and value[len(origin) :][:1] in _AFTER_ORIGIN
        ):
            one.notes.append(f"{name} turned")
            return value.replace(origin, self._here(request))
        if low == "set-cookie":
            turned = scrubbed(value, secure=over_tls(request.transport))
            if turned != value:
                one.notes.append("cookie turned")
            return turned
        return value

    def _here(self, request: web.Request) -> str:
        return f"{'https' if over_tls(request.transport) else 'http'}://{request.headers.get('Host', '')}"


def scrubbed(cookie: str, *, secure: bool = False) -> str:
    """Return a Set-Cookie without what keeps a client on loopback from sending it back; over TLS that is its domain alone."""
    return (_SCRUB_DOMAIN if secure else _SCRUB).sub("", cookie)


def _text(headers: Any) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("utf-8", "surrogateescape")) for name, value in headers]


def _reset(request: web.Request) -> None:
    """End the client's connection as an upstream that died does: by a reset, and not by an answer of ours."""
    if request.transport is None:
        return
    sock = request.transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()


def told(recorder: Recorder) -> bytes:
    """Return what was heard, as one JSON document; bodies in base64."""

    def plain(one: Heard) -> Mapping[str, Any]:
        return {
            **asdict(one),
            "request_body": base64.b64encode(one.request_body).decode(),
            "body": base64.b64encode(one.body).decode(),
        }

    return json.dumps([plain(one) for one in recorder.heard]).encode()


def heard_from(data: bytes) -> tuple[Heard, ...]:
    """Read what `told` wrote."""
    return tuple(
        Heard(
            **{
                **one,
                "request_headers": [(name, value) for name, value in one["request_headers"]],
                "headers": [(name, value) for name, value in one["headers"]],
                "request_body": base64.b64decode(one["request_body"]),
                "body": base64.b64decode(one["body"]),
            }
        )
        for one in json.loads(data)
    )


async def serve() -> int:
    """Record until the word `end`, or until whoever started us is gone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    recorder = Recorder(read_config((await reader.readline()).decode()))
    await recorder.start()
    try:
        sys.stdout.write(json.dumps(recorder.ports) + "\n")
        if recorder.certificate:
            sys.stdout.write(json.dumps(recorder.certificate.decode()) + "\n")
        sys.stdout.flush()
        word = await reader.readline()
    finally:
        await recorder.stop()
    if word.strip() == b"end":
        sys.stdout.buffer.write(told(recorder))
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(serve()))
