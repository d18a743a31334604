"""Observations → results → staging as a whole."""

from __future__ import annotations

import itertools
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from resilience.core.assess import assess, is_good, judge, overall_status
from resilience.core.faults import fault
from resilience.core.records import (
    CauseName,
    ConnectivityStatus,
    FaultCode,
    InfrastructureHealth,
    Observation,
    Phase,
    Phases,
    StandInAvailability,
    Vantage,
)
from resilience.core.secret import Secret
from resilience.core.settings import Service, Wishes
from resilience.host.log import FORMAT, log_health
from resilience.host.vantage import vantage
from resilience.services.registry import KINDS
from tests.kits.kinds import ServiceType

C, S, T = FaultCode, ConnectivityStatus, ServiceType
NOW = datetime(2026, 11, 22, 3, 14, 7, tzinfo=UTC)
TYPES = {
    "database": T.POSTGRESQL,
    "redis": T.REDIS,
    "clickhouse": T.CLICKHOUSE,
    "websocket": T.WEBSOCKET,
    "llm_service": T.OPENAI,
}


def service(name: str, **more: Any) -> Service:
    more.setdefault("url", Secret("x://y"))
    return Service(name=name, kind=KINDS[TYPES.get(name, T.HTTP)], **more)


def observed(
    name: str,
    code: FaultCode | None = None,
    phase: Phase = Phase.TCP,
    *,
    endpoint: str = "host.example:1",
    found: str = "",
    seconds: float = 0.123,
    facts: dict[str, str] | None = None,
) -> Observation:
    reached = code is None or phase in (Phase.TLS, Phase.FIRST_BYTE, Phase.QUERY)
    dns = None if phase is Phase.DNS and code else 0.001
    return Observation(
        name=name,
        started_at=NOW,
        response_time_s=seconds,
        phases=Phases(
            dns_s=dns, tcp_s=0.01 if reached else None, tls_s=0.01 if code is None and name != "redis" else None
        ),
        fault=fault(code, phase, endpoint=endpoint) if code else None,
        endpoint=endpoint,
        found=found,
        facts=facts or {},
    )


def health(
    *seen: tuple[Service, Observation | None],
    stand_ins: tuple[str, ...] = (),
    wishes: Wishes | None = None,
    **more: Any,
) -> InfrastructureHealth:
    return assess(
        [s for s, _ in seen],
        {s.name: o for s, o in seen if o is not None},
        environment="staging",
        vantage=Vantage(host="h", user="u"),
        started_at=NOW,
        duration_s=0.2,
        stand_ins=[StandInAvailability(service=n, usable=True, provider="system", reason="") for n in stand_ins],
        wishes=wishes,
        **more,
    )


WELL = (service("redis"), observed("redis"))


def test_a_well_service_has_no_fault() -> None:
    made = judge(service("redis"), observed("redis"))
    assert (made.status, made.fault, made.phase, made.hint) == (S.AVAILABLE, None, None, "")


def test_slow_is_degraded_and_names_the_slowest_phase() -> None:
    made = judge(service("backend_api", degraded_above_s=1.0), observed("backend_api", seconds=2.456))
    assert (made.status, made.fault) == (S.DEGRADED, C.APP_SLOW)
    assert "(2.456 s) <= 1 s" in made.detail


def test_an_unconfigured_service_is_listed_with_what_to_set() -> None:
    made = judge(service("database", url=Secret(""), unset=("STAGING_POSTGRES_HOST",)), None)
    assert made.status is S.NOT_CONFIGURED
    assert "STAGING_POSTGRES_HOST" in made.detail
    assert made.hint.startswith("export STAGING_POSTGRES_HOST")


@pytest.mark.parametrize("code", [C.INTERNAL, C.DENIED_HOST, C.CONFIG_INVALID, C.TCP_PROHIBITED])
def test_what_says_something_about_us_only_is_unknown(code: FaultCode) -> None:
    assert judge(service("redis"), observed("redis", code)).status is S.UNKNOWN


@pytest.mark.parametrize("code", [C.APP_HTTP_404, C.APP_AUTH, C.APP_BAD_BODY, C.DNS_NXDOMAIN, C.TLS_HOSTNAME])
def test_what_is_our_setting_is_unavailable_but_no_infrastructure(code: FaultCode) -> None:
    made = judge(service("backend_api"), observed("backend_api", code, Phase.QUERY))
    assert (made.status, made.infrastructure, made.retryable) == (S.UNAVAILABLE, False, False)


@pytest.mark.parametrize(
    ("name", "facts", "code"),
    [
        ("database", {"role": "standby"}, C.APP_READONLY),
        ("database", {"role": "primary", "read_only": "on"}, C.APP_READONLY),
        ("redis", {"role": "replica", "replica_read_only": "1"}, C.APP_READONLY),
        ("redis", {"role": "replica", "replica_read_only": "0"}, None),
        ("redis", {"primary_link": "down"}, C.APP_REPLICA_DOWN),
        ("redis", {"memory_used": "99 %", "memory_policy": "noeviction"}, C.APP_OVERLOAD),
        ("redis", {"memory_used": "99 %", "memory_policy": "allkeys-lru"}, None),
        ("clickhouse", {"readonly_replicas": "1"}, C.APP_READONLY),
    ],
)
def test_roles_and_state_are_judged_here_not_by_the_probe(
    name: str, facts: dict[str, str], code: FaultCode | None
) -> None:
    made = judge(service(name), observed(name, facts=facts))
    assert made.fault is code
    assert made.status is (S.DEGRADED if code else S.AVAILABLE)


def test_flapping_is_degraded() -> None:
    made = health(WELL, flapping=["redis"])
    assert made.services[0].flapping
    assert made.overall_status is S.DEGRADED


CODES = {S.AVAILABLE: None, S.DEGRADED: C.APP_READONLY, S.UNAVAILABLE: C.TCP_REFUSED, S.UNKNOWN: C.INTERNAL}


def expected(critical: ConnectivityStatus, other: ConnectivityStatus) -> ConnectivityStatus:
    if critical in (S.UNAVAILABLE, S.UNKNOWN):
        return critical
    return S.AVAILABLE if critical is other is S.AVAILABLE else S.DEGRADED


@pytest.mark.parametrize(("critical", "other"), list(itertools.product(CODES, CODES)))
def test_the_whole_follows_the_critical_ones(critical: ConnectivityStatus, other: ConnectivityStatus) -> None:
    made = health(
        (service("database", critical=True), observed("database", CODES[critical])),
        (service("redis"), observed("redis", CODES[other])),
    )
    assert made.overall_status is expected(critical, other)
    assert made.is_staging_available == (made.overall_status in (S.AVAILABLE, S.DEGRADED))


def test_nothing_configured_is_unknown_never_available() -> None:
    assert overall_status(()) is S.UNKNOWN
    assert health((service("redis", url=Secret("")), None)).overall_status is S.UNKNOWN


def test_an_unconfigured_critical_service_makes_it_unknown_at_best() -> None:
    unset = (service("database", critical=True, url=Secret("")), None)
    critical = (service("backend_api", critical=True), observed("backend_api"))
    assert health(WELL, unset, critical).overall_status is S.UNKNOWN
    down = (service("backend_api", critical=True), observed("backend_api", C.TCP_REFUSED))
    assert health(WELL, unset, down).overall_status is S.UNAVAILABLE


def test_in_the_shipped_configuration_only_where_no_other_critical_one_is() -> None:
    unset = (service("database", critical=True, url=Secret("")), None)
    critical = (service("backend_api", critical=True), observed("backend_api"))
    assert health(WELL, unset, critical, unset_critical_counts=False).overall_status is S.AVAILABLE
    assert health(WELL, unset, unset_critical_counts=False).overall_status is S.UNKNOWN


def test_offline_is_unknown_never_unavailable_and_keeps_the_faults() -> None:
    made = health(
        (service("database", critical=True), observed("database", C.TCP_TIMEOUT)),
        (service("redis"), observed("redis", C.DNS_TIMEOUT, Phase.DNS)),
        controls=(observed("control", C.TCP_TIMEOUT),),
    )
    assert made.overall_status is S.UNKNOWN
    assert [r.status for r in made.services] == [S.UNKNOWN, S.UNKNOWN]
    assert [r.fault for r in made.services] == [C.TCP_TIMEOUT, C.DNS_TIMEOUT]
    assert made.causes[0].cause is CauseName.THIS_MACHINE
    assert not made.should_skip_tests


DOWN = (service("database", critical=True), observed("database", C.TCP_REFUSED))


@pytest.mark.parametrize(
    ("stand_ins", "wishes", "fallback", "skip"),
    [
        (("database",), Wishes(), True, False),
        ((), Wishes(), False, True),
        ((), Wishes(skip_on_failure=False), False, False),
        (("database",), Wishes(fallback_enabled=False), False, True),
        (("database",), Wishes(resilience_enabled=False), False, True),
        (("redis",), Wishes(), False, True),
    ],
)
def test_fallback_and_skipping(stand_ins: tuple[str, ...], wishes: Wishes, fallback: bool, skip: bool) -> None:
    made = health(DOWN, WELL, stand_ins=stand_ins, wishes=wishes)
    assert (made.should_use_fallback, made.should_skip_tests) == (fallback, skip)


def test_a_wish_for_a_stand_in_is_a_reason_for_fallback_when_all_is_well() -> None:
    assert health(WELL, wishes=Wishes(local_services=("redis",))).should_use_fallback
    assert not health(WELL).should_use_fallback


def test_a_service_never_reached_from_here_is_said_to_be_so() -> None:
    seen = (service("database"), observed("database", C.TCP_TIMEOUT, endpoint="10.52.0.3:5432"))
    never = health(seen, WELL, reached_before=set()).services[0]
    assert never.never_reached
    assert "VPN" in never.hint
    assert not health(seen, WELL, reached_before={"10.52.0.3:5432"}).services[0].never_reached
    assert not health(seen, WELL, reached_before=None).services[0].never_reached


def test_good_for_recovery_means_all_well_and_says_why_not() -> None:
    assert is_good(health(WELL)) == (True, "")
    good, why = is_good(health(WELL, DOWN))
    assert not good
    assert "database unavailable (tcp_refused)" in why
    assert not is_good(health((service("redis", url=Secret("")), None)))[0]


def test_the_guides_log_lines_come_out_exactly() -> None:
    made = health(
        (service("database", critical=True), observed("database")),
        (service("backend_api", degraded_above_s=1.0), observed("backend_api", seconds=2.456)),
        (service("websocket"), observed("websocket", C.TCP_TIMEOUT, seconds=10.0)),
        (service("llm_service", url=Secret("")), None),
    )
    lines: list[str] = []

    class Listing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Listing()
    handler.setFormatter(logging.Formatter(FORMAT))
    logger = logging.getLogger("resilience")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        log_health(made)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    assert lines == [
        "INFO: Service database: available (0.123s)",
        "INFO: Service backend_api: degraded (2.456s)",
        "WARNING: Service websocket: unavailable (10.000s)",
        "INFO: Infrastructure health assessment complete: degraded",
    ]


def test_the_vantage_names_no_address() -> None:
    made = vantage()
    assert made.host
    assert made.user
    assert len(made.network) in (0, 8)
