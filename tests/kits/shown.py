"""One record of each kind, with a hostile text wherever a service can put words."""

from __future__ import annotations

from datetime import UTC, datetime

from resilience.core.errors import OrderError
from resilience.core.records import (
    Applied,
    Cause,
    CauseName,
    ConnectivityResult,
    ConnectivityStatus,
    Decision,
    EnvChange,
    FaultCode,
    Incident,
    InfrastructureHealth,
    Outcome,
    Phase,
    Phases,
    Plan,
    PlannedCommand,
    PlannedStandIn,
    Reached,
    Recovery,
    RecoveryCheck,
    Restored,
    Stage,
    StageName,
    StageStatus,
    StandIn,
    TestExecutionMode,
    TestOutcome,
    TestSuiteResult,
    TestTotals,
    Vantage,
    Verdict,
)
from tests.kits.kinds import ServiceType

NOW = datetime(2026, 11, 22, 3, 14, 7, tzinfo=UTC)


CAUSES = (
    Cause(
        cause=CauseName.VPC_CONNECTOR,
        services=("database",),
        evidence=("lost",),
        next="look at the connector",
        against=("it does not explain [redis]",),
    ),
    *(
        Cause(cause=name, services=(service,), evidence=("ill",), next="look", also_possible=True)
        for name, service in (
            (CauseName.DNS_RESOLVER, "clickhouse"),
            (CauseName.SINGLE_SERVICE, "redis"),
            (CauseName.SINGLE_SERVICE, "websocket"),
        )
    ),
)
"""One cause, and what else is possible."""
EVIL = "<img src=x onerror=alert(1)>\"'&"


def result(status: ConnectivityStatus, **fields: object) -> ConnectivityResult:
    values: dict[str, object] = {
        "name": "database",
        "type": ServiceType.POSTGRESQL,
        "status": status,
        "fault": None,
        "phase": None,
        "retryable": False,
        "infrastructure": False,
        "response_time_s": 0.02,
        "phases": Phases(),
        "endpoint": EVIL,
        "critical": True,
        "detail": EVIL,
        "hint": EVIL,
        **fields,
    }
    return ConnectivityResult(**values)  # type: ignore[arg-type]


def health(*results: ConnectivityResult) -> InfrastructureHealth:
    return InfrastructureHealth(
        environment="staging",
        started_at=NOW,
        duration_s=5.0,
        vantage=Vantage(host="runner", user="ann"),
        overall_status=ConnectivityStatus.UNAVAILABLE,
        services=results,
        causes=(
            Cause(
                cause=CauseName.VPC_CONNECTOR, services=("database",), evidence=(EVIL,), next="look at the connector"
            ),
        ),
        checked=len(results),
    )


DOWN = result(
    ConnectivityStatus.UNAVAILABLE,
    fault=FaultCode.TCP_TIMEOUT,
    phase=Phase.TCP,
    response_time_s=5.0,
    never_reached=True,
)


DECISION = Decision(
    mode=TestExecutionMode.DEGRADED,
    reasons=(EVIL,),
    decided_at=NOW,
    forced=True,
    asked_by="ann",
    would_be=TestExecutionMode.FULL,
    held={"websocket": EVIL},
)


PLAN = Plan(
    mode=TestExecutionMode.DEGRADED,
    stand_ins=(
        PlannedStandIn(service="database", type=ServiceType.POSTGRESQL, provider="system", local="127.0.0.1:5435"),
    ),
    changes=(EnvChange(name="DATABASE_URL", before=None, after=EVIL),),
    commands=(PlannedCommand(command=EVIL),),
    select="not slow",
    held_markers={"websocket": EVIL},
    undo=("put the file back",),
    steps=("start database",),
    by_hand=("docker compose up -d database",),
    env_file="config/.env.test.active",
    notes=(EVIL,),
)


APPLIED = Applied(
    run="r",
    mode=TestExecutionMode.DEGRADED,
    applied_at=NOW,
    host="runner",
    env_file="/x/.env.test.active",
    stand_ins=(
        StandIn(
            service="database",
            type=ServiceType.POSTGRESQL,
            provider="system",
            endpoint="127.0.0.1:5435",
            ready=False,
            started_here=True,
            error=EVIL,
        ),
    ),
    changes=PLAN.changes,
    steps=("started",),
    failed=("database",),
    redecided=True,
)


TESTS = TestSuiteResult(
    mode=TestExecutionMode.DEGRADED,
    started_at=NOW,
    duration_s=3,
    exit_code=1,
    commands=(),
    totals=TestTotals(passed=2, failed=1, infrastructure_unavailable=1, retried=1, passed_on_retry=1),
    tests=(
        TestOutcome(id=f"tests/test_a.py::test[{EVIL}]", outcome=Outcome.FAILED, message=EVIL, suspect=True),
        TestOutcome(id="tests/test_a.py::test_lost", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE, service="redis"),
        TestOutcome(id="tests/test_a.py::test_back", outcome=Outcome.PASSED, rounds=2),
    ),
    verdict=Verdict.PRODUCT_FAILURES,
    reached=(Reached(service="database", connections=3, detail=EVIL),),
    notes=(EVIL,),
)


CHECKS = (RecoveryCheck(at=NOW, good=False, in_a_row=0, why=EVIL), RecoveryCheck(at=NOW, good=True, in_a_row=1))


RECOVERY = Recovery(
    recovered=False,
    started_at=NOW,
    duration_s=20,
    good_needed=5,
    in_a_row=1,
    dwell_s=60,
    checks=CHECKS,
    reason=EVIL,
)


RESTORED = Restored(
    run="r",
    restored_at=NOW,
    files=(EVIL,),
    identical=True,
    stopped=("database",),
    shell_variables=("DATABASE_URL",),
    kept_copies=(EVIL,),
)


INCIDENT = Incident(
    run="2026-11-22/031407Z-x",
    slug="x",
    environment="staging",
    started_at=NOW,
    vantage=Vantage(host="runner", user="ann"),
    drill="database-unavailable",
    stages=(
        Stage(name=StageName.ASSESS, status=StageStatus.FINISHED, started_at=NOW, finished_at=NOW),
        Stage(name=StageName.RUN_TESTS, status=StageStatus.KILLED, started_at=NOW, error=EVIL, cell="tests"),
    ),
)


RECORDS = {
    "health": health(DOWN, result(ConnectivityStatus.NOT_CONFIGURED)),
    "decision": DECISION,
    "plan": PLAN,
    "applied": APPLIED,
    "tests": TESTS,
    "recovery": RECOVERY,
    "restored": RESTORED,
    "incident": INCIDENT,
    "error": OrderError(EVIL, hint=EVIL),
    "anything else": EVIL,
}
