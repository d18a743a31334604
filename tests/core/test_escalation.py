"""The guide's four rules say whom to tell and why, with a text to paste; a limit not reached says nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from resilience.core.escalation import SoFar, Suites, escalation_lines, joint_text, notices, suites_in_a_row
from resilience.core.records import (
    Acknowledgement,
    Cause,
    CauseName,
    ConnectivityStatus,
    Notice,
    Verdict,
)
from resilience.core.settings import EscalationSettings, Maintenance
from tests.kits.records import AT, TYPES, S, health

RULES = EscalationSettings(mention="@devops")


def due(
    statuses: dict[str, ConnectivityStatus], *, minutes: float | None = None, failures: int = 0, **more: object
) -> tuple[Notice, ...]:
    causes, limits = more.pop("causes", ()), more.pop("limits", RULES)
    so_far = SoFar(
        health=health(statuses, causes=causes),  # type: ignore[arg-type]
        now=AT,
        down_since=None if minutes is None else AT - timedelta(minutes=minutes),
        suites=Suites(count=failures, blocked=failures),
        **more,  # type: ignore[arg-type]
    )
    return notices(so_far, limits)  # type: ignore[arg-type]


@pytest.mark.parametrize(("minutes", "told"), [(None, False), (0, False), (29.9, False), (30, False), (30.1, True)])
def test_critical_services_down_for_more_than_thirty_minutes(minutes: float | None, told: bool) -> None:
    found = due({"database": S.UNAVAILABLE}, minutes=minutes)
    assert bool(found) is told
    if told:
        assert "critical services down for 30 minutes (limit 30): database" in found[0].reason


def test_a_service_that_is_not_critical_may_be_down_for_a_day() -> None:
    assert due({"redis": S.UNAVAILABLE}, minutes=1440) == ()


@pytest.mark.parametrize(("failures", "told"), [(0, False), (2, False), (3, True), (9, True)])
def test_suites_in_a_row_that_failed_or_were_blocked(failures: int, told: bool) -> None:
    assert bool(due({"redis": S.DEGRADED}, failures=failures)) is told


def test_suites_that_fail_on_a_staging_that_is_well_are_the_products() -> None:
    assert due({}, failures=9) == ()


V = Verdict


@pytest.mark.parametrize(
    ("verdicts", "count", "blocked"),
    [
        ((), 0, 0),
        ((V.INFRASTRUCTURE_UNAVAILABLE, V.PRODUCT_FAILURES, V.UNDECIDED, V.PASSED, V.PRODUCT_FAILURES), 3, 2),
        ((V.PRODUCT_FAILURES, V.UNKNOWN, V.INTERRUPTED, V.RUNBOOK_FAILED, V.RUNNING, V.TIMED_OUT), 2, 0),
        ((V.PASSED_ON_STAND_INS, V.PRODUCT_FAILURES), 0, 0),
        ((V.STAND_IN_GAPS, V.PRODUCT_FAILURES), 0, 0),
    ],
)
def test_a_pass_ends_the_row_and_what_said_nothing_does_not(
    verdicts: tuple[Verdict, ...], count: int, blocked: int
) -> None:
    assert suites_in_a_row(verdicts) == Suites(count=count, blocked=blocked)


def test_every_verdict_counts_breaks_or_is_passed_over() -> None:
    for verdict in Verdict:
        assert suites_in_a_row([verdict, V.PRODUCT_FAILURES]).count in (0, 1, 2)


@pytest.mark.parametrize("cause", CauseName)
@pytest.mark.parametrize(("minutes", "long_enough"), [(14.9, False), (15, True)])
def test_only_vpc_connector_and_cloud_sql_faults_are_persistent_errors(
    cause: CauseName, minutes: float, long_enough: bool
) -> None:
    found = due(
        {"redis": S.UNAVAILABLE},
        minutes=minutes,
        causes=(Cause(cause=cause, services=("redis",), evidence=(), next=""),),
    )
    told = cause in (CauseName.VPC_CONNECTOR, CauseName.CLOUD_SQL_PROXY) and long_enough
    assert bool(found) is told


def test_a_staging_that_is_gone_as_a_whole_is_told_at_once() -> None:
    found = due(dict.fromkeys(TYPES, S.UNAVAILABLE))
    assert [(notice.rule, notice.reason) for notice in found] == [
        ("everything_down", "complete staging environment unavailable")
    ]


def test_one_configured_service_is_not_a_complete_environment() -> None:
    statuses = {**dict.fromkeys(TYPES, S.NOT_CONFIGURED), "redis": S.UNAVAILABLE}
    assert due(statuses) == ()


def test_unknown_is_not_unavailable() -> None:
    assert due(dict.fromkeys(TYPES, S.UNKNOWN), minutes=600) == ()


def test_a_notice_has_label_mention_and_the_tracking_issue() -> None:
    cause = Cause(cause=CauseName.VPC_CONNECTOR, services=("database",), evidence=(), next="", issue="#1278")
    (notice,) = due({"redis": S.UNAVAILABLE}, minutes=20, causes=(cause,))
    assert (notice.whom, notice.label, notice.issue, notice.at) == ("@devops", "infrastructure", "#1278", AT)


def test_the_issue_that_a_person_configured_wins_over_the_guides() -> None:
    cause = Cause(cause=CauseName.VPC_CONNECTOR, services=("database",), evidence=(), next="", issue="#1278")
    (notice,) = due({"redis": S.UNAVAILABLE}, minutes=20, causes=(cause,), issue="77")
    assert notice.issue == "77"


def test_nobody_is_mentioned_unless_configured() -> None:
    assert EscalationSettings().mention == ""
    so_far = SoFar(health=health(dict.fromkeys(TYPES, S.UNAVAILABLE)), now=AT)
    (notice,) = notices(so_far, EscalationSettings())
    assert "@" not in notice.text


def test_all_four_at_once_are_four_notices() -> None:
    cause = Cause(cause=CauseName.CLOUD_SQL_PROXY, services=("database",), evidence=(), next="")
    assert len(due(dict.fromkeys(TYPES, S.UNAVAILABLE), minutes=31, failures=3, causes=(cause,))) == 4


def test_the_text_to_paste_says_what_since_when_why_and_whom_to_reach() -> None:
    cause = Cause(
        cause=CauseName.VPC_CONNECTOR, services=("database",), evidence=(), next="ask for the connector", issue="#1278"
    )
    settings = replace(RULES, contacts=("on-call phone 555 0100",))
    found = SoFar(
        health=health({"database": S.UNAVAILABLE}, causes=(cause,)),
        now=AT,
        down_since=AT - timedelta(minutes=42),
        again="third time in 90 days",
    )
    text = notices(found, settings)[0].text
    for words in (
        "critical services down for 42 minutes",
        "@devops",
        "Since: 2026-11-22 02:32 UTC (42 minutes)",
        "`database`, critical",
        "Likely cause: VPC connector",
        "ask for the connector",
        "third time in 90 days",
        "on-call phone 555 0100",
        "issue #1278, label `infrastructure`",
    ):
        assert words in text, text


def test_the_owner_of_a_service_is_named_and_a_hostile_name_mentions_nobody() -> None:
    seen = health(dict.fromkeys(TYPES, S.UNAVAILABLE))
    services = tuple(replace(one, owner="@everyone", endpoint="`x` @team") for one in seen.services)
    found = SoFar(health=replace(seen, services=services), now=AT)
    (notice,) = notices(found, EscalationSettings())
    assert "owner `@everyone`" in notice.text
    assert "`` `x` @team ``" in notice.text


def test_an_acknowledgement_quietens_until_its_time_and_never_an_outage_that_began_later() -> None:
    down = {"database": S.UNAVAILABLE}

    def quiet(ack: Acknowledgement) -> str:
        (notice,) = due(down, minutes=60, acknowledged=ack)
        return notice.quiet

    taken = Acknowledgement(at=AT - timedelta(minutes=5), by="ana@laptop")
    assert quiet(taken) == "acknowledged by ana@laptop at 2026-11-22 03:09 UTC"
    assert quiet(replace(taken, until=AT + timedelta(minutes=1))).endswith("until 2026-11-22 03:15 UTC")
    assert quiet(replace(taken, until=AT)) == ""
    assert quiet(replace(taken, at=AT - timedelta(minutes=61))) == ""


WINDOW = Maintenance(
    since=AT - timedelta(hours=1), until=AT + timedelta(hours=1), services=("database",), why="upgrade"
)


def test_a_service_under_maintenance_quietens_what_only_it_explains() -> None:
    (notice,) = due({"database": S.UNAVAILABLE}, minutes=60, maintenance=(WINDOW,))
    assert notice.quiet == "maintenance until 2026-11-22 04:14 UTC, upgrade"
    (notice,) = due({"database": S.UNAVAILABLE, "backend_api": S.UNAVAILABLE}, minutes=60, maintenance=(WINDOW,))
    assert notice.quiet == ""
    assert notice.reason.endswith(": backend_api")


@pytest.mark.parametrize(
    "window",
    [
        replace(WINDOW, until=AT),
        replace(WINDOW, since=AT + timedelta(seconds=1)),
        replace(WINDOW, services=("redis",)),
    ],
)
def test_a_window_that_is_over_or_of_another_service_quietens_nothing(window: Maintenance) -> None:
    (notice,) = due({"database": S.UNAVAILABLE}, minutes=60, maintenance=(window,))
    assert notice.quiet == ""


def test_a_window_that_names_no_service_is_of_all() -> None:
    found = due(
        dict.fromkeys(TYPES, S.UNAVAILABLE), minutes=60, failures=5, maintenance=(replace(WINDOW, services=()),)
    )
    assert len(found) == 3
    assert all(notice.quiet for notice in found)


def test_lines_and_joint_text_leave_out_what_is_quiet() -> None:
    loud = due(dict.fromkeys(TYPES, S.UNAVAILABLE), minutes=60)
    quiet = replace(loud[0], quiet="acknowledged by ana")
    first, second = escalation_lines((quiet, loud[1]))
    assert first.startswith("NOT ESCALATED (acknowledged by ana): critical")
    assert second.startswith("ESCALATE: complete staging environment unavailable → tell @devops, label infrastructure")
    assert joint_text((quiet,)) == ""
    assert joint_text(loud).count("**Escalation:**") == 2
    assert joint_text(loud).count("- Environment:") == 1


def test_the_joint_text_is_of_the_newest_notice_as_the_first_knew_less() -> None:
    """A run notes a rule when it is due: the third lost suite comes after the first half hour."""
    (first,) = due({"database": S.UNAVAILABLE}, minutes=31, failures=1)
    second = due({"database": S.UNAVAILABLE}, minutes=33, failures=3)[1]
    text = joint_text((first, replace(second, at=AT + timedelta(minutes=2))))
    assert "in a row that failed or were blocked: 3" in text
    assert "(33 minutes)" in text


def test_one_minute_is_one_minute() -> None:
    found = due({"database": S.UNAVAILABLE}, minutes=1.2, limits=replace(RULES, critical_down_minutes=1))
    assert "down for 1 minute (limit 1)" in found[0].reason
