"""Incidents made by code: a drill of 25 s, the night of 03:14, an all-green look, a run that failed at once, and hostile texts."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from resilience.core.records import (
    Applied,
    Cause,
    CauseName,
    CommandResult,
    ConnectivityResult,
    ConnectivityStatus,
    Decision,
    EnvChange,
    EventKind,
    FaultCode,
    Incident,
    InfrastructureHealth,
    Notice,
    Outcome,
    Phase,
    Phases,
    Reached,
    Recovery,
    RecoveryCheck,
    Restored,
    Sample,
    Stage,
    StageName,
    StageStatus,
    StandIn,
    TestExecutionMode,
    TestOutcome,
    TestSuiteResult,
    TestTotals,
    TimelineEvent,
    Vantage,
    Verdict,
)
from tests.kits.kinds import ServiceType

S = ConnectivityStatus
VANTAGE = Vantage(host="ci-runner-7", user="build", network="n-4f2a", platform="Linux 6.8 x86_64", python="3.11.9")
SERVICES = {
    "database": (ServiceType.POSTGRESQL, 0.018, "staging-db:5432", True),
    "backend_api": (ServiceType.HTTP, 0.110, "https://backend.staging/health", True),
    "redis": (ServiceType.REDIS, 0.003, "staging-redis:6379", False),
    "auth_service": (ServiceType.HTTP, 0.080, "https://auth.staging/health", False),
    "websocket": (ServiceType.WEBSOCKET, 0.060, "wss://ws.staging/ws", False),
    "llm_service": (ServiceType.OPENAI, 0.420, "https://llm.staging/v1", False),
}
Judge = Callable[[str, float], tuple[ConnectivityStatus, float, FaultCode | None]]


class Story(NamedTuple):
    incident: Incident
    samples: tuple[Sample, ...]


def phases(service: str, status: ConnectivityStatus, seconds: float, fault: FaultCode | None) -> Phases:
    """Give phases that add up to the seconds, or end where the fault is."""
    if fault is FaultCode.TCP_TIMEOUT:
        return Phases(dns_s=0.001)
    if fault in (FaultCode.APP_OVERLOAD, FaultCode.APP_UPSTREAM):
        return Phases(dns_s=0.001, tcp_s=seconds * 0.3, first_byte_s=seconds * 0.6)
    if fault is not None:
        return Phases(dns_s=0.001, tcp_s=min(0.002, seconds / 4))
    tls = seconds * 0.35 if SERVICES[service][2].startswith(("https", "wss")) else None
    rest = seconds - 0.0005 - seconds * 0.15 - (tls or 0)
    return Phases(dns_s=0.0005, tcp_s=seconds * 0.15, tls_s=tls, first_byte_s=rest * 0.6, query_s=rest * 0.4)


def samples(
    start: datetime, until_s: float, every_s: float, judge: Judge, *, seed: int = 7, services: Sequence[str] = ()
) -> tuple[Sample, ...]:
    """Give a probe of every service each `every_s` seconds; `judge` says how it was."""
    chance = random.Random(seed)
    found = []
    moment = 0.0
    while moment <= until_s:
        for name in services or SERVICES:
            status, factor, fault = judge(name, moment)
            base = SERVICES[name][1]
            took = factor if fault is not None else base * factor * math.exp(chance.gauss(0, 0.18))
            found.append(
                Sample(
                    at=start + timedelta(seconds=moment + chance.random() * 0.05),
                    service=name,
                    status=status,
                    response_time_s=took,
                    fault=fault,
                    phases=phases(name, status, took, fault),
                    stage="assess",
                )
            )
        moment += every_s
    return tuple(found)


def result(name: str, status: ConnectivityStatus, at: datetime, **changes: object) -> ConnectivityResult:
    """Give one service's result, well unless told otherwise."""
    kind, base, endpoint, critical = SERVICES[name]
    fields: dict[str, object] = {
        "name": name,
        "type": kind,
        "status": status,
        "fault": None,
        "phase": None,
        "retryable": False,
        "infrastructure": False,
        "response_time_s": base,
        "phases": phases(name, status, base, None),
        "endpoint": endpoint,
        "critical": critical,
        "detail": "",
        "hint": "",
        "started_at": at,
        "degraded_above_s": 5.0 if name == "llm_service" else 1.0,
    }
    return ConnectivityResult(**{**fields, **changes})  # type: ignore[arg-type]


DATABASE_DOWN = {
    "fault": FaultCode.TCP_TIMEOUT,
    "phase": Phase.TCP,
    "retryable": True,
    "infrastructure": True,
    "response_time_s": 2.0,
    "phases": Phases(dns_s=0.001),
    "detail": "TimeoutError: (no text), staging-db:5432, 2.0 s",
    "hint": "packets are dropped: VPC connector down, firewall, wrong subnet, or the host is dead",
    "expected": "select 1 == 1 within 2.0 s",
    "found": "no answer to a TCP connect within 2.0 s",
}
BACKEND_DOWN = {
    "fault": FaultCode.APP_OVERLOAD,
    "phase": Phase.FIRST_BYTE,
    "retryable": True,
    "infrastructure": True,
    "response_time_s": 0.0061,
    "phases": Phases(dns_s=0.001, tcp_s=0.002, first_byte_s=0.003),
    "detail": "HTTP 503 Service Unavailable",
    "hint": "the proxy is up, no healthy backend behind it: look at its logs, then at the database it depends on",
    "expected": "[STATUS] in (200)",
    "found": "[STATUS] (503)",
    "facts": {"status_code": "503"},
}


def health(at: datetime, bad: dict[str, dict[str, object]], *, took_s: float = 2.04) -> InfrastructureHealth:
    """Give staging at one moment; `bad` maps a service to how it differs from well."""
    services = tuple(
        result(
            name, S(bad[name].get("status", S.UNAVAILABLE)), at, **{k: v for k, v in bad[name].items() if k != "status"}
        )
        if name in bad
        else result(name, S.AVAILABLE, at)
        for name in SERVICES
    )
    overall = S.AVAILABLE if not bad else S.UNAVAILABLE if "database" in bad else S.DEGRADED
    causes = (
        (
            Cause(
                cause=CauseName.VPC_CONNECTOR,
                services=("database", "backend_api"),
                evidence=(
                    "database: tcp_timeout after 2.0 s on the private network",
                    "backend_api: HTTP 503 while it depends on database",
                    "redis, auth_service, websocket, llm_service answered at the same time",
                ),
                next="gcloud compute networks vpc-access connectors describe CONNECTOR --region REGION (state must be READY)",
                issue="#1278",
            ),
        )
        if "database" in bad
        else ()
    )
    return InfrastructureHealth(
        environment="staging",
        started_at=at,
        duration_s=took_s if bad else 0.44,
        vantage=VANTAGE,
        overall_status=overall,
        services=services,
        causes=causes,
        checked=len(SERVICES),
        should_use_fallback=bool(bad),
        is_staging_available=not bad,
    )


ASSERTION = """tests/integration/test_orders.py:41: AssertionError
    def test_total_is_rounded(client):
        order = client.post("/orders", json={"items": [{"price": "0.105", "n": 3}]}).json()
>       assert order["total"] == "0.32"
E       AssertionError: assert '0.31' == '0.32'"""


def suite(at: datetime, mode: TestExecutionMode, *, good: bool = False, took_s: float = 9.4) -> TestSuiteResult:
    """Give a run of 41 tests: passed, product failures, held back, lost, retried; all passed where `good`."""
    kinds = (
        "unit/test_money.py",
        "integration/test_orders.py",
        "integration/test_cache.py",
        "integration/test_live.py",
    )
    tests = [
        TestOutcome(
            id=f"tests/{kinds[n % 4]}::test_case_{n}[{n % 3}]", outcome=Outcome.PASSED, duration_s=0.02 + n / 500
        )
        for n in range(24)
    ]
    if not good:
        tests += [
            TestOutcome(
                id="tests/integration/test_orders.py::test_total_is_rounded",
                outcome=Outcome.FAILED,
                duration_s=0.12,
                service="database",
                message=ASSERTION,
            ),
            TestOutcome(
                id="tests/unit/test_money.py::test_parse_euro",
                outcome=Outcome.ERROR,
                duration_s=0.01,
                message="tests/unit/test_money.py:12: ValueError: could not convert string to float: '1.234,50'",
            ),
            TestOutcome(
                id="tests/integration/test_live.py::test_event_order",
                outcome=Outcome.FAILED,
                duration_s=2.01,
                service="websocket",
                fault=FaultCode.PROTO_SILENT,
                suspect=True,
                message="TimeoutError: (no text)",
                reason="proto_silent, but a probe at that time found websocket well",
            ),
        ]
        tests += [
            TestOutcome(
                id=f"tests/integration/test_cache.py::test_counter[{n}]",
                outcome=Outcome.PASSED,
                rounds=2,
                duration_s=0.03,
                service="redis",
                previous="redis: proto_reset in round 1",
                fault=None,
            )
            for n in range(5)
        ]
        tests += [
            TestOutcome(
                id=f"tests/e2e/staging/test_checkout.py::test_flow[{n}]",
                outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE,
                rounds=0,
                service="backend_api",
                reason="needs the real backend_api, which is down (marker staging)",
            )
            for n in range(4)
        ]
        tests += [
            TestOutcome(
                id="tests/integration/test_cache.py::test_evicts",
                outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE,
                rounds=3,
                duration_s=0.4,
                service="redis",
                fault=FaultCode.TCP_REFUSED,
                message="redis.exceptions.ConnectionError: Error 111 connecting to 127.0.0.1:6382. Connection refused.",
                reason="redis: tcp_refused",
            ),
            TestOutcome(
                id="tests/integration/test_orders.py::test_similar_names",
                outcome=Outcome.STAND_IN_GAP,
                duration_s=0.05,
                service="database",
                fault=FaultCode.APP_SCHEMA_GAP,
                message="asyncpg.exceptions.UndefinedFunctionError: function similarity(text, text) does not exist",
                reason="the stand-in for database lacks it (SQLSTATE 42883); add it to prepare",
            ),
            TestOutcome(
                id="tests/integration/test_live.py::test_hang",
                outcome=Outcome.TIMEOUT,
                duration_s=5.0,
                message="stopped after 5.0 s",
            ),
            TestOutcome(
                id="tests/unit/test_money.py::test_windows_only", outcome=Outcome.SKIPPED, message="needs Windows"
            ),
        ]
    names = [test.outcome for test in tests]
    totals = TestTotals(
        **{one.value: names.count(one) for one in Outcome if one is not Outcome.DESELECTED},
        deselected=12 if not good else 0,
        retried=6 if not good else 0,
        passed_on_retry=5 if not good else 0,
    )
    return TestSuiteResult(
        mode=mode,
        started_at=at,
        duration_s=took_s,
        exit_code=0 if good else 1,
        commands=(
            CommandResult(
                command="pytest tests/unit tests/integration",
                kind="pytest",
                exit_code=0 if good else 1,
                duration_s=took_s - 0.6,
                rounds=1 if good else 3,
                evidence="per test, by our plugin",
                collected=len(tests),
            ),
            CommandResult(
                command="make check-openapi", kind="other", exit_code=0, duration_s=0.6, evidence="exit code and output"
            ),
        ),
        totals=totals,
        tests=tuple(tests),
        verdict=Verdict.PASSED if good else Verdict.PRODUCT_FAILURES,
        reached=()
        if good
        else (Reached(service="database", connections=31, canary=True), Reached(service="redis", connections=12)),
    )


def _story(start: datetime, at: dict[str, float], found: tuple[Sample, ...], slug: str, drill: str = "") -> Story:
    def t(name: str) -> datetime:
        return start + timedelta(seconds=at[name])

    first = health(t("assess"), {"database": DATABASE_DOWN, "backend_api": BACKEND_DOWN})
    latest = health(t("recovered"), {})
    mode = TestExecutionMode.DEGRADED
    stand_ins = (
        StandIn(
            service="database",
            type=ServiceType.POSTGRESQL,
            provider="system",
            endpoint="127.0.0.1:5435",
            ready=True,
            started_here=True,
            version="15.8",
            start_s=0.4,
        ),
        StandIn(
            service="backend_api",
            type=ServiceType.HTTP,
            provider="mock",
            endpoint="127.0.0.1:8091",
            ready=True,
            started_here=True,
        ),
    )
    changes = (
        EnvChange(name="DATABASE_MODE", before=None, after="local"),
        EnvChange(name="DATABASE_URL", before="***", after="***", secret=True),
        EnvChange(name="INFRASTRUCTURE_DEGRADED_MODE", before="false", after="true"),
    )
    tests = suite(t("tests"), mode, took_s=at["tests_end"] - at["tests"])
    names = [
        StageName.ASSESS,
        StageName.CHOOSE_MODE,
        StageName.APPLY_FALLBACK,
        StageName.RUN_TESTS,
        StageName.VALIDATE_RECOVERY,
    ]
    bounds = ["assess", "mode", "mode_end", "applied", "tests_end", "recovered"]
    edges = [at["assess"], at["assess"] + first.duration_s, at["mode"], at["applied"], at["tests_end"], at["recovered"]]
    assert len(bounds) == len(edges) == len(names) + 1
    stages = tuple(
        Stage(
            name=name,
            status=StageStatus.FINISHED,
            started_at=start + timedelta(seconds=a),
            finished_at=start + timedelta(seconds=b),
            note="6 tests run again" if name is StageName.RUN_TESTS else "",
        )
        for name, a, b in zip(names, edges, edges[1:], strict=False)
    )
    checks = tuple(
        RecoveryCheck(at=t("tests_end") + timedelta(seconds=n), good=n > 2, in_a_row=max(n - 2, 0)) for n in range(8)
    )
    recovery = Recovery(
        recovered=True,
        started_at=t("tests_end"),
        duration_s=at["recovered"] - at["tests_end"],
        good_needed=5,
        in_a_row=5,
        dwell_s=(at["recovered"] - at["back"]),
        checks=checks,
        first_good_at=t("back"),
    )
    incident = Incident(
        run=f"{start:%Y-%m-%d}/{start:%H%M%SZ}-{slug}",
        slug=slug,
        environment="staging",
        started_at=t("assess"),
        vantage=VANTAGE,
        finished_at=t("restored"),
        issue="#1278",
        commit="a01788f0c3d2",
        verdict=Verdict.PRODUCT_FAILURES,
        exit_code=1,
        applies=True,
        drill=drill,
        parameters={"mode": "auto", "apply": "True"},
        versions={"resilience-runbook": "0.1.0", "python": "3.11.9", "papermill": "2.7.0"},
        stages=stages,
        timeline=(
            TimelineEvent(at=t("bad"), what="first bad sample", kind=EventKind.BAD_SAMPLE, link="samples.csv"),
            TimelineEvent(
                at=t("mode"),
                what="mode degraded chosen",
                detail="database is unavailable: connect time-out after 2.0 s (critical)",
                kind=EventKind.MODE,
                link="incident.json",
            ),
        ),
        health=first,
        latest=latest,
        decision=Decision(
            mode=mode,
            reasons=(
                "database is unavailable: connect time-out after 2.0 s (critical)",
                "backend_api is unavailable: 503 (critical)",
                "stand-ins for database and backend_api are usable",
            ),
            decided_at=t("mode"),
            stand_ins=("database", "backend_api"),
            held={"backend_api": "tests marked staging never run against mocks"},
        ),
        applied=Applied(
            run=slug,
            mode=mode,
            applied_at=t("applied"),
            host="ci-runner-7",
            env_file="config/.env.test.active",
            stand_ins=stand_ins,
            changes=changes,
            steps=("start database (system)", "start backend_api (mock)", "write config/.env.test.active"),
            duration_s=1.2,
        ),
        tests=tests,
        recovery=recovery,
        restored=Restored(
            run=slug,
            restored_at=t("restored"),
            files=("config/.env.test.active",),
            identical=True,
            stopped=("database", "backend_api"),
            steps=("remove config/.env.test.active", "stop database", "stop backend_api"),
        ),
        full_tests=suite(t("recovered"), TestExecutionMode.FULL, good=True, took_s=at["restored"] - at["recovered"]),
        notices=(
            Notice(
                at=t("restored"),
                reason="VPC connector or Cloud SQL fault for 16 minutes (limit 15)",
                whom="@devops",
                label="infrastructure",
                issue="#1278",
            ),
        ),
        outage_started_at=t("bad"),
        incident_id=f"staging-{start:%Y%m%d}",
    )
    return Story(incident, found)


def drill() -> Story:
    """Give a drill of 25 seconds: the database a black hole, the backend 503, Redis gone for three seconds."""
    start = datetime(2026, 11, 22, 20, 41, 3, tzinfo=UTC)

    def judge(name: str, at: float) -> tuple[ConnectivityStatus, float, FaultCode | None]:
        if name == "database" and 2.0 <= at < 19.0:
            return S.UNAVAILABLE, 2.0, FaultCode.TCP_TIMEOUT
        if name == "backend_api" and 2.0 <= at < 18.5:
            return S.UNAVAILABLE, 0.006, FaultCode.APP_OVERLOAD
        if name == "redis" and 9.0 <= at < 12.0:
            return S.UNAVAILABLE, 0.001, FaultCode.TCP_REFUSED
        if name == "llm_service" and 6 <= at < 8:
            return S.DEGRADED, 4.0, None
        return S.AVAILABLE, 1.0, None

    at = {
        "bad": 2.0,
        "assess": 2.0,
        "mode": 4.2,
        "applied": 5.6,
        "tests": 6.0,
        "tests_end": 16.5,
        "back": 19.0,
        "recovered": 22.4,
        "restored": 24.6,
    }
    return _story(start, at, samples(start, 24.6, 1.0, judge), "database-unavailable", drill="database-unavailable")


def night() -> Story:
    """Give the night of 03:14 to 05:02, probed every 20 s, with a slow start, flapping and a gap."""
    start = datetime(2026, 11, 22, 2, 40, 0, tzinfo=UTC)
    down, back = 34 * 60.0, 142 * 60.0

    def judge(name: str, at: float) -> tuple[ConnectivityStatus, float, FaultCode | None]:
        if name == "database" and down <= at < back:
            return S.UNAVAILABLE, 5.0, FaultCode.TCP_TIMEOUT
        if name == "backend_api" and down - 240 <= at < down + 60:
            return S.DEGRADED, 14.0, None
        if name == "backend_api" and down + 60 <= at < back - 90:
            return S.UNAVAILABLE, 0.009, FaultCode.APP_UPSTREAM
        if name == "websocket" and down + 600 <= at < back and int(at / 180) % 3:
            return S.UNAVAILABLE, 5.0, FaultCode.PROTO_SILENT
        if name == "redis" and 5000 <= at < 5060:
            return S.UNKNOWN, 0.0005, FaultCode.INTERNAL
        if name == "llm_service" and at == 3000:
            return S.AVAILABLE, 9.0, None
        return S.AVAILABLE, 1.0, None

    at = {
        "bad": down,
        "assess": down + 400,
        "mode": down + 406,
        "applied": down + 431,
        "tests": down + 435,
        "tests_end": down + 1190,
        "back": back,
        "recovered": back + 130,
        "restored": back + 900,
    }
    found = tuple(
        s
        for s in samples(start, 150 * 60, 20.0, judge)
        if not (s.service == "auth_service" and 4000 < (s.at - start).total_seconds() < 5200)
    )
    return _story(start, at, found, "vpc-connector")


def green() -> Story:
    """Give a look at which all was well and the full suite passed."""
    start = datetime(2026, 11, 22, 9, 0, 0, tzinfo=UTC)
    found = samples(start, 4, 1.0, lambda name, at: (S.AVAILABLE, 1.0, None))
    seen = health(start, {})
    incident = Incident(
        run="2026-11-22/090000Z-run",
        slug="run",
        environment="staging",
        started_at=start,
        vantage=VANTAGE,
        finished_at=start + timedelta(seconds=14),
        verdict=Verdict.PASSED,
        exit_code=0,
        health=seen,
        latest=seen,
        decision=Decision(
            mode=TestExecutionMode.FULL,
            reasons=("all services are available",),
            decided_at=start + timedelta(seconds=1),
        ),
        tests=suite(start + timedelta(seconds=2), TestExecutionMode.FULL, good=True),
        stages=(
            Stage(
                name=StageName.ASSESS,
                status=StageStatus.FINISHED,
                started_at=start,
                finished_at=start + timedelta(seconds=0.5),
            ),
        ),
    )
    return Story(incident, found)


def failed() -> Story:
    """Give a run in which the runbook failed before any assessment."""
    start = datetime(2026, 11, 22, 4, 0, 0, tzinfo=UTC)
    incident = Incident(
        run="2026-11-22/040000Z-run",
        slug="run",
        environment="staging",
        started_at=start,
        vantage=VANTAGE,
        finished_at=start + timedelta(seconds=1.2),
        verdict=Verdict.RUNBOOK_FAILED,
        exit_code=30,
        stages=(
            Stage(
                name=StageName.ASSESS,
                status=StageStatus.FAILED,
                started_at=start,
                finished_at=start + timedelta(seconds=1.1),
                error="OSError: [Errno 28] No space left on device: 'outputs/2026-11-22'",
                hint="df -h outputs",
            ),
        ),
    )
    return Story(incident, ())


HOSTILE = (
    "@devops fixes #12 <script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) "
    "![i](https://evil.example/p.png) `` ` ``` | a | b | \x1b[31mred\x1b[0m \u202egnp.exe \u200bzero $\\frac{1}{0}$ --> "
    "<!-- people:lessons --> {{ 7*7 }} {% raw %} GH-12 https://evil.example/?q=1 www.evil.example Duplicate of #3 "
    "\x00 &amp; ]]> %%{init: {}}%% end\n```\n# heading\n"
)


def hostile(text: str = HOSTILE) -> Story:
    """Give the drill with `text` wherever a service, a test or a configuration can put words."""
    from dataclasses import replace

    from resilience.report.texts import redacted

    story = drill()
    assert story.incident.health is not None
    assert story.incident.tests is not None
    services = tuple(
        replace(
            one,
            detail=text,
            hint=text,
            expected=text,
            found=text,
            endpoint=text,
            facts={"server_version": text},
            owner=text,
        )
        for one in story.incident.health.services
    )
    cause = replace(story.incident.health.causes[0], evidence=(text,), next=text)
    tests = tuple(
        replace(one, id=f"tests/test_x.py::test_x[{text} {n}]", message=text, reason=text, previous=text)
        for n, one in enumerate(story.incident.tests.tests)
    )
    incident = replace(
        story.incident,
        health=replace(story.incident.health, services=services, causes=(cause,)),
        tests=replace(story.incident.tests, tests=tests, notes=(text,)),
        notes=(text,),
        notices=(Notice(at=story.incident.started_at, reason=text, whom=text, label=text, issue=text),),
        stages=tuple(
            replace(one, status=StageStatus.FAILED, error=text, hint=text, note=text) for one in story.incident.stages
        ),
        parameters={text: text},
        timeline=(TimelineEvent(at=story.incident.started_at, what=text, detail=text, link=text),),
    )
    assert redacted(incident, str) == incident
    return Story(incident, story.samples)
