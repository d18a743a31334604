"""Use is counted by the kind, and a count that cannot be had is None."""

from __future__ import annotations

from resilience import stand_ins as local
from resilience.core.settings import Service
from resilience.services.registry import KINDS
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import service


async def test_where_nothing_answers_or_nothing_is_configured_there_is_no_count() -> None:
    port = free_ports(1)[0]
    for one in (
        service("database", f"postgresql://app:pw@localhost:{port}/app"),
        service("redis", f"redis://:pw@localhost:{port}/0"),
        service("clickhouse", f"http://localhost:{port}/db"),
        service("backend_api", f"http://localhost:{port}/health"),
        Service(name="redis", kind=KINDS["redis"]),
    ):
        assert await local.connections(one) is None
