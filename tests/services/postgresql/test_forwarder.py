"""A server with TLS is read by programs that speak none, and refused where its certificate is not what the URL asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.services.postgresql import archive
from resilience.services.postgresql.forwarder import forwarding
from resilience.services.postgresql.reading import Reading, read
from resilience.services.teaching import CannotTeachError
from resilience.services.wire import ProbeContext, parse
from tests.kits.servers import fakes
from tests.kits.servers.postgres import Postgres, speaks_tls
from tests.kits.staging_database import asked, database, running, talking, url

pytestmark = pytest.mark.skipif(not speaks_tls(), reason="no PostgreSQL with TLS on this machine")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Lets nobody in without TLS."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = fakes.Certificates().write(folder)
    hba = "hostssl tls all all scram-sha-256\nhost tls all all reject\nhost all all 127.0.0.1/32 scram-sha-256\n"
    with running(hba=hba, tls=(certificate, key)) as server:
        server.ca = str(folder / "ca.pem")  # type: ignore[attr-defined]
        asyncio.run(database(server, "plain", "select 1"))
        asyncio.run(_made(server))
        yield server


async def _made(server: Postgres) -> None:
    async with talking(server) as connection:
        await connection.execute('create database "tls"')


async def _names(look: Reading) -> set[str]:
    facts = await look.connection.fetchrow("select ssl, version from pg_stat_ssl where pid = pg_backend_pid()")
    return {item.kind for item in archive.read(await look.dump())} | {str(facts["ssl"]), str(facts["version"])}


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
async def test_a_server_that_wants_tls_is_read_by_a_pg_dump_without(
    server: Postgres, tmp_path: Path, mode: str
) -> None:
    at = url(server, "tls", f"sslmode={mode}").replace("127.0.0.1", "localhost")
    found = await read(asked(at, tmp_path, tls_ca=server.ca), _names)  # type: ignore[attr-defined]
    assert {"True", "TLSv1.3", "ENCODING"} <= found


async def test_a_certificate_of_another_authority_is_refused_before_a_password_is_sent(
    server: Postgres, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    fakes.Certificates().ca.cert_pem.write_to_path(str(other))
    at = url(server, "tls", "sslmode=verify-full").replace("127.0.0.1", "localhost")
    with pytest.raises(CannotTeachError, match=r"(?i)certificate"):
        await read(asked(at, tmp_path, tls_ca=str(other)), _names)


async def test_without_tls_such_a_server_refuses_and_its_words_are_told(server: Postgres, tmp_path: Path) -> None:
    with pytest.raises(CannotTeachError, match=r"no encryption|rejects"):
        await read(asked(url(server, "tls"), tmp_path), _names)


async def test_a_denied_host_is_never_connected_to(server: Postgres, tmp_path: Path) -> None:
    with pytest.raises(CannotTeachError, match="deny_hosts"):
        await read(asked(url(server, "plain"), tmp_path, deny_hosts=("127.0.0.1",)), _names)


async def test_the_port_is_closed_and_its_connections_are_ended_when_the_lesson_is_over(
    server: Postgres, tmp_path: Path
) -> None:
    given = asked(url(server, "plain"), tmp_path)
    with ProbeContext() as context:
        address = parse(given.service.kind, given.service.url.reveal())
        async with forwarding(given.service, address, context, 5.0) as line:
            reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
            writer.write(b"\0\0\0\x08\x04\xd2\x16\x2f")
            assert await reader.read(1) in (b"S", b"N")
        assert await reader.read() == b""
        writer.close()
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", line.port)
