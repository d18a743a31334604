"""Turn an address into a connected, verified stream, with the seconds of each phase on the way."""

from __future__ import annotations

import asyncio
import errno
import fnmatch
import ipaddress
import os
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from resilience.core.faults import fault
from resilience.core.kind import Kind
from resilience.core.records import Fault, FaultCode, Phase, Phases
from resilience.core.redact import Redactor
from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.core.urls import SchemeError, UrlError, url_parts

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 256 * 1024
HAPPY_EYEBALLS_S = 0.25
"""Wait before the next address is tried beside the first (RFC 8305 recommends 0.25 s)."""


class Refused(Exception):
    """A probe found a fault by itself; `fault` is complete.

    It ends a probe early and is no error of ours: `looking` takes its fault as the finding.
    """

    def __init__(self, found: Fault) -> None:
        super().__init__(found.detail)
        self.fault = found


class Trace:
    """Which phase a probe is in, and how long each took. A phase that was not finished has no time.

    The clock is monotonic and the deadline fixed at the start, so that every wait of a probe shares one total. Facts
    are short texts for the findings of the kind; `expected` and `found` are said beside each other in reports.
    """

    __slots__ = (
        "_at",
        "_clock",
        "deadline",
        "expected",
        "facts",
        "found",
        "phase",
        "seconds",
        "started",
        "started_bytes",
        "target",
        "tls",
    )

    def __init__(self, timeout_s: float, target: str = "staging") -> None:
        self._clock = time.perf_counter
        self.target = target
        self.started = self._at = self._clock()
        self.deadline = self.started + timeout_s
        self.phase = Phase.CONFIG
        self.seconds: dict[Phase, float] = {}
        self.started_bytes = False
        """Whether the far side has sent anything in the current exchange."""
        self.facts: dict[str, str] = {}
        self.expected = ""
        self.found = ""
        self.tls = False
        """Whether a TLS handshake was begun."""

    def enter(self, phase: Phase) -> None:
        """End the current phase and start this one."""
        now = self._clock()
        if self.phase is not Phase.CONFIG:
            self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + now - self._at
        self.phase, self._at = phase, now

    def finish(self) -> None:
        """End the phase that is running, so that it has a time: for a probe that met no fault."""
        self.enter(self.phase)

    @property
    def left_s(self) -> float:
        """Seconds that are left of the probe's total deadline, never less than 0."""
        return max(0.0, self.deadline - self._clock())

    @property
    def phases(self) -> Phases:
        get = self.seconds.get
        return Phases(
            dns_s=_round(get(Phase.DNS)),
            tcp_s=_round(get(Phase.TCP)),
            tls_s=_round(get(Phase.TLS)),
            first_byte_s=_round(get(Phase.FIRST_BYTE)),
            query_s=_round(get(Phase.QUERY)),
        )


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


# --- addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A URL taken apart. `socket_path` is set for unix sockets; user and password are decoded."""

    scheme: str
    host: str
    port: int
    tls: bool
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    raw_query: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    socket_path: str = ""

    @property
    def endpoint(self) -> str:
        """host:port, never with user info."""
        if self.socket_path:
            return self.socket_path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(kind: Kind, url: str) -> Address:
    """Take a URL apart. Raises Refused (config_invalid) that names what is wrong and never shows the value."""
    try:
        parts = url_parts(url, kind)
    except SchemeError:
        schemes = ", ".join(kind.schemes)
        first = next(iter(kind.schemes))
        raise _bad(f"url: a scheme of {schemes} was expected", f"begin the url with {first}://") from None
    except UrlError as exc:
        raise _bad(f"url: {exc}", _ESCAPE if "unescaped" in str(exc) else "HOST:PORT after the scheme") from None
    return Address(
        scheme=parts.scheme,
        host="" if parts.socket else parts.host,
        port=parts.port or kind.default_port,
        tls=parts.tls,
        path=parts.path,
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        raw_query=parts.query,
        user=parts.user,
        password=parts.password.reveal(),
        socket_path=parts.socket,
    )


_ESCAPE = (
    "python3 -c \"import getpass, urllib.parse as u; print(u.quote(getpass.getpass(), safe=''))\" escapes a password"
)


def _bad(detail: str, hint: str) -> Refused:
    return Refused(fault(FaultCode.CONFIG_INVALID, Phase.CONFIG, detail, hint=hint))


# --- what the probes of a run share

SockAddr = tuple[int, tuple[str, int] | tuple[str, int, int, int]]
"""Address family and socket address."""


class ProbeContext:
    """What the probes of one run share: one look-up per name, TLS contexts, denied hosts, a watchdog.

    Use it as a context manager. Look-ups run in daemon threads of their own, so that a dead resolver neither starves
    other probes nor holds up the exit.

    A look-up is waited for by whoever needs it and is not cancelled with them. Leaving the context ends the look-ups
    and the stragglers that are still there.
    """

    def __init__(
        self,
        *,
        deny_hosts: Sequence[str] = (),
        secrets: Sequence[Secret] = (),
        root: Path | None = None,
        recv_s: float = 20.0,
        send_s: float = 15.0,
    ) -> None:
        """Take what all probes are told; nothing is looked up or opened before the first of them asks.

        The secrets are of all services, as one may quote what it was told by another; `recv_s` and `send_s` are in
        seconds.
        """
        self.deny_hosts = tuple(deny_hosts)
        self.secrets = tuple(secrets)
        """Of all services: one may quote what it was told by another."""
        self.root = root or Path()
        """Relative paths of CA files begin here: by default in the current folder."""
        self.recv_s = recv_s
        """WEBSOCKET_RECV_TIMEOUT: how long a WebSocket may take to answer a message."""
        self.send_s = send_s
        """WEBSOCKET_SEND_TIMEOUT: how long a message to a WebSocket may take to leave this process."""
        self._lookups: dict[tuple[str, int], asyncio.Future[list[SockAddr]]] = {}
        self._tls: dict[tuple[str, bool, bool, str], ssl.SSLContext] = {}
        self.stragglers: set[asyncio.Task[object]] = set()
        self._known = frozenset(secret.reveal() for secret in self.secrets)
        self._redactors: dict[frozenset[str], Redactor] = {}

    def redactor(self, own: Iterable[str]) -> Redactor:
        """Return what hides all secrets known here and these of one service; the same one where they are among the known.

        Of 5,000 passwords a redactor takes seconds to make: one for each probe kept the event loop standing still.
        """
        more = frozenset(own) - self._known - {""}
        if more not in self._redactors:
            self._redactors[more] = Redactor((self._known | more) - {""})
        return self._redactors[more]

    def __enter__(self) -> ProbeContext:
        return self

    def __exit__(self, *exc: object) -> None:
        for lookup in self._lookups.values():
            lookup.cancel()
        self._lookups.clear()
        for task in self.stragglers:
            task.cancel()

    async def __aenter__(self) -> ProbeContext:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.__exit__()

    def denied(self, host: str) -> bool:
        """Whether the host, or an address, is on the list: names with wildcards, addresses, or ranges.

        No name is looked up for it: `dial` asks a second time with each address that a name led to.
        """
        return any(_denies(pattern, host) for pattern in self.deny_hosts)

    def tls(self, ca: str = "", *, verify: bool = True, hostname: bool = True, protocol: str = "") -> ssl.SSLContext:
        """Return the run's one context for this CA file (28 ms to build). Raises Refused where the file is unusable.

        `verify=False` takes any certificate, as libpq's sslmode=require does; `hostname=False` leaves the name
        unchecked. `protocol` is what is asked for in the handshake (ALPN), as h2.
        """
        key = (ca, verify, hostname, protocol)
        if key not in self._tls:
            try:
                path = os.path.join(self.root, ca) if ca else None
                context = ssl.create_default_context(cafile=path) if verify else _unverified()
            except (OSError, ssl.SSLError) as exc:
                kind = "is not there" if isinstance(exc, FileNotFoundError) else "holds no certificate that can be read"
                raise _bad(f"tls_ca: the file {kind}", "write the path of a PEM file into tls_ca: ls -l PATH") from None
            context.check_hostname = verify and hostname
            if protocol:
                context.set_alpn_protocols([protocol])
            self._tls[key] = context
        return self._tls[key]

    async def resolve(self, host: str, port: int) -> list[SockAddr]:
        """Return the host's addresses, IPv6 and IPv4 in turn; each name is looked up once per run.

        Raises socket.gaierror, with the seconds it took in `elapsed_s`, and UnicodeError for what is no name. Literal
        addresses are not looked up.
        """
        literal = _literal(host, port)
        if literal:
            return literal
        key = (host, port)
        lookup = self._lookups.get(key)
        if lookup is None or lookup.cancelled():
            loop = asyncio.get_running_loop()
            lookup = self._lookups[key] = loop.create_future()
            threading.Thread(target=_look_up, args=(host, port, loop, lookup), daemon=True, name=f"dns {host}").start()
        return await asyncio.shield(lookup)


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _denies(pattern: str, host: str) -> bool:
    pattern, host = pattern.strip().lower(), host.strip("[]").rstrip(".").lower()
    if not pattern:
        return False
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(pattern, strict=False)
    return fnmatch.fnmatchcase(host, pattern.rstrip("."))


def _literal(host: str, port: int) -> list[SockAddr]:
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        pass
    else:
        return [(socket.AF_INET, (host, port))]
    if ":" not in host:
        return []
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        return []
    return [(family, sockaddr) for family, _, _, _, sockaddr in info]  # type: ignore[misc]


def _look_up(host: str, port: int, loop: asyncio.AbstractEventLoop, lookup: asyncio.Future[list[SockAddr]]) -> None:
    """Look a name up in this thread and hand the addresses, or the error with its seconds, to the loop.

    Only the seconds tell a resolver that did not answer from one that said it cannot: the error number is the same.
    """
    began = time.perf_counter()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        outcome: list[SockAddr] | Exception = _interleave([(f, a) for f, _, _, _, a in found])  # type: ignore[misc]
    except (OSError, UnicodeError, ValueError) as exc:
        outcome = exc
    if isinstance(outcome, socket.gaierror):
        outcome.elapsed_s = time.perf_counter() - began  # type: ignore[attr-defined]

    def settle() -> None:
        if lookup.done():
            return
        if isinstance(outcome, Exception):
            lookup.set_exception(outcome)
            lookup.exception()  # waiters may have left at their deadline
        else:
            lookup.set_result(outcome)

    with suppress(RuntimeError):  # the loop is gone: nobody waits
        loop.call_soon_threadsafe(settle)


def _interleave(addresses: list[SockAddr]) -> list[SockAddr]:
    """Order addresses by family in turn, beginning with the resolver's first choice (RFC 8305)."""
    unique = list(dict.fromkeys(addresses))
    first = unique[0][0] if unique else 0
    ours = [a for a in unique if a[0] == first]
    other = [a for a in unique if a[0] != first]
    mixed: list[SockAddr] = []
    while ours or other:
        mixed += ours[:1] + other[:1]
        ours, other = ours[1:], other[1:]
    return mixed


# --- connecting


async def dial(address: Address, trace: Trace, context: ProbeContext) -> socket.socket:
    """Return a connected, non-blocking socket; the phases dns and tcp are in the trace. The caller closes it.

    Raises Refused for a denied host, OSError, TimeoutError. Unix sockets have no phase dns and are never denied.
    """
    if address.socket_path:
        trace.enter(Phase.TCP)
        return await _attempt(socket.AF_UNIX, address.socket_path)
    if context.denied(address.host):
        raise Refused(fault(FaultCode.DENIED_HOST, Phase.CONFIG, "[safety] deny_hosts names this host"))
    trace.enter(Phase.DNS)
    addresses = await context.resolve(address.host, address.port)
    if any(context.denied(sockaddr[0]) for _, sockaddr in addresses):
        raise Refused(fault(FaultCode.DENIED_HOST, Phase.DNS, "[safety] deny_hosts names an address of this host"))
    trace.enter(Phase.TCP)
    if len(addresses) == 1:
        return await _attempt(*addresses[0])
    return await _race(addresses)


async def _attempt(family: int, sockaddr: object) -> socket.socket:
    """Return a connected, non-blocking socket. Raises OSError, TimeoutError; the socket is closed then, also when cancelled.

    A unix socket whose backlog is full answers EAGAIN at once, and nothing would ever wake us: that is a time-out.
    """
    sock = socket.socket(
        family, socket.SOCK_STREAM | getattr(socket, "SOCK_NONBLOCK", 0) | getattr(socket, "SOCK_CLOEXEC", 0)
    )
    try:
        sock.setblocking(False)
        if family != getattr(socket, "AF_UNIX", -1):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.connect(sockaddr)  # type: ignore[arg-type]
        except BlockingIOError as exc:
            if exc.errno == errno.EAGAIN:  # a unix socket whose backlog is full: nothing would wake us
                raise TimeoutError(errno.ETIMEDOUT, "the socket's backlog is full") from None
            await _writable(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code)) from None
    except BaseException:
        sock.close()
        raise
    return sock


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    descriptor = sock.fileno()
    loop.add_writer(descriptor, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _race(addresses: Sequence[SockAddr]) -> socket.socket:
    """Connect to the first address that answers; each next one starts after 0.25 s or when one has failed.

    That is RFC 8305. A probe on the first address alone would call a service dead whose IPv6 is dropped on the way,
    and the drivers do. Raises the most telling error of all attempts.
    """
    waiting = list(addresses)
    running: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    winner: socket.socket | None = None
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(_attempt(*waiting.pop(0))))
            done, running = await asyncio.wait(
                running, timeout=HAPPY_EYEBALLS_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                try:
                    sock = task.result()
                except OSError as exc:
                    errors.append(exc)
                else:
                    if winner is None:
                        winner = sock
                    else:
                        sock.close()
            if winner is not None:
                return winner
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_close_late)
    # a family without a route says less than a host that answered
    raise min(errors, key=lambda exc: exc.errno in (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


class Wire(asyncio.Protocol):
    """Bytes of one connection, pulled; never holds more than it was told to, however much is sent.

    Reading stops at 256 KiB that nobody has taken, and goes on when more is asked for. The first byte that comes ends
    the phase first_byte.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.buffer = bytearray()
        self.eof = False
        self.error: Exception | None = None
        self.transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._sent: asyncio.Future[None] | None = None
        """Done when nothing written waits in this process any more; None where nothing waits."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if not self.trace.started_bytes:
            self.trace.started_bytes = True
            if self.trace.phase is Phase.FIRST_BYTE:
                self.trace.enter(Phase.QUERY)
        self.buffer += data
        if len(self.buffer) > BODY_LIMIT and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self.eof = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.eof = True
        self.error = self.error or exc
        self._wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._sent = self._sent or asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._sent is not None and not self._sent.done():
            self._sent.set_result(None)
        self._sent = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def more(self) -> bool:
        """Wait for more bytes; False at the end of the stream. Raises what broke the connection."""
        before = len(self.buffer)
        if self.eof:
            if self.error is not None:
                raise self.error
            return False
        if self._paused and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if len(self.buffer) > before:
            return True
        if self.error is not None:
            raise self.error
        return not self.eof

    def write(self, data: bytes) -> None:
        """Send without waiting. Raises what broke the connection, or ConnectionResetError where it is closing."""
        if self.transport is None or self.transport.is_closing():
            raise self.error or ConnectionResetError(errno.ECONNRESET, "closed before anything was sent")
        self.transport.write(data)

    async def send(self, data: bytes) -> None:
        """Send, and wait until the other side has taken it, but for what a small buffer of the system holds.

        The system's own buffer grows to megabytes: into that one a message is always sent at once, whoever reads it.
        Raises as `write` does, and what breaks the connection.
        """
        if self.transport is not None:
            self.transport.set_write_buffer_limits(high=0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.write(data)
        if self._sent is not None:
            await self._sent
        if self.error is not None:
            raise self.error

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


async def open_wire(
    service: Service, address: Address, trace: Trace, context: ProbeContext, protocol: str = ""
) -> Wire:
    """Connect, with TLS where the scheme asks for it; phase first_byte begins. The caller aborts the wire.

    `protocol` is asked for in the TLS handshake (ALPN). Raises Refused, ssl.SSLError, OSError; the socket is closed then.
    """
    tls = context.tls(service.tls_ca, protocol=protocol) if address.tls else None
    sock = await dial(address, trace, context)
    wire = Wire(trace)
    await upgrade(sock, lambda: wire, address.host, trace, tls)
    trace.enter(Phase.FIRST_BYTE)
    return wire


async def upgrade(
    sock: socket.socket,
    factory: Callable[[], asyncio.BaseProtocol],
    host: str,
    trace: Trace,
    tls: ssl.SSLContext | None,
) -> asyncio.Transport:
    """Put a transport on the socket, after a TLS handshake where asked; closes the socket where that fails.

    The handshake's own limit is a second longer than the deadline, so that the deadline is what ends it. The version
    of TLS is kept as the fact `tls`.
    """
    loop = asyncio.get_running_loop()
    try:
        if tls is None:
            transport, _ = await loop.create_connection(factory, sock=sock)
        else:
            trace.enter(Phase.TLS)
            trace.tls = True
            transport, _ = await loop.create_connection(
                factory, sock=sock, ssl=tls, server_hostname=host or None if tls.check_hostname else (host or ""),
                ssl_handshake_timeout=max(trace.left_s, 0.01) + 1,
            )  # fmt: skip
            cipher = transport.get_extra_info("ssl_object")
            if cipher is not None:
                trace.facts["tls"] = cipher.version() or ""
            trace.started_bytes = False
    except BaseException:
        sock.close()
        raise
    return transport


async def why_tls_broke(kind: Kind, address: Address, seconds: float) -> FaultCode | None:
    """Look a second time at a TLS server that cut the connection without a word, with a client that accepts anything.

    Gives tls_version where only TLS 1.1 or older works, tls_client_cert where the server asked for a certificate, else
    None. The first look cannot tell: OpenSSL keeps to TLS 1.2 and up, and a TLS 1.3 handshake ends before the server minds.
    """
    asked: list[bool] = []

    def message(_c: object, direction: str, _v: object, content: int, kind_of: int, _d: bytes) -> None:
        if direction == "read" and int(content) == 22 and int(kind_of) == 13:  # handshake, CertificateRequest
            asked.append(True)

    context = _unverified()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    context._msg_callback = message  # type: ignore[attr-defined]
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=address.host or None)
    loop = asyncio.get_running_loop()
    with suppress(OSError, ssl.SSLError, TimeoutError, Refused):
        async with asyncio.timeout(seconds):
            sock = await dial(address, Trace(seconds), ProbeContext())
            with sock:
                ask, granted = kind.tls_request
                if ask:
                    await loop.sock_sendall(sock, ask)
                    if await loop.sock_recv(sock, len(granted)) != granted:
                        return None
                while True:
                    try:
                        tls.do_handshake()
                    except ssl.SSLWantReadError:
                        await loop.sock_sendall(sock, outgoing.read())
                        data = await loop.sock_recv(sock, 16384)
                        if not data:
                            break
                        incoming.write(data)
                    else:
                        break
    if asked:
        return FaultCode.TLS_CLIENT_CERT
    return FaultCode.TLS_VERSION if tls.version() in ("TLSv1", "TLSv1.1") else None


# --- who answers instead

_GREETINGS: tuple[tuple[bytes, str], ...] = (
    (b"HTTP/", "an HTTP server"),
    (b"\x15\x03", "a TLS server"),
    (b"\x16\x03", "a TLS server"),
    (b"SSH-", "an SSH server"),
    (b"-ERR", "a Redis server"),
    (b"-NOAUTH", "a Redis server"),
    (b"-DENIED", "a Redis server"),
    (b"+PONG", "a Redis server"),
    (b"+OK", "a Redis or mail server"),
    (b"220 ", "a mail or FTP server"),
    (b"EFATAL", "a PostgreSQL server"),
    (b"E\x00\x00", "a PostgreSQL server"),
    (b"AMQP", "a RabbitMQ server"),
    (b"<", "a server that sends HTML or XML"),
)


def sniff(first: bytes) -> str:
    """Say in words what the first bytes of an answer look like."""
    for start, name in _GREETINGS:
        if first.startswith(start):
            return name
    if first[3:5] == b"\x00\x0a" or (len(first) > 5 and first[4:5] == b"\x0a" and first[2:4] == b"\x00\x00"):
        return "a MySQL server"
    if not first.strip(b"\x00"):
        return f"{len(first)} zero bytes"
    return f"bytes beginning with {first[:8]!r}"


def quoted_headers(headers: Mapping[str, Secret]) -> Iterator[tuple[str, str]]:
    """Yield header lines' names and values. Raises Refused where one holds a line break."""
    for name, value in headers.items():
        shown = value.reveal() if isinstance(value, Secret) else str(value)
        if any(c in name + shown for c in "\r\n\0"):
            raise _bad(f"headers: {name!r} holds a line break", "write it on one line")
        yield name, shown
