"""The log says what the outage guide's lines say, in its levels and its words."""

from __future__ import annotations

import contextlib
import logging

import pytest

from resilience.core.records import Applied, ConnectivityStatus, StandIn, TestExecutionMode
from resilience.core.settings import Service
from resilience.host.log import FORMAT, log_applied, log_health, log_service, logger, quiet
from resilience.services.registry import KINDS
from tests.kits.records import AT, TYPES, S, health, result


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [logging.Formatter(FORMAT).format(record) for record in caplog.records]


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="resilience")


@pytest.mark.parametrize("status", [status for status in S if status is not S.NOT_CONFIGURED])
def test_a_service_that_does_not_answer_is_a_warning_any_other_an_information(
    status: ConnectivityStatus, caplog: pytest.LogCaptureFixture
) -> None:
    log_service(result("database", status))
    level = "INFO" if status in (S.AVAILABLE, S.DEGRADED) else "WARNING"
    [line] = lines(caplog)
    assert line.startswith(f"{level}: Service database: {status.value} (")
    assert line.endswith("s)")


def test_the_whole_is_said_last_and_a_service_that_is_not_configured_not_at_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log_health(health({"redis": S.NOT_CONFIGURED, "database": S.UNAVAILABLE}))
    said = lines(caplog)
    assert len(said) == len(TYPES)
    assert not any("redis" in line for line in said)
    assert said[-1] == "INFO: Infrastructure health assessment complete: unavailable"


def applied(*stand_ins: StandIn) -> Applied:
    return Applied(
        run="r", mode=TestExecutionMode.DEGRADED, applied_at=AT, host="h", env_file="e", stand_ins=stand_ins, changes=()
    )


def stand_in(name: str, kind: str, provider: str, *, ready: bool = True) -> StandIn:
    return StandIn(service=name, type=kind, provider=provider, endpoint="127.0.0.1:1", ready=ready, started_here=True)


@pytest.mark.parametrize(
    ("name", "kind", "provider", "line"),
    [
        ("database", "postgresql", "wheel", "Falling back to local PostgreSQL due to unavailability"),
        ("orders", "postgresql", "wheel", "Falling back to local PostgreSQL due to unavailability"),
        ("redis", "redis", "running", "Falling back to local Redis due to unavailability"),
        ("websocket", "websocket", "mock", "Enabling WebSocket mock mode due to service unavailability"),
        ("llm_service", "openai", "mock", "Enabling LLM mock mode due to service unavailability"),
        ("shop", "http", "mock", "Enabling shop mock mode due to service unavailability"),
        ("shop", "http", "compose", "Falling back to local shop due to unavailability"),
    ],
)
def test_a_stand_in_in_use_is_said_in_the_guides_words(
    name: str, kind: str, provider: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    log_applied(applied(stand_in(name, kind, provider)), [Service(name=name, kind=KINDS[kind])])
    assert lines(caplog) == ["INFO: Applied resilient configuration for degraded mode", f"INFO: {line}"]


def test_a_stand_in_that_did_not_come_up_is_not_said_to_be_used(caplog: pytest.LogCaptureFixture) -> None:
    log_applied(applied(stand_in("redis", "redis", "wheel", ready=False)), [Service(name="redis", kind=KINDS["redis"])])
    assert len(lines(caplog)) == 1


def test_a_look_for_the_record_alone_says_nothing_and_afterwards_all_is_said_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with contextlib.suppress(ZeroDivisionError), quiet():
        log_service(result("database"))
        raise ZeroDivisionError
    assert lines(caplog) == []
    log_service(result("database"))
    assert len(lines(caplog)) == 1
    assert not logger.disabled
