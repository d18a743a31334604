"""Every record shows itself: status as a word, the hostile text of a service as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import PurePath

import pytest

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
    Sample,
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
from resilience.core.settings import ModeSettings
from resilience.show import notebook as views
from tests.kits.kinds import ServiceType

NOW = datetime(2026, 11, 22, 3, 14, 7, tzinfo=UTC)
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


class Tags(HTMLParser):
    """Collects what a browser would see as tags, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", RECORDS)
def test_hostile_text_stays_text_and_every_tag_is_closed(name: str) -> None:
    shown = views.html(RECORDS[name])
    tags = Tags()
    tags.feed(shown)
    tags.close()
    assert not tags.open
    assert "img" not in tags.seen
    assert "script" not in tags.seen
    assert "http" not in re.sub(r"xmlns=\S+", "", shown)  # nothing is loaded from anywhere


@pytest.mark.parametrize("name", RECORDS)
def test_every_record_has_a_text_as_well(name: str) -> None:
    assert views.text(RECORDS[name]).strip()


@pytest.mark.parametrize("status", list(ConnectivityStatus))
def test_every_status_is_a_word_and_not_only_a_colour(status: ConnectivityStatus) -> None:
    assert status.value.replace("_", " ") in views.pill(status)


def test_a_health_names_cause_evidence_and_the_next_thing_to_do() -> None:
    shown = views.html(RECORDS["health"])
    for part in (
        "connect time-out after 5.0 s",
        "never yet reached",
        "VPC connector",
        "look at the connector",
        "runner",
    ):
        assert part in shown


def test_product_failures_stand_before_what_infrastructure_took() -> None:
    shown = views.html(TESTS)
    assert shown.index("PRODUCT FAILURES") < shown.index("Suspects (1)") < shown.index("Failed from infrastructure (1)")
    assert "Passed on a later round (1)" in shown


def test_a_long_list_of_tests_is_cut_and_says_so() -> None:
    tests = tuple(TestOutcome(id=f"t{n}", outcome=Outcome.FAILED) for n in range(100))
    shown = views.html(TestSuiteResult(**{**_fields(TESTS), "tests": tests}))  # type: ignore[arg-type]
    assert "and 60 more, in junit.xml" in shown


def test_the_gauge_counts_good_checks() -> None:
    assert "2 of 5 good checks in a row" in views.gauge(2, 5)
    assert views.gauge(2, 5).count("todo") == 3


def test_a_spark_marks_each_look_that_failed() -> None:
    samples = [
        Sample(at=NOW + timedelta(seconds=n), service="a", status=status, response_time_s=0.1 * n)
        for n, status in enumerate([ConnectivityStatus.AVAILABLE, ConnectivityStatus.UNAVAILABLE] * 3)
    ]
    drawn = views.spark(samples)
    assert drawn.count("<line") == 3
    assert "6 looks, slowest 500 ms, 3 failed" in drawn
    assert views.spark(samples[:1]) == ""
    assert "Trend" in views.health_view(health(result(ConnectivityStatus.AVAILABLE, name="a")), samples)


def test_a_running_suite_shows_bar_counts_and_failures() -> None:
    shown = views.progress_view(
        {"passed": 3, "failed": 1, "infrastructure_unavailable": 1},
        done=5,
        total=10,
        current=EVIL,
        failures=["tests/test_a.py::test_x"],
    )
    for part in (
        "5 of 10",
        "3 passed, 1 failed, 1 infrastructure unavailable",
        "test_x",
        "width:30.00%",
        "width:20.00%",
    ):
        assert part in shown


def test_modes_show_what_each_would_run_and_which_was_chosen() -> None:
    modes = {TestExecutionMode.FULL: ModeSettings(commands=("pytest tests/e2e",), select="not slow")}
    shown = views.modes_view(modes, TestExecutionMode.FULL)
    for part in ("pytest tests/e2e", "not slow", "✓ chosen", "no command is configured", "critical_only"):
        assert part in shown


def test_nothing_to_restore_is_said() -> None:
    nothing = Restored(run="", restored_at=NOW, files=(), identical=True, nothing_to_do=True)
    assert "nothing to put back" in views.html(nothing)


def test_a_run_names_its_files_and_that_it_was_a_drill() -> None:
    shown = views.incident_view(INCIDENT, [PurePath("/x/report.html")])
    assert "report.html" in shown
    assert "nothing here says anything about staging" in shown
    assert "in cell tests" in shown


def _fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in type(record).__dataclass_fields__}  # type: ignore[attr-defined]


def test_the_waterfall_shows_what_was_not_finished_and_hides_no_service() -> None:
    from dataclasses import replace

    from resilience.core.records import ConnectivityStatus, Phases
    from resilience.show.notebook import phases_view
    from tests.kits.records import health

    seen = health({"database": ConnectivityStatus.UNAVAILABLE, "clickhouse": ConnectivityStatus.NOT_CONFIGURED})
    services = tuple(
        replace(r, phases=Phases(tcp_s=0.002, query_s=0.006)) if r.name == "redis" else r for r in seen.services
    )
    html = phases_view(replace(seen, services=services))
    assert "tcp not finished after 5.0 s" in html
    assert "tcp 2 ms" in html
    assert "query 6 ms" in html
    assert all((r.name in html) == (r.name != "clickhouse") for r in services)
    assert phases_view(replace(seen, services=())) == ""
