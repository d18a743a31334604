"""Table 1 of the diagnosis: network and TLS faults, seen by each protocol's probe on loopback."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from resilience.core.records import FaultCode, Phase
from tests.kits.kinds import ServiceType
from tests.kits.servers import fakes
from tests.kits.servers.looking import SCHEME, TLS, look

C, T = FaultCode, ServiceType
ALL = list(ServiceType)
SHORT_S = 0.4

each_protocol = pytest.mark.parametrize("kind", ALL, ids=str)


def url(kind: ServiceType, port: int, host: str = "127.0.0.1") -> str:
    return SCHEME[kind].format(host=host, port=port)


@each_protocol
async def test_nothing_listens_is_refused(kind: ServiceType) -> None:
    seen = await look(kind, url(kind, fakes.refused()))
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (C.TCP_REFUSED, Phase.TCP)
    assert seen.fault.retryable
    assert seen.fault.infrastructure
    assert seen.phases.tcp_s is None


@each_protocol
async def test_several_addresses_all_refused_is_refused(kind: ServiceType, monkeypatch: pytest.MonkeyPatch) -> None:
    port = fakes.refused()
    found = [(socket.AF_INET6, 1, 6, "", ("::1", port, 0, 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)
    seen = await look(kind, url(kind, port, "localhost"))
    assert seen.fault is not None
    assert seen.fault.code is C.TCP_REFUSED


@each_protocol
async def test_a_lost_syn_is_a_connect_time_out_at_the_deadline(kind: ServiceType) -> None:
    with fakes.black_hole() as port:
        seen = await look(kind, url(kind, port), timeout_s=SHORT_S)
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase, seen.fault.weak) == (C.TCP_TIMEOUT, Phase.TCP, True)
    assert seen.response_time_s >= SHORT_S * 0.9


@each_protocol
async def test_reset_after_accept(kind: ServiceType) -> None:
    async with fakes.serve(fakes.reset_after_request) as port:
        seen = await look(kind, url(kind, port))
    assert seen.fault is not None
    assert seen.fault.code is C.PROTO_RESET


@each_protocol
async def test_reset_straight_after_accept(kind: ServiceType) -> None:
    async with fakes.serve(fakes.reset_at_once) as port:
        seen = await look(kind, url(kind, port))
    assert seen.fault is not None
    assert seen.fault.code is C.PROTO_RESET


@each_protocol
async def test_closed_after_accept(kind: ServiceType) -> None:
    async with fakes.serve(fakes.close_after_request) as port:
        seen = await look(kind, url(kind, port))
    assert seen.fault is not None
    assert seen.fault.code is C.PROTO_CLOSED
    assert seen.phases.tcp_s is not None


@each_protocol
async def test_accepts_and_is_silent(kind: ServiceType) -> None:
    async with fakes.serve(fakes.silent) as port:
        seen = await look(kind, url(kind, port), timeout_s=SHORT_S)
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (C.PROTO_SILENT, Phase.FIRST_BYTE)


DRIPS = {
    T.POSTGRESQL: (b"N", b""),
    T.REDIS: (b"$900000\r\n", b"x"),
    T.CLICKHOUSE: (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    T.HTTP: (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
    T.WEBSOCKET: (b"HTTP/1.1 101 ", b"x"),
    T.OPENAI: (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}


@pytest.mark.parametrize("kind", [k for k in ALL if k is not T.POSTGRESQL], ids=str)
async def test_a_slow_drip_ends_at_the_deadline(kind: ServiceType) -> None:
    async with fakes.serve(fakes.drips(*DRIPS[kind])) as port:
        seen = await look(kind, url(kind, port), timeout_s=SHORT_S)
    assert seen.fault is not None
    assert seen.fault.code is C.PROTO_SLOW


async def test_a_slow_drip_of_postgresql_messages_ends_at_the_deadline() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(b"N")
        await reader.read(4096)
        notice = b"N\x00\x00\x00\x0eSNOTICE\x00\x00\x00"
        while True:
            writer.write(notice[:1])
            notice = notice[1:] + notice[:1]
            await writer.drain()
            await asyncio.sleep(0.02)

    async with fakes.serve(handler) as port:
        seen = await look(T.POSTGRESQL, url(T.POSTGRESQL, port), timeout_s=SHORT_S)
    assert seen.fault is not None
    assert seen.fault.code is C.PROTO_SLOW


OTHERS = {
    "http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "redis": b"-ERR unknown command\r\n",
    "tls alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "mysql": b"\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00",
    "zero bytes": b"\x00" * 5,
    "many zero bytes": b"\x00" * 4096,
    "noise": bytes(range(250, 256)) * 20,
}
SPEAKS = {"http": {T.HTTP, T.CLICKHOUSE, T.OPENAI, T.WEBSOCKET}, "redis": {T.REDIS}}


@pytest.mark.parametrize("stay", [False, True], ids=["closes", "stays"])
@pytest.mark.parametrize(
    ("kind", "other"), [(kind, other) for kind in ALL for other in OTHERS if kind not in SPEAKS.get(other, ())], ids=str
)
async def test_another_protocol_is_named(kind: ServiceType, other: str, stay: bool) -> None:
    async with fakes.serve(fakes.says(OTHERS[other], stay=stay)) as port:
        seen = await look(kind, url(kind, port), timeout_s=2.0)
    assert seen.fault is not None
    assert seen.fault.code is C.PROTO_WRONG
    named = {"http": "an HTTP server", "ssh": "SSH", "redis": "Redis", "tls alert": "TLS", "mysql": "MySQL"}
    assert named.get(other, "") in seen.fault.detail
    assert seen.response_time_s < 1.5, "known at once, not at the deadline"


async def test_zero_bytes_after_the_login_do_not_reach_asyncpg() -> None:
    """They put asyncpg into a loop that no deadline can break."""
    async with fakes.serve(fakes.pg_refuses_with(b"R\x00\x00\x00\x08\x00\x00\x00\x00" + b"\x00" * 5)) as port:
        seen = await look(T.POSTGRESQL, url(T.POSTGRESQL, port), timeout_s=2.0)
    assert seen.fault is not None
    assert seen.fault.code is C.PROTO_WRONG


async def test_a_message_longer_than_any_we_asked_for_is_not_read() -> None:
    async with fakes.serve(fakes.pg_refuses_with(b"E\x00\xff\xff\xff")) as port:
        seen = await look(T.POSTGRESQL, url(T.POSTGRESQL, port), timeout_s=2.0)
    assert seen.fault is not None
    assert seen.fault.code is C.PROTO_WRONG


# --- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[fakes.Certificates, str]:
    made = fakes.Certificates()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    made.ca.cert_pem.write_to_path(str(path))
    return made, str(path)


def tls_front(
    kind: ServiceType, inner: fakes.Handler, context: ssl.SSLContext
) -> tuple[fakes.Handler, ssl.SSLContext | None]:
    """PostgreSQL asks in plain text first; the others begin with TLS."""
    if kind is not T.POSTGRESQL:
        return inner, context

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"S")
        await writer.start_tls(context)
        await inner(reader, writer)

    return handler, None


DISTRUST = {
    "expired": C.TLS_EXPIRED,
    "not_yet_valid": C.TLS_NOT_YET_VALID,
    "hostname": C.TLS_HOSTNAME,
    "unknown_ca": C.TLS_UNKNOWN_CA,
    "self_signed": C.TLS_SELF_SIGNED,
    "self_signed_chain": C.TLS_SELF_SIGNED,
    "old": C.TLS_VERSION,
}


@pytest.mark.parametrize(("certificate", "code"), DISTRUST.items(), ids=list(DISTRUST))
@pytest.mark.parametrize("kind", [T.POSTGRESQL, T.REDIS, T.HTTP, T.WEBSOCKET], ids=str)
async def test_a_certificate_that_is_not_believed(
    kind: ServiceType, certificate: str, code: FaultCode, certificates: tuple[fakes.Certificates, str]
) -> None:
    made, ca = certificates
    handler, context = tls_front(kind, fakes.silent, made.of(certificate))
    async with fakes.serve(handler, context) as port:
        seen = await look(kind, TLS[kind].format(host="127.0.0.1", port=port), tls_ca=ca)
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (code, Phase.TLS)
    assert not seen.fault.retryable


async def test_a_name_that_is_not_in_the_certificate_is_62(certificates: tuple[fakes.Certificates, str]) -> None:
    made, ca = certificates
    async with fakes.serve(fakes.silent, made.of("hostname")) as port:
        seen = await look(T.HTTP, f"https://localhost:{port}/", tls_ca=ca)
    assert seen.fault is not None
    assert seen.fault.code is C.TLS_HOSTNAME


@pytest.mark.parametrize("certificate", ["client_cert", "client_cert_12"])
@pytest.mark.parametrize("kind", [T.POSTGRESQL, T.REDIS, T.HTTP, T.WEBSOCKET], ids=str)
async def test_a_client_certificate_is_required(
    kind: ServiceType, certificate: str, certificates: tuple[fakes.Certificates, str]
) -> None:
    made, ca = certificates
    handler, context = tls_front(kind, fakes.silent, made.of(certificate))
    async with fakes.serve(handler, context) as port:
        seen = await look(kind, TLS[kind].format(host="127.0.0.1", port=port), tls_ca=ca)
    assert seen.fault is not None
    assert seen.fault.code is C.TLS_CLIENT_CERT


def before_tls(kind: ServiceType, then: fakes.Handler) -> fakes.Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind is T.POSTGRESQL:
            await reader.readexactly(8)
            writer.write(b"S")
        await then(reader, writer)

    return handler


HANDSHAKES = {
    "reset": (fakes.reset_after_request, C.TLS_RESET),
    "closed": (fakes.close_after_request, C.TLS_RESET),
    "silent": (fakes.silent, C.TLS_TIMEOUT),
    "garbage": (fakes.says(b"HTTP/1.1 400 Bad Request\r\n\r\n", stay=True), C.TLS_NOT_TLS),
    "waits for a line": (fakes.silent, C.TLS_TIMEOUT),
}


@pytest.mark.parametrize("how", HANDSHAKES)
@pytest.mark.parametrize("kind", [T.POSTGRESQL, T.REDIS, T.HTTP, T.WEBSOCKET], ids=str)
async def test_the_handshake_breaks(kind: ServiceType, how: str, certificates: tuple[fakes.Certificates, str]) -> None:
    then, code = HANDSHAKES[how]
    async with fakes.serve(before_tls(kind, then)) as port:
        seen = await look(
            kind, TLS[kind].format(host="127.0.0.1", port=port), timeout_s=SHORT_S * 2, tls_ca=certificates[1]
        )
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (code, Phase.TLS)
    assert seen.phases.tcp_s is not None


async def test_a_trusted_certificate_is_no_fault_and_its_handshake_is_a_phase(
    certificates: tuple[fakes.Certificates, str],
) -> None:
    made, ca = certificates
    async with fakes.serve(fakes.says(fakes.http(200, b"ok")), made.of("good")) as port:
        seen = await look(T.HTTP, f"https://127.0.0.1:{port}/", tls_ca=ca)
    assert seen.fault is None
    assert seen.phases.tls_s is not None
    assert seen.facts["tls"] == "TLSv1.3"


# --- names


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
async def test_a_name_that_cannot_be_is_no_look_up(host: str) -> None:
    seen = await look(T.HTTP, f"http://{host}/")
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (C.DNS_BAD_NAME, Phase.DNS)


GAI = {
    "nxdomain": (socket.EAI_NONAME, 0.0, C.DNS_NXDOMAIN),
    "nodata": (socket.EAI_NODATA, 0.0, C.DNS_NODATA),
    "servfail at once": (socket.EAI_AGAIN, 0.0, C.DNS_TEMPFAIL),
    "the resolver gives up after a while": (socket.EAI_AGAIN, 1.1, C.DNS_TIMEOUT),
}


@pytest.mark.parametrize("how", GAI)
async def test_look_ups_that_fail_from_the_typed_exception(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rows with a name server of ours are in test_probes_namespace.py."""
    import time

    errno, after_s, code = GAI[how]

    def fails(*_: object, **__: object) -> None:
        time.sleep(after_s)
        raise socket.gaierror(errno, "as getaddrinfo says")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    seen = await look(T.HTTP, "http://staging.invalid/", timeout_s=3.0)
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (code, Phase.DNS)


async def test_a_dead_resolver_does_not_starve_other_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from resilience.services.looking import probe_all
    from tests.kits.servers.looking import service

    hang = threading.Event()
    real = socket.getaddrinfo

    def hanging(host: str, *args: object, **kwargs: object) -> object:
        if host.endswith(".invalid"):
            hang.wait(20)
        return real(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    try:
        async with fakes.serve(fakes.says(fakes.http(200))) as port:
            dead = [service(T.HTTP, f"http://h{n}.invalid/", timeout_s=SHORT_S) for n in range(40)]
            well = service(T.HTTP, f"http://localhost:{port}/", timeout_s=5.0)
            seen = await probe_all([*dead, well])
    finally:
        hang.set()
    assert {o.fault.code for o in seen[:-1] if o.fault} == {C.DNS_TIMEOUT}
    assert seen[-1].fault is None


async def test_one_look_up_for_one_name_in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from resilience.services.looking import probe_all
    from tests.kits.servers.looking import service

    asked: list[str] = []
    real = socket.getaddrinfo

    def counting(host: str, *args: object, **kwargs: object) -> object:
        asked.append(host)
        return real(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", counting)
    async with fakes.serve(fakes.says(fakes.http(200))) as port:
        seen = await probe_all([service(T.HTTP, f"http://localhost:{port}/{n}") for n in range(20)])
    assert [o.fault for o in seen] == [None] * 20
    assert asked == ["localhost"]


async def test_ipv6_dropped_costs_a_quarter_of_a_second_not_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with fakes.black_hole() as hole:
        async with fakes.serve(fakes.says(fakes.http(200))) as port:
            found = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", p)) for p in (hole, port)]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)
            seen = await look(T.HTTP, f"http://two.example:{port}/", timeout_s=5.0)
    assert seen.fault is None
    assert seen.response_time_s < 3


# --- what must never be connected to, and what cannot be


@pytest.mark.parametrize("pattern", ["127.0.0.1", "127.0.0.0/8", "*"])
@each_protocol
async def test_a_denied_host_is_never_connected_to(kind: ServiceType, pattern: str) -> None:
    touched: list[int] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        touched.append(1)

    async with fakes.serve(handler) as port:
        seen = await look(kind, url(kind, port), deny_hosts=(pattern,))
        await asyncio.sleep(0)
    assert seen.fault is not None
    assert seen.fault.code is C.DENIED_HOST
    assert touched == []


async def test_a_name_that_leads_to_a_denied_address_is_denied() -> None:
    seen = await look(T.HTTP, f"http://localhost:{fakes.refused()}/", deny_hosts=("127.0.0.0/8", "::1"))
    assert seen.fault is not None
    assert seen.fault.code is C.DENIED_HOST


SECRET = "hunter2-SECRET"
BAD_URLS = [
    (T.POSTGRESQL, f"postgresql://u:{SECRET}#x@db.invalid:5432/db"),
    (T.POSTGRESQL, f"postgresql://u:{SECRET}/x@db.invalid:5432/db"),
    (T.POSTGRESQL, f"postgresql://u:{SECRET}@x@db.invalid:5432/db"),
    (T.POSTGRESQL, f"postgresql://u:{SECRET}@db.invalid:99999/db"),
    (T.POSTGRESQL, f"postgresql://u:{SECRET}@db.invalid:0/db"),
    (T.POSTGRESQL, f"mysql://u:{SECRET}@db.invalid/db"),
    (T.POSTGRESQL, f"postgresql://u:{SECRET}@db.invalid/db?sslmode=sometimes"),
    (T.POSTGRESQL, f"postgresql://u:{SECRET}@/db"),
    (T.REDIS, f"redis://:{SECRET}#x@cache.invalid:6379/0"),
    (T.REDIS, f"redis://:{SECRET}@[::1/0"),
    (T.HTTP, f"http://u:{SECRET}@exa mple.invalid/"),
    (T.WEBSOCKET, f"http://u:{SECRET}@x.invalid/"),
    (T.HTTP, SECRET),
]


@pytest.mark.parametrize(("kind", "bad"), BAD_URLS, ids=range(len(BAD_URLS)))
async def test_a_url_that_cannot_be_used_is_refused_without_showing_it(kind: ServiceType, bad: str) -> None:
    seen = await look(kind, bad)
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (C.CONFIG_INVALID, Phase.CONFIG)
    assert seen.fault.hint
    assert SECRET not in repr(seen)


async def test_a_relative_ca_file_is_looked_for_from_the_repositorys_root(
    certificates: tuple[fakes.Certificates, str], tmp_path: Path
) -> None:
    from resilience.services.looking import ProbeContext, probe_all
    from tests.kits.servers.looking import service

    made, ca = certificates
    async with fakes.serve(fakes.says(fakes.http(200)), made.of("good")) as port:
        asked = service(T.HTTP, f"https://127.0.0.1:{port}/", tls_ca="ca.pem")
        with ProbeContext(root=Path(ca).parent) as context:
            (seen,) = await probe_all([asked], context=context)
    assert seen.fault is None


async def test_a_missing_ca_file_is_a_setting_that_cannot_be_used() -> None:
    seen = await look(T.HTTP, f"https://127.0.0.1:{fakes.refused()}/", tls_ca="/no/such/ca.pem")
    assert seen.fault is not None
    assert seen.fault.code is C.CONFIG_INVALID
    assert "tls_ca" in seen.fault.detail
