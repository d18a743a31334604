"""What the tests of the stand-ins share: free ports, settings of a checkout in a temporary folder, and proofs of nothing left."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import asyncpg
import pytest

from resilience.core.records import StandIn
from resilience.core.secret import Secret
from resilience.core.settings import Deadlines, Service, Settings
from resilience.services.postgresql import stand_in as postgresql
from resilience.services.redis import stand_in as redis
from resilience.services.registry import KINDS
from tests.kits.kinds import ServiceType

TYPES = {
    "postgresql": ServiceType.POSTGRESQL,
    "redis": ServiceType.REDIS,
    "ws": ServiceType.WEBSOCKET,
    "http": ServiceType.HTTP,
}


def service(name: str, local: str, *, kind: ServiceType | None = None, **fields: object) -> Service:
    return Service(
        name=name,
        kind=KINDS[
            kind or (ServiceType.CLICKHOUSE if name == "clickhouse" else None) or TYPES[local.partition(":")[0]]
        ],
        local=Secret(local),
        **fields,
    )  # type: ignore[arg-type]


def settings_for(folder: Path, services: Sequence[Service], **fields: object) -> Settings:
    """A checkout in this folder; its data lie in it too."""
    (folder / "root").mkdir(exist_ok=True)
    fields.setdefault("deadlines", Deadlines(fallback_activation_s=15.0, fallback_prepare_s=60.0))
    return Settings(
        root=folder / "root",
        source=None,
        env_file=folder / "env",
        outputs=folder / "outputs",
        state=folder / "state",
        data=folder / "data",
        services=tuple(services),
        **fields,  # type: ignore[arg-type]
    )


def processes_naming(folder: Path) -> list[int]:
    """Pids of the processes, zombies apart, whose command line names this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if str(folder).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def eventually(condition: Callable[[], bool], *, within_s: float = 10.0) -> bool:
    """Whether it became true in time; asks every few milliseconds."""
    until = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


@contextlib.contextmanager
def listening(port: int = 0) -> Iterator[int]:
    """Something that accepts on a port of 127.0.0.1 and says nothing."""
    with socket.create_server(("127.0.0.1", port)) as server:
        yield int(server.getsockname()[1])


def team(ports: list[int]) -> list[Service]:
    """The guide's services, but ClickHouse."""
    return [
        service("database", f"postgresql://app:pg%20secret@localhost:{ports[0]}/app_test"),
        service("redis", f"redis://:redis-secret@127.0.0.1:{ports[1]}/0"),
        service("backend_api", f"http://localhost:{ports[2]}/health", mock_routes=("/api/{x}",)),
        service("auth_service", f"http://localhost:{ports[3]}/health"),
        service("websocket", f"ws://localhost:{ports[4]}/ws"),
        service("llm_service", f"http://localhost:{ports[5]}/v1", kind=ServiceType.OPENAI),
    ]


def errors(found: tuple[StandIn, ...]) -> list[str]:
    return [one.error for one in found if not one.ready]


async def query(
    port: int, sql: str, password: str = "pg secret", user: str = "app", database: str = "app_test"
) -> object:
    connection = await asyncpg.connect(
        host="127.0.0.1", port=port, user=user, password=password, database=database, ssl=False
    )
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


needs_servers = pytest.mark.skipif(
    not (postgresql.find_binaries() and redis.find_binaries()), reason="no PostgreSQL or Redis binaries on this machine"
)
"""For tests that start a real PostgreSQL or Redis."""
