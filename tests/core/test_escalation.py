"""The guide's four rules say whom to tell and why; a limit not reached says nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from resilience.core.escalation import notices
from resilience.core.records import Cause, CauseName, ConnectivityStatus, Notice
from resilience.core.settings import EscalationSettings
from tests.kits.records import AT, TYPES, S, health

RULES = EscalationSettings()


def due(
    statuses: dict[str, ConnectivityStatus], *, minutes: float | None = None, failures: int = 0, **more: object
) -> tuple[Notice, ...]:
    causes = more.pop("causes", ())
    return notices(
        health(statuses, causes=causes),  # type: ignore[arg-type]
        RULES,
        now=AT,
        down_since=None if minutes is None else AT - timedelta(minutes=minutes),
        failures_in_a_row=failures,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("minutes", "told"), [(None, False), (0, False), (29.9, False), (30, False), (30.1, True)])
def test_critical_services_down_for_more_than_thirty_minutes(minutes: float | None, told: bool) -> None:
    found = due({"database": S.UNAVAILABLE}, minutes=minutes)
    assert bool(found) is told
    if told:
        assert "critical services down for 30 minutes (limit 30): database" in found[0].reason


def test_a_service_that_is_not_critical_may_be_down_for_a_day() -> None:
    assert due({"redis": S.UNAVAILABLE}, minutes=1440) == ()


@pytest.mark.parametrize(("failures", "told"), [(0, False), (2, False), (3, True), (9, True)])
def test_suites_lost_to_infrastructure_in_a_row(failures: int, told: bool) -> None:
    assert bool(due({}, failures=failures)) is told


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
    assert [notice.reason for notice in found] == ["complete staging environment unavailable"]


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


def test_all_four_at_once_are_four_notices() -> None:
    cause = Cause(cause=CauseName.CLOUD_SQL_PROXY, services=("database",), evidence=(), next="")
    assert len(due(dict.fromkeys(TYPES, S.UNAVAILABLE), minutes=31, failures=3, causes=(cause,))) == 4
