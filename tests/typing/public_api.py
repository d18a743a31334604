"""What a team's own type checker sees of the public names: checked by `mypy --strict` in the lint, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import assert_type

import resilience
from resilience import (
    Applied,
    Cause,
    ConnectivityResult,
    ConnectivityStatus,
    Decision,
    FaultCode,
    Incident,
    InfrastructureHealth,
    Outcome,
    Plan,
    Recovery,
    ResilienceError,
    ResilientTestRunner,
    Restored,
    Run,
    SettingsError,
    TestConnectivityValidator,
    TestExecutionMode,
    TestSuiteResult,
    UsageError,
    Verdict,
)


async def look_at_staging() -> None:
    health = await resilience.validate_infrastructure_health(config=Path("resilience.toml"))
    assert_type(health, InfrastructureHealth)
    assert_type(await resilience.validate_critical_services(config="resilience.toml"), InfrastructureHealth)
    assert_type(await resilience.assess_test_infrastructure_health(), InfrastructureHealth)
    assert_type(health.services, tuple[ConnectivityResult, ...])
    assert_type(health.causes, tuple[Cause, ...])
    assert_type(health.overall_status, ConnectivityStatus)
    assert_type(health.services[0].status, ConnectivityStatus)
    assert_type(health.services[0].fault, FaultCode | None)
    assert_type(health.started_at, datetime)
    assert_type(resilience.is_service_available("staging_backend", snapshot=Path("snapshot.json")), bool)


async def look_again_and_again() -> None:
    validator = TestConnectivityValidator(config="resilience.toml")
    assert_type(await validator.validate_all_services(), InfrastructureHealth)
    assert_type(await validator.validate_service("redis"), InfrastructureHealth)
    assert_type(validator.watch(interval_s=60), AsyncIterator[InfrastructureHealth])


async def run_the_tests() -> None:
    runner = ResilientTestRunner(settings=resilience.load_settings("resilience.toml"))
    health = await runner.assess_infrastructure_health()
    mode = runner.determine_execution_mode(health)
    assert_type(mode, TestExecutionMode)
    assert_type(runner.plan_resilient_configuration(health, mode), Plan)
    assert_type(runner.apply_resilient_configuration(health, "degraded"), Applied)
    result = await runner.run_test_suite("pytest tests/unit")
    assert_type(result, TestSuiteResult)
    assert_type(result.verdict, Verdict)
    assert_type(result.tests[0].outcome, Outcome)
    assert_type(runner.generate_resilience_report(result), str)
    assert_type(await resilience.run_tests_with_resilience(["pytest tests/unit"]), TestSuiteResult)


async def go_through_the_runbook() -> None:
    run = resilience.open_run("latest", config="resilience.toml")
    assert_type(run, Run)
    assert_type(await run.assess(samples=3), InfrastructureHealth)
    assert_type(run.choose_mode("offline"), Decision)
    assert_type(run.make_plan(), Plan)
    assert_type(await run.apply(), Applied)
    assert_type(await run.run_tests(), TestSuiteResult)
    assert_type(await run.validate_recovery(), Recovery)
    assert_type(await run.restore(), Restored)
    assert_type(run.incident, Incident)


async def go_through_a_notebook() -> None:
    runbook = resilience.open_notebook(globals())
    assert_type(await runbook.assess(), InfrastructureHealth | None)
    assert_type(runbook.choose_mode(), Decision | None)
    assert_type(await runbook.report(), tuple[Path, ...])


def explore_the_history() -> None:
    trends = resilience.open_trends(globals())
    assert_type(trends.trends.lines, tuple[str, ...])
    assert_type(trends.chart("days"), None)


def tell_what_went_wrong(error: ResilienceError) -> str:
    if isinstance(error, SettingsError):
        return assert_type(error.found, str)
    if isinstance(error, UsageError):
        return assert_type(error.hint, str)
    return assert_type(str(error), str)
