"""Services and settings with no import beyond the core's, for a test that looks at what is imported."""

from __future__ import annotations

from pathlib import Path

from resilience.core.secret import Secret
from resilience.core.settings import Service, Settings
from resilience.services.registry import KINDS
from tests.kits.kinds import ServiceType


def services() -> tuple[Service, ...]:
    return (
        Service(name="database", kind=KINDS[ServiceType.POSTGRESQL], local=Secret("postgresql://a:b@localhost:5435/c")),
        Service(name="redis", kind=KINDS[ServiceType.REDIS], local=Secret("redis://:b@localhost:6382/0")),
        Service(name="backend_api", kind=KINDS[ServiceType.HTTP], local=Secret("http://localhost:8090/health")),
    )


def settings(folder: Path) -> Settings:
    return Settings(
        root=folder,
        source=None,
        env_file=folder,
        outputs=folder,
        state=folder,
        data=folder / "data",
        services=services(),
    )
