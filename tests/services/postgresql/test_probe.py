"""Table 2 of the diagnosis: PostgreSQL, with a real server wherever it can be brought to it, else byte-exact answers."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from resilience.core.records import ConnectivityStatus, FaultCode, Phase
from tests.kits.kinds import ServiceType
from tests.kits.servers import fakes
from tests.kits.servers.looking import look, result
from tests.kits.servers.postgres import Postgres, binaries, speaks_tls

C, PG, S = FaultCode, ServiceType.POSTGRESQL, ConnectivityStatus

real = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL binaries on this machine")

SET_UP = """
create role full connection limit 0 login password 'x';
create role reader login password 'x';
alter role reader set default_transaction_read_only = on;
create role cannot_login nologin password 'x';
create database closed allow_connections false;
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """A cluster that is never started: copying it is ten times faster than initdb."""
    made = Postgres()
    try:
        yield made.create().data
    finally:
        made.remove()


@pytest.fixture(scope="module")
def server(cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    folder = tmp_path_factory.mktemp("pgtls")
    certificate, key = fakes.Certificates().write(folder)
    hba = "host all nohba all reject\nhostssl all sslonly all scram-sha-256\nhost all sslonly all reject\n"
    hba += "host all all 127.0.0.1/32 scram-sha-256\nlocal all all scram-sha-256\n"
    postgres = Postgres(hba=hba, tls=(certificate, key) if speaks_tls() else None)
    postgres.ca = str(folder / "ca.pem")  # type: ignore[attr-defined]
    try:
        postgres.create(cluster).start()
        asyncio.run(_run(postgres.url("sslmode=disable"), SET_UP))
        yield postgres
    finally:
        postgres.remove()


async def _run(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in filter(str.strip, sql.split(";")):
        await connection.execute(statement)
    await connection.close()


@real
@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
async def test_a_well_server_is_seen_through_every_sslmode(server: Postgres, mode: str) -> None:
    if mode in ("require", "verify-ca", "verify-full") and not speaks_tls():
        pytest.skip("this PostgreSQL was built without TLS")
    seen = await look(PG, server.url(f"sslmode={mode}"), tls_ca=server.ca, write_check=True)  # type: ignore[attr-defined]
    assert seen.fault is None
    assert seen.facts["role"] == "primary"
    assert seen.facts["writes"] == "ok"
    assert seen.facts["started"], "what tells one start of the server from another"
    assert "plpgsql" in seen.facts["extensions"]
    assert (seen.phases.tls_s is not None) == (mode != "disable" and speaks_tls())
    assert seen.phases.first_byte_s is not None
    assert seen.phases.query_s is not None


@real
async def test_require_does_not_verify_unless_a_ca_is_given(server: Postgres) -> None:
    if not speaks_tls():
        pytest.skip("this PostgreSQL was built without TLS")
    other = fakes.Certificates()
    with other.ca.cert_pem.tempfile() as path:
        verified = await look(PG, server.url("sslmode=require"), tls_ca=path)
    unverified = await look(PG, server.url("sslmode=require"))
    assert verified.fault is not None
    assert verified.fault.code is C.TLS_UNKNOWN_CA
    assert unverified.fault is None


@real
async def test_over_a_unix_socket(server: Postgres) -> None:
    seen = await look(PG, f"postgresql://tester:p%23ss@/postgres?host={server.folder}&port={server.port}")
    assert seen.fault is None
    assert seen.endpoint == f"{server.folder}/.s.PGSQL.{server.port}"


@pytest.mark.parametrize(
    ("folder", "code"),
    [("/no/such/cloudsql/project:region:instance", C.UNIX_MISSING), ("/" + "x" * 120, C.UNIX_MISSING)],
    ids=["not mounted", "path too long"],
)
async def test_a_unix_socket_that_cannot_be(folder: str, code: FaultCode) -> None:
    seen = await look(PG, f"postgresql://u:p@/db?host={folder}")
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (code, Phase.TCP)


async def test_a_stale_unix_socket_is_refused(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / ".s.PGSQL.5432"))
    seen = await look(PG, f"postgresql://u:p@/db?host={tmp_path}")
    assert seen.fault is not None
    assert seen.fault.code is C.TCP_REFUSED


LOGINS = {
    "wrong password": ("tester:wrong", "postgres", C.APP_AUTH, "28P01"),
    "no such role": ("nobody_here:x", "postgres", C.APP_AUTH, "28P01"),
    "not permitted to log in": ("cannot_login:x", "postgres", C.APP_AUTH, "28000"),
    "no entry in pg_hba.conf": ("nohba:x", "postgres", C.APP_AUTH, "28000"),
    "no encryption": ("sslonly:x", "postgres?sslmode=disable", C.APP_AUTH, "28000"),
    "no such database": ("tester:p%23ss", "missing", C.APP_NO_DB, "3D000"),
    "database not accepting connections": ("tester:p%23ss", "closed", C.APP_NO_DB, "55000"),
    "too many connections for role": ("full:x", "postgres", C.APP_OVERLOAD, "53300"),
}


@real
@pytest.mark.parametrize("how", LOGINS)
async def test_a_login_that_a_real_server_refuses(server: Postgres, how: str) -> None:
    login, database, code, sqlstate = LOGINS[how]
    seen = await look(PG, f"postgresql://{login}@127.0.0.1:{server.port}/{database}")
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (code, Phase.QUERY)
    assert sqlstate in seen.fault.detail
    assert "p#ss" not in repr(seen)


@real
async def test_read_only_by_default_is_degraded_and_by_write_check_25006(server: Postgres) -> None:
    url = f"postgresql://reader:x@127.0.0.1:{server.port}/postgres"
    seen = await look(PG, url)
    assert seen.fault is None
    judged = result(seen, PG, url)
    assert (judged.status, judged.fault) == (S.DEGRADED, C.APP_READONLY)
    seen = await look(PG, url, write_check=True)
    assert seen.fault is not None
    assert seen.fault.code is C.APP_READONLY
    assert result(seen, PG, url).status is S.DEGRADED


@real
async def test_a_locked_catalogue_is_cancelled_by_the_server_and_named_slow(server: Postgres) -> None:
    holder = await asyncpg.connect(server.url())
    try:
        await holder.execute("begin; lock table pg_extension in access exclusive mode")
        seen = await look(PG, server.url(), timeout_s=1.0)
    finally:
        await holder.close()
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (C.APP_SLOW, Phase.QUERY)
    assert "57014" in seen.fault.detail


@real
async def test_terminated_in_the_middle_is_a_shutdown(server: Postgres) -> None:
    holder = await asyncpg.connect(server.url())
    try:
        await holder.execute("begin; lock table pg_extension in access exclusive mode")
        looking = asyncio.ensure_future(look(PG, server.url(), timeout_s=5.0))
        while not await holder.fetchval(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'resilience-probe' and wait_event_type = 'Lock'"
        ):
            await holder.execute("select pg_stat_clear_snapshot()")
            await asyncio.sleep(0.01)
        seen = await looking
    finally:
        await holder.close()
    assert seen.fault is not None
    assert seen.fault.code is C.APP_SHUTDOWN


@real
async def test_the_probe_leaves_no_backend_behind(server: Postgres) -> None:
    await look(PG, server.url(), write_check=True)
    watcher = await asyncpg.connect(server.url())
    try:
        for _ in range(200):
            if not await watcher.fetchval(
                "select count(*) from pg_stat_activity where application_name = 'resilience-probe'"
            ):
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("the probe's backend is still there")
    finally:
        await watcher.close()


@pytest.fixture(scope="module")
def standby(cluster: Path, server: Postgres) -> Path:
    """The same cluster, to start as a standby."""
    (cluster / "standby.signal").touch()
    return cluster


@real
async def test_a_standby_answers_reads_and_is_degraded(standby: Path) -> None:
    server = Postgres("hot_standby=on").create(standby)
    try:
        server.start()
        seen = await look(PG, server.url(), timeout_s=10.0)
        for _ in range(100):  # recovery reaches consistency after the port is open
            if seen.fault is None or seen.fault.code is not C.APP_STARTING:
                break
            seen = await look(PG, server.url(), timeout_s=10.0)
        assert seen.fault is None
        assert seen.facts["role"] == "standby"
        judged = result(seen, PG, server.url())
        assert (judged.status, judged.fault, judged.infrastructure) == (S.DEGRADED, C.APP_READONLY, True)
    finally:
        server.remove()


@real
async def test_a_standby_that_takes_no_connections_is_starting(standby: Path) -> None:
    server = Postgres("hot_standby=off").create(standby)
    try:
        server.start(until=b"")
        seen = await look(PG, server.url(), timeout_s=10.0)
    finally:
        server.remove()
    assert seen.fault is not None
    assert seen.fault.code is C.APP_STARTING
    assert "57P03" in seen.fault.detail


# --- what a server of ours cannot be brought to, byte for byte

ANSWERS = {
    "starting up": ("57P03", "the database system is starting up", C.APP_STARTING, True),
    "shutting down": ("57P03", "the database system is shutting down", C.APP_STARTING, True),
    "administrator command": ("57P01", "terminating connection due to administrator command", C.APP_SHUTDOWN, True),
    "crash of a sibling": ("57P02", "terminating connection because of crash", C.APP_SHUTDOWN, True),
    "too many clients": ("53300", "sorry, too many clients already", C.APP_OVERLOAD, True),
    "out of memory": ("53200", "out of memory", C.APP_OVERLOAD, True),
    "shared memory lost": ("58P01", "could not open shared memory segment", C.APP_ERROR, True),
    "pooler": ("08P01", "server login has been failing, try again later", C.APP_POOLER, True),
    "unknown": ("XX000", "unexpected", C.APP_ERROR, False),
}


@pytest.mark.parametrize("how", ANSWERS)
async def test_an_answer_to_the_login(how: str) -> None:
    sqlstate, message, code, infrastructure = ANSWERS[how]
    async with fakes.serve(fakes.pg_refuses_with(fakes.pg_error(sqlstate, message))) as port:
        seen = await look(PG, f"postgresql://u:p@127.0.0.1:{port}/db")
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.infrastructure) == (code, infrastructure)
    assert message in seen.fault.detail


async def test_fields_that_asyncpg_cannot_read_leave_no_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with fakes.serve(fakes.pg_refuses_with(b"E\x00\x00\x00\x0aSFATAL")) as port:
        seen = await look(PG, f"postgresql://u:p@127.0.0.1:{port}/db")
    assert seen.fault is not None
    assert seen.fault.code in (C.PROTO_WRONG, C.PROTO_CLOSED)
    assert "Fatal error" not in caplog.text


async def test_a_flood_of_notices_is_cut() -> None:
    notice = b"N" + struct.pack("!i", 100_007) + b"M" + b"x" * 100_000 + b"\0\0"
    async with fakes.serve(fakes.pours(b"", notice)) as port:
        seen = await look(PG, f"postgresql://u:p@127.0.0.1:{port}/db?sslmode=disable", timeout_s=5.0)
    assert seen.fault is not None
    assert seen.fault.code is C.PROTO_WRONG
    assert seen.response_time_s < 4


async def test_an_error_before_tls_is_read_but_not_believed_as_a_code() -> None:
    answer = fakes.pg_error("53300", "could not fork new process for connection")
    async with fakes.serve(fakes.says(answer)) as port:
        seen = await look(PG, f"postgresql://u:p@127.0.0.1:{port}/db")
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.retryable, seen.fault.infrastructure) == (C.APP_ERROR, True, True)
    assert "could not fork" in seen.fault.detail


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_tls_switched_off_at_the_server(mode: str) -> None:
    async with fakes.serve(fakes.says(b"N", stay=True)) as port:
        seen = await look(PG, f"postgresql://u:p@127.0.0.1:{port}/db?sslmode={mode}")
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (C.TLS_REFUSED, Phase.TLS)


async def test_auth_proxy_up_and_upstream_dead_is_silence_then_a_cut() -> None:
    async with fakes.serve(fakes.silent) as port:
        seen = await look(PG, f"postgresql://u:p@127.0.0.1:{port}/db?sslmode=disable", timeout_s=0.4)
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (C.PROTO_SILENT, Phase.FIRST_BYTE)
    async with fakes.serve(fakes.close_after_request) as port:
        seen = await look(PG, f"postgresql://u:p@127.0.0.1:{port}/db?sslmode=disable")
    assert seen.fault is not None
    assert seen.fault.code is C.PROTO_CLOSED


async def test_the_connection_is_cut_after_the_login() -> None:
    version = b"server_version\x0015.1\x00"
    well = b"R\x00\x00\x00\x08\x00\x00\x00\x00S" + struct.pack("!i", len(version) + 4) + version + b"Z\x00\x00\x00\x05I"
    async with fakes.serve(fakes.pg_refuses_with(well)) as port:
        seen = await look(PG, f"postgresql://u:p@127.0.0.1:{port}/db")
    assert seen.fault is not None
    assert seen.fault.code in (C.PROTO_CLOSED, C.PROTO_RESET)


async def test_a_login_that_names_no_version_is_another_protocol() -> None:
    """asyncpg raises AttributeError here."""
    well = b"R\x00\x00\x00\x08\x00\x00\x00\x00" + b"Z\x00\x00\x00\x05I"
    async with fakes.serve(fakes.pg_refuses_with(well)) as port:
        seen = await look(PG, f"postgresql://u:p@127.0.0.1:{port}/db")
    assert seen.fault is not None
    assert seen.fault.code is C.PROTO_WRONG


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (503, b"proxy is not started", C.APP_PROXY_NOT_READY),
        (503, b"max connections reached", C.APP_PROXY_NOT_READY),
        (200, b"ok", C.PROTO_SILENT),
    ],
)
async def test_readiness_of_the_auth_proxy_is_asked_first(status: int, body: bytes, code: FaultCode) -> None:
    async with fakes.serve(fakes.says(fakes.http(status, body))) as ready, fakes.serve(fakes.silent) as port:
        seen = await look(
            PG,
            f"postgresql://u:p@127.0.0.1:{port}/db",
            readiness_url=f"http://127.0.0.1:{ready}/readiness",
            timeout_s=0.5,
        )
    assert seen.fault is not None
    assert seen.fault.code is code
    assert body.decode() in seen.fault.detail + seen.facts["proxy_readiness"]


async def test_a_password_that_the_server_repeats_is_not_shown() -> None:
    answer = fakes.pg_error("28P01", "password hunter2-VERY-secret is wrong" + "x" * 5000)
    async with fakes.serve(fakes.pg_refuses_with(answer)) as port:
        seen = await look(PG, f"postgresql://u:hunter2-VERY-secret@127.0.0.1:{port}/db")
    assert seen.fault is not None
    assert "hunter2" not in repr(seen)
    assert len(seen.fault.detail) <= 300


@pytest.mark.parametrize(
    "text", ["\x1b[31mred\x1b[0m", "a\u202eb", "<script>" + "y" * 100_000], ids=["ansi", "bidi", "long"]
)
async def test_hostile_texts_are_cleaned_and_short(text: str) -> None:
    async with fakes.serve(fakes.pg_refuses_with(fakes.pg_error("XX000", text))) as port:
        seen = await look(PG, f"postgresql://u:p@127.0.0.1:{port}/db")
    assert seen.fault is not None
    assert "\x1b" not in seen.fault.detail
    assert "\u202e" not in seen.fault.detail
    assert len(seen.fault.detail) <= 300


def test_the_ssl_request_is_the_documented_one() -> None:
    from resilience.services.postgresql import probe as postgresql

    assert struct.pack("!ii", 8, (1234 << 16) | 5679) == postgresql._SSL_REQUEST
