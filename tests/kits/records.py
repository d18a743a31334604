"""Records for tests, built with what matters to a test and defaults for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from resilience.core.records import (
    Cause,
    ConnectivityResult,
    ConnectivityStatus,
    FaultCode,
    InfrastructureHealth,
    Phase,
    Phases,
    StandInAvailability,
    TestExecutionMode,
    Vantage,
)
from resilience.core.secret import Secret
from resilience.core.settings import ModeSettings, Service, Settings, Wishes
from resilience.services.registry import KINDS
from tests.kits.kinds import ServiceType

AT = datetime(2026, 11, 22, 3, 14, 7, tzinfo=UTC)
S = ConnectivityStatus
TYPES = {
    "database": ServiceType.POSTGRESQL,
    "redis": ServiceType.REDIS,
    "clickhouse": ServiceType.CLICKHOUSE,
    "backend_api": ServiceType.HTTP,
    "auth_service": ServiceType.HTTP,
    "websocket": ServiceType.WEBSOCKET,
    "llm_service": ServiceType.OPENAI,
}
CRITICAL = ("database", "backend_api")
MARKERS = {
    "database": ("real_database",),
    "redis": ("real_redis",),
    "clickhouse": ("clickhouse",),
    "backend_api": ("real_services",),
    "websocket": ("websocket", "real_services"),
}
LOCALS = {
    "database": (
        "postgresql://app:local-pw@127.0.0.1:5435/app",
        {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "5435"},
    ),
    "redis": ("redis://:local-pw@127.0.0.1:6382/0", {"REDIS_URL": "redis://:local-pw@127.0.0.1:6382/0"}),
    "clickhouse": ("http://app:local-pw@127.0.0.1:8126/app", {"CLICKHOUSE_PORT": "8126"}),
    "backend_api": ("http://127.0.0.1:8091/health", {"BACKEND_URL": "http://127.0.0.1:8091"}),
    "auth_service": ("http://127.0.0.1:8092/health", {"AUTH_SERVICE_URL": "http://127.0.0.1:8092"}),
    "websocket": ("ws://127.0.0.1:8093/ws", {"WEBSOCKET_URL": "ws://127.0.0.1:8093/ws"}),
    "llm_service": ("http://127.0.0.1:8094/v1", {"LLM_URL": "http://127.0.0.1:8094/v1"}),
}


def result(name: str, status: ConnectivityStatus = S.AVAILABLE, fault: FaultCode | None = None) -> ConnectivityResult:
    if fault is None and status is S.UNAVAILABLE:
        fault = FaultCode.TCP_TIMEOUT
    return ConnectivityResult(
        name=name,
        type=TYPES[name],
        status=status,
        fault=fault,
        phase=Phase.TCP if fault else None,
        retryable=True,
        infrastructure=fault is not None,
        response_time_s=None if status is S.NOT_CONFIGURED else 5.0 if fault else 0.01,
        phases=Phases(),
        endpoint=f"{name}.staging.test:1",
        critical=name in CRITICAL,
        detail="",
        hint="",
    )


def health(
    statuses: dict[str, ConnectivityStatus],
    *,
    usable: Sequence[str] = (),
    causes: Sequence[Cause] = (),
    overall: ConnectivityStatus | None = None,
) -> InfrastructureHealth:
    """Staging with these statuses; services that are not named are available. `usable`: those that can be stood in for."""
    results = tuple(result(name, statuses.get(name, S.AVAILABLE)) for name in TYPES)
    dead = [r.name for r in results if r.critical and r.status is S.UNAVAILABLE]
    if overall is None:
        unwell = [r for r in results if r.status not in (S.AVAILABLE, S.NOT_CONFIGURED)]
        unknown = any(r.critical and r.status in (S.UNKNOWN, S.NOT_CONFIGURED) for r in results)
        overall = S.UNAVAILABLE if dead else S.UNKNOWN if unknown else S.DEGRADED if unwell else S.AVAILABLE
    return InfrastructureHealth(
        environment="staging",
        started_at=AT,
        duration_s=5.0,
        vantage=Vantage(host="laptop", user="oncall"),
        overall_status=overall,
        services=results,
        causes=tuple(causes),
        checked=sum(r.status is not S.NOT_CONFIGURED for r in results),
        not_configured=sum(r.status is S.NOT_CONFIGURED for r in results),
        should_use_fallback=bool(dead),
        should_skip_tests=any(name not in usable for name in dead),
        is_staging_available=overall is S.AVAILABLE,
        stand_ins=tuple(
            StandInAvailability(
                service=name,
                usable=name in usable,
                provider="wheel" if name in usable else "",
                reason="" if name in usable else "no binaries found",
            )
            for name in TYPES
        ),
    )


def config(tmp_path: Path, *, wishes: Wishes | None = None, env_target: Path | None = None) -> Settings:
    """Settings with the guide's seven services; nothing in them leads off this machine."""
    services = tuple(
        Service(
            name=name,
            kind=KINDS[kind],
            url=Secret(f"{kind.value}://user:staging-pw@127.0.0.1:1/x"),
            local=Secret(LOCALS[name][0]),
            local_names=tuple(LOCALS[name][1]),
            local_values=LOCALS[name][1],
            exports={"DATABASE_URL": Secret(LOCALS[name][0])} if name == "database" else {},
            critical=name in CRITICAL,
            markers=MARKERS.get(name, ()),
            network="vpc" if name in ("database", "redis") else "",
        )
        for name, kind in TYPES.items()
    )
    profile = {name: value for _url, values in LOCALS.values() for name, value in values.items()} | {"APP_ENV": "test"}
    modes = (TestExecutionMode.DEGRADED, TestExecutionMode.OFFLINE, TestExecutionMode.CRITICAL_ONLY)
    return Settings(
        root=tmp_path,
        source=None,
        env_file=tmp_path / "config" / ".env.test.active",
        env_target=env_target,
        outputs=tmp_path / "outputs",
        state=tmp_path / "state",
        guide_variables=True,
        data=tmp_path / "data",
        services=services,
        modes={mode: ModeSettings(commands=("pytest tests",)) for mode in TestExecutionMode},
        wishes=wishes or Wishes(),
        profile_values={mode: profile for mode in modes},
        secrets=(Secret("local-pw"), Secret("staging-pw")),
    )
