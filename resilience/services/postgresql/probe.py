"""Turn a PostgreSQL server into what asyncpg found on a connection whose every phase and message we saw.

One connection: we connect, ask for TLS and look at the first byte; asyncpg then speaks on that very transport. A guard
in between checks each message's type and length: five zero bytes put asyncpg into an endless loop without a way out.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from contextlib import suppress
from dataclasses import replace
from typing import Any

from resilience.core.faults import fault
from resilience.core.plain import start
from resilience.core.records import FaultCode, Phase
from resilience.core.settings import Service
from resilience.services.wire import Address, ProbeContext, Refused, Trace, dial, open_wire, parse, sniff, upgrade

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_TERMINATE = b"X\x00\x00\x00\x04"
_TYPES = frozenset(b"RKSZTDCEINAnt123sGHWdcvV")
"""Message types a server may send (PostgreSQL manual, message formats)."""
_MESSAGE_LIMIT = 256 * 1024
_TOTAL_LIMIT = 4 * 1024 * 1024
_FLOOD = b"a flood"
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_FACTS = """
select 1 as one, pg_is_in_recovery()::text as recovery, current_setting('transaction_read_only') as read_only,
 current_setting('server_version') as version, pg_postmaster_start_time()::text as started,
 (select string_agg(extname || ' ' || extversion, ', ' order by extname) from pg_extension)::text as extensions
"""


async def probe_postgresql(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Log in, read role, version and extensions in one query; with write_check make a temporary table (rolled back).

    `sslmode` means what libpq has it mean: prefer (the default) takes TLS where it is offered, require does not
    verify unless a root certificate is given, verify-ca and verify-full do. Raises Refused with the fault.
    """
    address = parse(service.kind, url)
    mode = address.query.get("sslmode", "prefer").replace("_", "-")
    if mode not in _MODES:
        detail = "url: sslmode is none of " + ", ".join(_MODES)
        raise Refused(fault(FaultCode.CONFIG_INVALID, Phase.CONFIG, detail, hint="sslmode=require"))
    trace.expected = "login, a role that can write" if service.write_check else "login, SELECT 1"
    tls = tls_of(service, address, mode, context)
    if service.readiness_url:
        await _readiness(service, trace, context)
    sock = await dial(address, trace, context)
    try:
        if mode != "disable" and not address.socket_path:
            trace.enter(Phase.FIRST_BYTE)
            if not await ask_tls(sock, mode, trace, address):
                tls = None
        else:
            tls = None
    except BaseException:
        sock.close()
        raise
    await _speak(service, sock, tls, address, trace)


def tls_of(service: Service, address: Address, mode: str, context: ProbeContext) -> ssl.SSLContext | None:
    """Return the TLS context for an sslmode; None for disable and for unix sockets.

    Raises Refused for an unusable CA file.
    """
    ca = address.query.get("sslrootcert", "") or service.tls_ca
    if mode == "disable" or address.socket_path:
        return None
    if mode in ("verify-ca", "verify-full"):
        return context.tls("" if ca == "system" else ca, hostname=mode == "verify-full")
    # libpq: require verifies only where a root certificate is given
    return context.tls(ca, hostname=False) if ca and mode == "require" else context.tls(verify=False)


async def ask_tls(sock: socket.socket, mode: str, trace: Trace, address: Address) -> bool:
    """Send SSLRequest, give whether the server goes on with TLS. One byte is read: nothing can be slipped in.

    `S` goes on with TLS, `N` without, an error before TLS is a server that cannot start a session, and anything else
    is not PostgreSQL. Raises Refused; an end without an answer is proto_closed.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, _SSL_REQUEST)
    first = await loop.sock_recv(sock, 1)
    trace.started_bytes = bool(first)
    endpoint = address.endpoint
    if first == b"S":
        more = first + _peek(sock)
        if len(more) > 1:  # PostgreSQL waits for our handshake; an SSH server greets with an S as well
            raise Refused(_wrong(more, endpoint))
        return True
    if first == b"N":
        if mode in ("require", "verify-ca", "verify-full"):
            detail = f"the server has ssl off, sslmode={mode} requires it"
            raise Refused(fault(FaultCode.TLS_REFUSED, Phase.TLS, detail, endpoint=endpoint))
        return False
    if not first:
        detail = "closed without an answer to the TLS request"
        raise Refused(fault(FaultCode.PROTO_CLOSED, Phase.FIRST_BYTE, detail, endpoint=endpoint))
    more = first
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(min(0.2, trace.left_s)):
            while len(more) < 512:
                data = await loop.sock_recv(sock, 512)
                if not data:
                    break
                more += data
                if len(more) >= 16:
                    break
    if first == b"E" and not more.startswith((b"E\x00\x00\x00\x00", b"EHLO")):
        text = more[1:].decode("utf-8", "replace").replace("\x00", " ")
        detail = f"an error before TLS (not authenticated text): {text}"
        raise Refused(
            fault(FaultCode.APP_ERROR, Phase.FIRST_BYTE, detail, endpoint=endpoint, retryable=True, infrastructure=True,
                  hint="it could not start a session (fork failed, out of memory?): read PostgreSQL's log at this time")
        )  # fmt: skip
    raise Refused(_wrong(more, endpoint))


def _peek(sock: socket.socket) -> bytes:
    try:
        return sock.recv(32, socket.MSG_PEEK)
    except OSError:
        return b""


def _wrong(first: bytes, endpoint: str) -> Any:
    return fault(
        FaultCode.PROTO_WRONG,
        Phase.FIRST_BYTE,
        f"{sniff(first)} answers where PostgreSQL was expected",
        endpoint=endpoint,
    )


async def _speak(
    service: Service, sock: socket.socket, tls: ssl.SSLContext | None, address: Address, trace: Trace
) -> None:
    """Let asyncpg log in on our socket and ask for role, write mode, version and extensions in one statement.

    Our own alarm ends it just before the deadline: asyncpg, when cancelled, opens a second connection to cancel the query.
    The statement has a limit at the server too, so that none goes on there after we left. Raises what `_reraise` names.
    """
    import asyncpg.connection

    loop = asyncio.get_running_loop()
    handed = _Handed(loop, sock, tls, address, trace)
    # our own end of the deadline: cancelling asyncpg would open a second connection to cancel the query
    alarm = loop.call_later(max(0.0, trace.left_s - 0.005), handed.expire)
    query = address.query
    connection = None
    try:
        connection = await asyncpg.connect(
            loop=handed,
            host=address.host or "localhost",
            port=address.port,
            user=address.user or query.get("user") or None,
            password=address.password or query.get("password") or None,
            database=address.path.strip("/") or query.get("dbname") or None,
            ssl=False,
            timeout=None,
            statement_cache_size=0,
            server_settings={"application_name": query.get("application_name", "resilience-probe")},
        )
        trace.enter(Phase.QUERY)
        milliseconds = max(50, int(trace.left_s * 900))
        await connection.execute(f"begin; set local statement_timeout = {milliseconds}")
        row = await connection.fetchrow(_FACTS)
        trace.found = "SELECT 1 gives 1"
        facts = trace.facts
        facts["reads"] = "ok"
        facts["role"] = "standby" if row["recovery"] == "true" else "primary"
        facts["read_only"] = row["read_only"]
        facts["server_version"] = row["version"]
        facts["started"] = row["started"]
        facts["extensions"] = row["extensions"] or ""
        if service.write_check:
            await connection.execute("create temporary table resilience_probe (x int) on commit drop")
            facts["writes"] = "ok"
    except Exception as exc:  # noqa: BLE001 - raised again, named more precisely
        _reraise(exc, handed, trace, address)
    finally:
        alarm.cancel()
        handed.close()
        if connection is not None:
            connection.terminate()


def _reraise(exc: Exception, handed: _Handed, trace: Trace, address: Address) -> None:
    """Raise what really happened behind asyncpg's exception, the surest evidence first.

    Our deadline, since all else follows from it; bytes that no PostgreSQL sends, as seen by the guard; an error of
    asyncpg's own parser, which means an answer it could not read; an OSError without a number, which asyncpg raises where
    the server closed in the login. Anything else is raised as it is.
    """
    guard = handed.guard
    if handed.expired:
        raise TimeoutError from exc
    if guard is not None and guard.wrong == _FLOOD:
        detail = "more than 4 MiB for a few short questions"
        raise Refused(fault(FaultCode.PROTO_WRONG, trace.phase, detail, endpoint=address.endpoint)) from exc
    if guard is not None and guard.wrong:
        raise Refused(_wrong(guard.wrong, address.endpoint)) from exc
    nonsense = AttributeError | LookupError | TypeError | ValueError | struct.error
    if isinstance(exc, nonsense) and not isinstance(exc, ssl.SSLError):
        detail = f"asyncpg cannot make sense of its answer ({type(exc).__name__}: {exc})"
        raise Refused(fault(FaultCode.PROTO_WRONG, trace.phase, detail, endpoint=address.endpoint)) from exc
    if (
        isinstance(exc, OSError)
        and exc.errno is None
        and not isinstance(exc, TimeoutError | ssl.SSLError | ConnectionResetError)
    ):
        raise Refused(
            fault(FaultCode.PROTO_CLOSED, trace.phase, "closed in the login", endpoint=address.endpoint)
        ) from exc
    raise exc


class _Guard(asyncio.Protocol):
    """Stand between transport and asyncpg: check each message's head, count, and cut the connection at nonsense."""

    def __init__(self, inner: Any, trace: Trace) -> None:
        self.inner = inner
        self.trace = trace
        self.wrong = b""
        self.transport: asyncio.Transport | None = None
        self._head = b""
        self._left = self._total = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Let through to asyncpg only messages that PostgreSQL could send: a known type, a length that is possible.

        asyncpg loops for ever on a message of no length (five zero bytes), where no time-out of asyncio can reach it. So each
        header is read here first, across reads, and the connection is cut at the first that cannot be.
        """
        trace = self.trace
        trace.started_bytes = True
        if trace.phase is Phase.FIRST_BYTE:
            trace.enter(Phase.QUERY)
        self._total += len(data)
        if self.wrong or self._total > _TOTAL_LIMIT:
            self._cut(self.wrong or _FLOOD)
            return
        at, end = 0, len(data)
        while at < end:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
                at += step
                continue
            step = min(5 - len(self._head), end - at)
            self._head += data[at : at + step]
            at += step
            if self._head[0] not in _TYPES or (len(self._head) > 1 and self._head[1] != 0):
                self._cut(self._head + data[at : at + 16])
                return
            if len(self._head) == 5:
                size = int.from_bytes(self._head[1:], "big")
                if not 4 <= size <= _MESSAGE_LIMIT:
                    self._cut(self._head + data[at : at + 16])
                    return
                self._left, self._head = size - 4, b""
        try:
            self.inner.data_received(data)
        except Exception:  # noqa: BLE001 - asyncpg met fields it cannot read; asyncio would log it as an error of its own
            self._cut(data[:16])

    def _cut(self, wrong: bytes) -> None:
        self.wrong = wrong
        if self.transport is not None:
            self.transport.abort()

    def eof_received(self) -> bool | None:
        return self.inner.eof_received()  # type: ignore[no-any-return]

    def connection_lost(self, exc: Exception | None) -> None:
        self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()


class _Handed:
    """The event loop as asyncpg sees it: its one connection is ours, and there is no second one.

    asyncpg offers no way to hand over a socket that is connected: but it asks its loop for a connection, and this
    loop has one.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        tls: ssl.SSLContext | None,
        address: Address,
        trace: Trace,
    ) -> None:
        self._loop, self._sock, self._tls, self._address, self._trace = loop, sock, tls, address, trace
        self.guard: _Guard | None = None
        self.expired = False
        self._used = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, factory: Any, *_: object, **__: object) -> tuple[asyncio.Transport, Any]:
        """Return our transport and asyncpg's protocol, with the guard between them; a second request is refused."""
        if self._used:
            raise ConnectionAbortedError("a probe opens one connection")
        self._used = True
        inner = factory()
        guard = self.guard = _Guard(inner, self._trace)
        self._trace.started_bytes = False
        transport = await upgrade(self._sock, lambda: guard, self._address.host, self._trace, self._tls)
        if self._trace.phase is not Phase.QUERY:
            self._trace.enter(Phase.FIRST_BYTE)
        return transport, inner

    def expire(self) -> None:
        self.expired = True
        if self.guard is not None and self.guard.transport is not None:
            self.guard.transport.abort()

    def close(self) -> None:
        """End the session as a client does, with Terminate.

        Else the server would log an unexpected end at each look.
        """
        if not self._used:
            self._sock.close()
        elif self.guard is not None and self.guard.transport is not None:
            transport = self.guard.transport
            if not transport.is_closing():
                transport.write(_TERMINATE)  # else the server logs an unexpected end
            transport.close() if self._tls is None else transport.abort()


async def _readiness(service: Service, trace: Trace, context: ProbeContext) -> None:
    """Ask the Cloud SQL Auth Proxy whether it can reach the instance; its text names what it cannot.

    Any status but 200 is a fault, and comes first, since it explains all that follows. A proxy whose admin port does
    not answer is noted as not known: where the database itself answers, that is beside the point. It gets 2 s at
    most.
    """
    # Only where a proxy stands before the database: the probe of HTTP brings its TLS and its parser.
    from resilience.services.http.kind import KIND as HTTP
    from resilience.services.http.probe import read_response, request

    address = parse(HTTP, service.readiness_url)
    aside = Trace(min(trace.left_s, 2.0))
    asked = replace(service, kind=HTTP, headers={})
    try:
        async with asyncio.timeout(aside.left_s):
            wire = await open_wire(asked, address, aside, context)
            try:
                wire.write(request("GET", address))
                response = await read_response(wire, address)
            finally:
                wire.abort()
    except (OSError, Refused) as exc:
        # the proxy's admin port is beside the point where the database itself answers
        trace.facts["proxy_readiness"] = f"not known ({type(exc).__name__})"
        return
    text = start(response.body.decode("utf-8", "replace").strip(), 200)
    trace.facts["proxy_readiness"] = start(f"{response.status} {text}", 120)
    if response.status != 200:
        detail = f"/readiness answers {response.status}: {text}"
        raise Refused(fault(FaultCode.APP_PROXY_NOT_READY, Phase.FIRST_BYTE, detail, endpoint=address.endpoint))
