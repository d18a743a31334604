"""What an exception of a real client means, whatever the client wrapped it in."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import asyncpg
import httpx
import pytest
import redis.asyncio
import websockets
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from resilience.core import faults
from resilience.core.faults import (
    MEANINGS,
    chain,
    fault,
    http_fault,
)
from resilience.core.kind import Kind
from resilience.core.records import FaultCode, Phase
from resilience.services.postgresql.kind import sqlstate_fault
from resilience.services.registry import BUILT_IN
from tests.kits.kinds import ServiceType
from tests.kits.servers import fakes

C = FaultCode
classify = partial(faults.classify, kinds=BUILT_IN)


async def by_asyncpg(port: int) -> None:
    await asyncpg.connect(f"postgresql://u:p@127.0.0.1:{port}/db", timeout=0.5)


async def by_redis(port: int) -> None:
    client = redis.asyncio.Redis(
        host="127.0.0.1", port=port, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0)
    )
    try:
        await client.ping()
    finally:
        await client.aclose()


async def by_httpx(port: int) -> None:
    async with httpx.AsyncClient(timeout=0.5, trust_env=False, verify=False) as client:
        (await client.get(f"http://127.0.0.1:{port}/")).raise_for_status()


async def by_websockets(port: int) -> None:
    async with websockets.connect(f"ws://127.0.0.1:{port}/", open_timeout=0.5, proxy=None) as connection:
        await connection.recv()


Client = Callable[[int], Awaitable[None]]
CLIENTS: dict[str, Client] = {"asyncpg": by_asyncpg, "redis": by_redis, "httpx": by_httpx, "websockets": by_websockets}


async def raised(client: Client, port: int) -> BaseException:
    try:
        await client(port)
    except Exception as exc:  # noqa: BLE001 - what it raises is the subject
        return exc
    raise AssertionError("nothing was raised")


each_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)


@each_client
async def test_refused_is_found_through_every_clients_wrapping(client: Client) -> None:
    found = classify(await raised(client, fakes.refused()))
    assert (found.code, found.weak) == (C.TCP_REFUSED, False)


@each_client
async def test_a_lost_syn_with_its_phase(client: Client) -> None:
    with fakes.black_hole() as port:
        exc = await raised(client, port)
    assert classify(exc, Phase.TCP).code is C.TCP_TIMEOUT
    assert classify(exc, Phase.TCP).weak


@each_client
async def test_silence_without_a_phase_is_weak_evidence(client: Client) -> None:
    async with fakes.serve(fakes.silent) as port:
        found = classify(await raised(client, port))
    assert found.code in (C.PROTO_SILENT, C.TCP_TIMEOUT)
    assert found.weak


@each_client
async def test_reset_and_closed(client: Client) -> None:
    async with fakes.serve(fakes.reset_after_request) as port:
        reset = classify(await raised(client, port))
    async with fakes.serve(fakes.close_after_request) as port:
        closed = classify(await raised(client, port))
    assert reset.code in (C.PROTO_RESET, C.PROTO_CLOSED)
    assert closed.code in (C.PROTO_CLOSED, C.PROTO_RESET)
    assert reset.infrastructure
    assert closed.infrastructure


@pytest.mark.parametrize(
    ("client", "answer", "code"),
    [
        (by_httpx, fakes.http(503), C.APP_OVERLOAD),
        (by_httpx, fakes.http(502), C.APP_UPSTREAM),
        (by_httpx, fakes.http(401), C.APP_AUTH),
        (by_websockets, fakes.http(503), C.APP_OVERLOAD),
        (by_websockets, fakes.http(200), C.WS_NOT_UPGRADED),
        (by_redis, b"HTTP/1.1 400\r\n\r\n", C.PROTO_WRONG),
        (by_redis, b"-LOADING dataset\r\n", C.APP_STARTING),
        (by_redis, b"-ERR max number of clients reached\r\n", C.APP_OVERLOAD),
        (by_redis, b"-MISCONF Errors\r\n", C.APP_READONLY),
    ],
)
async def test_a_servers_own_code_in_a_clients_exception(client: Client, answer: bytes, code: FaultCode) -> None:
    async with fakes.serve(fakes.says(answer)) as port:
        assert classify(await raised(client, port)).code is code


@pytest.mark.parametrize("sqlstate", ["57P03", "53300", "28P01", "3D000"])
async def test_asyncpg_carries_the_sqlstate(sqlstate: str) -> None:
    async with fakes.serve(fakes.pg_refuses_with(fakes.pg_error(sqlstate, "m"))) as port:
        exc = await raised(by_asyncpg, port)
    assert classify(exc).code is sqlstate_fault(sqlstate).code


async def test_an_unknown_name_through_httpx() -> None:
    async with httpx.AsyncClient(timeout=5, trust_env=False, verify=False) as http:
        with pytest.raises(httpx.ConnectError) as raising:
            await http.get("http://no-such-host.invalid/")
    assert classify(raising.value).code in (C.DNS_NXDOMAIN, C.DNS_TEMPFAIL)


async def test_a_port_that_overflows_in_httpx_is_a_setting() -> None:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        with pytest.raises(BaseException) as raising:  # noqa: PT011 - an ExceptionGroup, not one of httpx's errors
            await http.get("http://127.0.0.1:99999/")
    assert classify(raising.value).code is C.CONFIG_INVALID


ERRNOS = {
    errno.ECONNREFUSED: C.TCP_REFUSED,
    errno.ETIMEDOUT: C.TCP_TIMEOUT,
    errno.EHOSTUNREACH: C.TCP_HOST_UNREACH,
    errno.ENETUNREACH: C.TCP_NO_ROUTE,
    errno.EACCES: C.TCP_PROHIBITED,
    errno.ECONNRESET: C.PROTO_RESET,
    errno.EPIPE: C.PROTO_RESET,
    errno.ENOENT: C.UNIX_MISSING,
}


@pytest.mark.parametrize("number", ERRNOS)
def test_an_errno_is_a_code(number: int) -> None:
    assert classify(OSError(number, "x"), Phase.TCP).code is ERRNOS[number]


@pytest.mark.parametrize(
    ("verify", "code"),
    [(9, C.TLS_NOT_YET_VALID), (10, C.TLS_EXPIRED), (18, C.TLS_SELF_SIGNED), (19, C.TLS_SELF_SIGNED),
     (20, C.TLS_UNKNOWN_CA), (62, C.TLS_HOSTNAME), (64, C.TLS_HOSTNAME)],
)  # fmt: skip
def test_a_certificate_error_is_asked_for_before_os_error(verify: int, code: FaultCode) -> None:
    """Its errno is 1, which is EPERM elsewhere."""
    exc = ssl.SSLCertVerificationError(1, "certificate verify failed")
    exc.verify_code = verify
    assert classify(exc, Phase.TLS).code is code
    wrapped = ConnectionError("Error 1 connecting")
    wrapped.__context__ = exc
    assert classify(wrapped, Phase.TLS).code is code


def test_a_suppressed_context_is_walked() -> None:
    exc = httpx.ConnectError("All connection attempts failed")
    exc.__context__ = ConnectionRefusedError(errno.ECONNREFUSED, "x")
    exc.__suppress_context__ = True
    assert classify(exc).code is C.TCP_REFUSED


def test_a_network_error_in_the_context_of_a_products_error_is_weak() -> None:
    exc = AssertionError("the product is wrong")
    exc.__context__ = ConnectionRefusedError(errno.ECONNREFUSED, "x")
    assert classify(exc).weak


def test_several_addresses_in_one_text_are_read_by_their_errno() -> None:
    """asyncio raises a plain OSError without errno here."""
    text = "Multiple exceptions: [Errno 101] Network is unreachable, [Errno 111] Connect call failed ('127.0.0.1', 1)"
    assert classify(OSError(text), Phase.TCP).code is C.TCP_REFUSED


def test_groups_and_circles_end() -> None:
    a, b = ValueError("a"), ValueError("b")
    a.__cause__, b.__cause__ = b, a
    group = ExceptionGroup("g", [a, ExceptionGroup("h", [OSError(errno.ECONNREFUSED, "x")])])
    assert classify(group).code is C.TCP_REFUSED
    assert len(list(chain(group))) == 5


def test_an_error_of_our_own_is_internal_and_nothing_about_the_service() -> None:
    found = classify(RuntimeError("bug"))
    assert (found.code, found.infrastructure, found.retryable) == (C.INTERNAL, False, False)
    assert "RuntimeError: bug" in found.detail


def test_the_time_of_a_look_up_tells_a_sick_resolver_from_a_dead_one() -> None:
    exc = socket.gaierror(socket.EAI_AGAIN, "x")
    assert classify(exc, Phase.DNS, elapsed_s=0.0).code is C.DNS_TEMPFAIL
    assert classify(exc, Phase.DNS, elapsed_s=5.0).code is C.DNS_TIMEOUT


# --- the table


@pytest.mark.parametrize("code", FaultCode)
def test_every_code_has_a_meaning_and_a_hint_with_the_endpoint_filled_in(code: FaultCode) -> None:
    made = fault(code, endpoint="staging-db:5432")
    assert made.cause
    assert made.hint
    assert not re.search(r"\{\w+\}", made.hint)
    assert made == faults.at(fault(code), "staging-db:5432")


@pytest.mark.parametrize("code", [c for c in FaultCode if c.value.startswith(("dns_", "tcp_", "tls_", "proto_"))])
def test_a_network_hint_holds_a_command(code: FaultCode) -> None:
    words = MEANINGS[code].hint
    commands = ("getent", "dig", "nc ", "ip route", "ls ", "curl", "openssl", "psql", "date -u", "/etc/resolv.conf")
    assert any(c in words for c in commands) or code in (
        C.DNS_BAD_NAME, C.PROTO_RESET, C.PROTO_CLOSED, C.PROTO_SILENT, C.PROTO_SLOW,
    )  # fmt: skip


@pytest.mark.parametrize(("code", "kind"), [(c, kind) for kind in BUILT_IN for c in kind.words], ids=str)
def test_a_kinds_own_words_replace_the_tables_and_never_a_probes_own_hint(code: FaultCode, kind: Kind) -> None:
    made = faults.at(fault(code, endpoint="db:1"), "db:1", kind)
    assert (made.cause, made.hint) != (MEANINGS[code].cause, MEANINGS[code].hint)
    assert not re.search(r"\{\w+\}", made.hint)
    own = faults.at(fault(code, hint="look at {host}"), "db:1", kind)
    assert own.hint == "look at db"


def test_nothing_that_waits_for_a_person_is_retryable() -> None:
    for code in (C.APP_AUTH, C.TLS_EXPIRED, C.APP_READONLY, C.DNS_NXDOMAIN, C.APP_QUOTA, C.CONFIG_INVALID):
        assert not MEANINGS[code].retryable


def test_every_status_has_one_meaning() -> None:
    for status in range(100, 600):
        assert (http_fault(status) is None) == (200 <= status < 300)


async def test_a_cancelled_probe_is_cancelled() -> None:
    from tests.kits.servers.looking import look

    async with fakes.serve(fakes.silent) as port:
        for kind, scheme in (("http", "http"), ("redis", "redis"), ("postgresql", "postgresql")):
            task: asyncio.Task[Any] = asyncio.ensure_future(
                look(ServiceType(kind), f"{scheme}://127.0.0.1:{port}/", timeout_s=30)
            )
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


def test_a_tls_error_that_a_client_built_itself_is_a_fault_and_no_crash() -> None:
    rebuilt = ssl.SSLError.__new__(ssl.SSLError)
    assert not hasattr(rebuilt, "reason")
    assert faults.classify(rebuilt).code is FaultCode.TLS_OTHER
