"""Deleting what was taught ends the stand-in's server and removes its data, write-ahead log and logs; others' stay."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
import pytest

from resilience import stand_ins as local
from resilience.core.settings import Settings
from resilience.stand_ins.checkout import logs_folder
from tests.kits.ports import free_ports
from tests.kits.servers.postgres import binaries
from tests.kits.staging_database import found_in
from tests.kits.stand_in_kit import service

pytestmark = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL binaries on this machine")
PLANTED = "Anna Planted of 12 Example Street"


async def test_no_byte_of_it_is_left_in_data_write_ahead_log_and_logs(checkout: Callable[..., Settings]) -> None:
    one, two = free_ports(2)
    settings = checkout(
        [
            service("database", f"postgresql://app:pw@127.0.0.1:{one}/app", teach=("schema",)),
            service("other", f"postgresql://app:pw@127.0.0.1:{two}/app"),
        ]
    )
    await local.start(settings.services, settings)
    for port in (one, two):
        connection = await asyncpg.connect(f"postgresql://app:pw@127.0.0.1:{port}/app?sslmode=disable")
        await connection.execute(f"create table people (name text); insert into people values ('{PLANTED}')")
        await connection.execute("checkpoint")
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await connection.execute(f"selec '{PLANTED}'")  # into the log
        await connection.close()
    logs_folder(settings).joinpath("database-prepare.log").write_text(PLANTED)
    assert found_in(settings.data, [PLANTED])
    assert await local.forget(settings, settings.services[:1]) == ("database",)
    left = found_in(settings.data, [PLANTED])
    assert all(f"-{two}" in path for path in left.values()), left
    assert left, "the other service's data are its own"
    assert await local.forget(settings, settings.services[:1]) == ()
    left_over = settings.data / "postgresql-1-15"
    left_over.mkdir()
    assert await local.forget(settings, settings.services[:1], keep=settings.services[1:]) == ("database",)
    assert not left_over.exists(), "what an earlier configuration left goes as well"
    assert found_in(settings.data, [PLANTED]) == left
    assert await local.forget(settings, settings.services[1:]) == ("other",)
    assert found_in(settings.data, [PLANTED]) == {}


async def test_a_kind_that_is_taught_by_traffic_alone_has_nothing_loaded(
    checkout: Callable[..., Settings], free_port: int
) -> None:
    settings = checkout([service("backend", f"http://127.0.0.1:{free_port}/health", teach=("traffic",))])
    assert await local.forget(settings, settings.services) == ()
