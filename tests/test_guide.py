"""The outage guide's snippets run as they are written there, against real servers; only the import is ours."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import resilience
from resilience import (
    ConnectivityStatus,
    ResilientTestRunner,
    TestConnectivityValidator,
    TestExecutionMode,
    is_service_available,
    run_tests_with_resilience,
    stand_ins as local,
    validate_infrastructure_health,
)
from resilience.core.errors import NotConfiguredError, UsageError
from resilience.core.records import Verdict
from resilience.core.settings import Settings
from resilience.fallback import journal as journals
from resilience.host.files import read_env_file
from resilience.lab.lab import Lab
from resilience.lab.proxy import HEALTHY, Dial, Mode
from resilience.suite import pytest_plugin as plugin
from tests.kits.alone import ALONE

GONE = Dial(mode=Mode.REFUSE)
PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider {ALONE}"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A staging of real servers behind fault proxies; its loop is its own, so any test's loop may use it."""
    opened = Lab("healthy", tmp_path_factory.mktemp("guide") / "lab")
    asyncio.run(opened.__aenter__())
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def team(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The lab's repository, with staging well at first; nothing is applied and nothing runs afterwards."""
    monkeypatch.chdir(lab.folder)
    monkeypatch.setenv("RESILIENCE_CONFIG", str(lab.config))
    monkeypatch.setenv("RESILIENCE_STATE", lab.environ["RESILIENCE_STATE"])
    monkeypatch.setattr(logging.getLogger("resilience"), "propagate", True)
    settings = replace(lab.settings, drill="")
    before = (lab.folder / "config" / ".env.test.active").read_bytes()
    yield settings
    for name in lab.staging.doors:
        asyncio.run(lab.turn(name, HEALTHY))
    assert journals.load(settings.state) is None, "nothing is left applied"
    assert (lab.folder / "config" / ".env.test.active").read_bytes() == before
    asyncio.run(local.stop(settings))


async def snippet(text: str, **given: object) -> dict[str, object]:
    """Run a snippet of the guide as a notebook cell would: await at the top level."""
    source = textwrap.dedent(text).replace("test_framework.resilience", "resilience")
    code = compile(source, "<the guide>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, object] = dict(given)
    result = eval(code, names)
    if inspect.iscoroutine(result):
        await result
    return names


def shell(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell snippet of the guide, with our interpreter as its `python`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", textwrap.dedent(text).replace("test_framework.resilience", "resilience")],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


# --------------------------------------------------------------------------- health


QUICK_START = """
from test_framework.resilience import validate_infrastructure_health

# Quick health check
health = await validate_infrastructure_health()
print(f"Infrastructure status: {health.overall_status}")

if health.should_use_fallback:
    print("Using fallback configuration due to infrastructure issues")
"""


async def test_check_infrastructure_health_first(team: Settings, lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    await snippet(QUICK_START)
    assert capsys.readouterr().out == "Infrastructure status: available\n"
    await lab.turn("database", GONE)
    await snippet(QUICK_START)
    assert capsys.readouterr().out == (
        "Infrastructure status: unavailable\nUsing fallback configuration due to infrastructure issues\n"
    )


async def test_the_log_lines_are_the_guides(team: Settings, lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    await lab.turn("websocket", GONE)
    await lab.turn("auth_service", Dial(mode=Mode.LATENCY, latency_s=team.services[0].degraded_above_s + 0.1))
    with caplog.at_level(logging.INFO, logger="resilience"):
        await validate_infrastructure_health()
    lines = [f"{record.levelname}: {record.getMessage()}" for record in caplog.records]
    shapes = {line.rpartition(" (")[0] if line.endswith("s)") else line for line in lines}
    assert "INFO: Service database: available" in shapes
    assert "INFO: Service auth_service: degraded" in shapes
    assert "WARNING: Service websocket: unavailable" in shapes
    assert lines[-1] == "INFO: Infrastructure health assessment complete: degraded"
    assert all(len(line.rpartition("(")[2]) == len("0.123s)") for line in lines[:-1])
    assert not [line for line in lines if "clickhouse" in line], "what is not configured is not asked"


async def test_continuous_monitoring_alerts_warns_and_waits(
    team: Settings, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
    from test_framework.resilience import TestConnectivityValidator

    # Create validator with monitoring
    validator = TestConnectivityValidator()

    # Continuous health monitoring
    while True:
        health = await validator.validate_all_services()

        if health.overall_status == ConnectivityStatus.UNAVAILABLE:
            print("ALERT: Critical infrastructure failure detected")
            # Send alert notification

        elif health.overall_status == ConnectivityStatus.DEGRADED:
            print("WARNING: Infrastructure degradation detected")

        await asyncio.sleep(300)  # Check every 5 minutes
    """

    class Clock:
        """Stands in for the guide's five minutes: each wait breaks the next thing, the third ends the loop."""

        faults = iter([("redis", GONE), ("database", GONE)])

        async def sleep(self, seconds: float) -> None:
            assert seconds == 300
            await lab.turn(*next(self.faults))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await snippet(text, asyncio=Clock(), ConnectivityStatus=ConnectivityStatus)
    assert capsys.readouterr().out.splitlines() == [
        "WARNING: Infrastructure degradation detected",
        "ALERT: Critical infrastructure failure detected",
    ]


async def test_watch_goes_on_for_as_long_as_it_is_iterated(team: Settings) -> None:
    seen = []
    async for health in TestConnectivityValidator(settings=team).watch(interval_s=0.01):
        seen.append(health.overall_status)
        if len(seen) == 3:
            break
    assert seen == [ConnectivityStatus.AVAILABLE] * 3


async def test_one_service_is_looked_at_by_either_of_its_names(team: Settings) -> None:
    validator = TestConnectivityValidator()
    for name in ("backend_api", "staging_backend"):
        assert [r.name for r in (await validator.validate_service(name)).services] == ["backend_api"]
    with pytest.raises(UsageError, match='did you mean "database"'):
        await validator.validate_service("databse")


def test_the_shell_snippets_say_what_the_guide_says(team: Settings, lab: Lab) -> None:
    asyncio.run(lab.turn("database", GONE))
    said = shell(
        """
        python -c "
        import asyncio
        from test_framework.resilience import validate_infrastructure_health, validate_critical_services
        from test_framework.resilience import assess_test_infrastructure_health

        async def main():
            health = await validate_infrastructure_health()
            print(f'Infrastructure status: {health.overall_status.value}')
            if not health.is_staging_available:
                print('Staging unavailable - using fallback configuration')

            health = await validate_critical_services()
            print(f'Critical services: {health.overall_status.value}')
            if health.should_use_fallback:
                print('Using fallback configuration')

            health = await assess_test_infrastructure_health()

            print('INCIDENT ASSESSMENT')
            print(f'Overall Status: {health.overall_status.value}')
            print(f'Staging Available: {health.is_staging_available}')
            print(f'Should Skip Tests: {health.should_skip_tests}')

            unavailable = health.get_unavailable_services()
            if unavailable:
                print(f'Unavailable Services: {[s.value for s in unavailable]}')
            exit(0 if health.should_skip_tests else 0)

        asyncio.run(main())
        "
        """,
        lab.folder,
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines() == [
        "Infrastructure status: unavailable",
        "Staging unavailable - using fallback configuration",
        "Critical services: unavailable",
        "Using fallback configuration",
        "INCIDENT ASSESSMENT",
        "Overall Status: unavailable",
        "Staging Available: False",
        "Should Skip Tests: False",
        "Unavailable Services: ['database', 'backend_api']",
    ]


async def test_validating_recovery_confirms_only_what_is_available(
    team: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await snippet(
        """
        from test_framework.resilience import validate_infrastructure_health

        async def main():
            health = await validate_infrastructure_health()
            print(f'Status: {health.overall_status.value}')
            if health.overall_status.value == 'available':
                print('Infrastructure recovery confirmed')

        await main()
        """
    )
    assert capsys.readouterr().out == "Status: available\nInfrastructure recovery confirmed\n"


async def test_with_nothing_configured_nothing_is_known_and_nobody_says_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotConfiguredError, match="resilience drill"):
        await validate_infrastructure_health()
    assert not is_service_available("staging_backend")


# --------------------------------------------------------------------------- the runner


async def test_pre_test_validation_applies_synchronously_inside_a_running_loop(
    team: Settings, lab: Lab, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    await lab.turn("redis", GONE)
    await lab.turn("websocket", GONE)
    caplog.set_level(logging.INFO, logger="resilience")
    names = await snippet(
        """
        from test_framework.resilience import ResilientTestRunner

        # Create resilient test runner
        runner = ResilientTestRunner()

        # Assess infrastructure health
        health = await runner.assess_infrastructure_health()

        if health.should_skip_tests:
            print("Skipping tests due to critical infrastructure failures")
            exit(0)

        # Apply resilient configuration
        execution_mode = runner.determine_execution_mode(health)
        runner.apply_resilient_configuration(health, execution_mode)

        print(f"Running tests in {execution_mode.value} mode")
        """
    )
    runner = names["runner"]
    assert isinstance(runner, ResilientTestRunner)
    try:
        assert capsys.readouterr().out == "Running tests in degraded mode\n"
        lines = [f"{record.levelname}: {record.getMessage()}" for record in caplog.records]
        at = lines.index("INFO: Applied resilient configuration for degraded mode")
        assert lines[at + 1 : at + 3] == [
            "INFO: Falling back to local Redis due to unavailability",
            "INFO: Enabling WebSocket mock mode due to service unavailability",
        ]
        written = read_env_file(team.env_file)
        assert (written["REDIS_MODE"], written["WEBSOCKET_MOCK_MODE"]) == ("local", "true")
        assert written["DATABASE_URL"], "what staging still serves stays configured"
    finally:
        await runner.restore()


async def test_test_result_analysis(team: Settings, lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    names = await snippet(
        """
        from test_framework.resilience import ResilientTestRunner

        # Run tests and generate report
        runner = ResilientTestRunner()
        result = await runner.run_test_suite(test_commands)

        # Generate comprehensive report
        report = runner.generate_resilience_report(result)
        print(report)

        # Check for infrastructure-related failures
        infra_failures = result.infrastructure_unavailable_tests
        if infra_failures > 0:
            print(f"WARNING: {infra_failures} tests skipped due to infrastructure issues")
        """,
        test_commands=[f"{PYTEST} tests/unit"],
    )
    assert type(names["infra_failures"]) is int
    printed = capsys.readouterr().out
    assert "STAGING" in printed or "Staging" in printed
    assert "test_an_invoice_abroad_has_no_vat" in printed, "the product's bug is named"
    assert "WARNING" not in printed


async def test_run_tests_with_resilience_stands_in_runs_and_restores(team: Settings, lab: Lab) -> None:
    await lab.turn("redis", GONE)
    result = await run_tests_with_resilience([f"{PYTEST} tests/integration/test_b_sessions.py"])
    assert result.mode is TestExecutionMode.DEGRADED
    assert result.verdict is Verdict.PASSED_ON_STAND_INS, result
    assert result.passed_tests > 0
    assert result.exit_code == 10
    assert not local.status(team) or not any(stand_in.ready for stand_in in local.status(team))


async def test_run_tests_with_resilience_leaves_a_persons_own_fallback_as_it_is(team: Settings, lab: Lab) -> None:
    await lab.turn("websocket", GONE)
    person = ResilientTestRunner()
    health = await person.assess_infrastructure_health()
    person.apply_resilient_configuration(health, person.determine_execution_mode(health))
    try:
        applied = team.env_file.read_bytes()
        await run_tests_with_resilience(f"{sys.executable} -c pass")
        assert team.env_file.read_bytes() == applied
        assert journals.load(team.state) is not None
    finally:
        await person.restore()


async def test_a_mode_that_is_unknown_is_refused_before_anything_is_changed(team: Settings) -> None:
    runner = ResilientTestRunner()
    health = await validate_infrastructure_health()
    with pytest.raises(UsageError, match='did you mean "degraded"'):
        runner.apply_resilient_configuration(health, "degrded")
    plan = runner.plan_resilient_configuration(health, "offline")
    assert plan.mode is TestExecutionMode.OFFLINE


# --------------------------------------------------------------------------- inside tests


async def test_the_last_look_answers_inside_tests_under_both_names(team: Settings, lab: Lab) -> None:
    await validate_infrastructure_health()
    assert is_service_available("staging_backend")
    assert is_service_available("backend_api")
    assert is_service_available("database")
    assert not is_service_available("clickhouse"), "not configured is never available"
    await lab.turn("backend_api", GONE)
    await validate_infrastructure_health()
    assert not is_service_available("staging_backend")
    assert not is_service_available("backend_api")
    with pytest.raises(UsageError, match='did you mean "backend_api"'):
        is_service_available("backend_apy")


Door = Callable[[str, Path], bool]


@pytest.fixture(params=["the guide", "the plug-in"])
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Door:
    """Both ways in which a test may ask whether a service is available: they must say the same of one snapshot."""

    def ask(name: str, file: Path) -> bool:
        monkeypatch.setenv("RESILIENCE_SNAPSHOT", str(file))
        return plugin.is_service_available(name) if request.param == "the plug-in" else is_service_available(name)

    return ask


@pytest.mark.parametrize(
    ("document", "available"),
    [
        ({}, False),
        ({"in_use": None}, False),
        ({"in_use": []}, False),
        ({"in_use": ["redis"]}, False),
        ({"in_use": ["database"]}, True),
        ({"started_at": (datetime.now(UTC) - timedelta(hours=2)).isoformat(), "in_use": ["database"]}, False),
        ({"started_at": "2026-01-01T00:00:00", "in_use": ["database"]}, False),
        ({"started_at": "yesterday", "in_use": ["database"]}, False),
        ({"started_at": None}, False),
    ],
)
def test_a_snapshot_counts_a_stand_in_in_use_but_never_as_staging_and_only_while_it_is_fresh(
    tmp_path: Path, door: Door, document: dict[str, object], available: bool
) -> None:
    """A service that a ready stand-in serves is available for the tests: else they skip what the stand-in would answer."""
    down = {"name": "database", "status": "unavailable"}
    file = tmp_path / "snapshot.json"
    file.write_text(json.dumps({"started_at": datetime.now(UTC).isoformat(), "services": [down], **document}))
    assert door("database", file) is available
    assert door("postgres", file) is available, "the guide's short name"
    assert door("staging_database", file) is False
    assert door("staging_postgres", file) is False


@pytest.mark.parametrize("status", ["available", "degraded", "unavailable", "unknown", "not_configured"])
def test_both_doors_read_a_status_alike(tmp_path: Path, door: Door, status: str) -> None:
    file = tmp_path / "snapshot.json"
    up = {"name": "database", "status": status}
    file.write_text(json.dumps({"started_at": datetime.now(UTC).isoformat(), "services": [up], "in_use": []}))
    assert door("database", file) is (status in ("available", "degraded"))
    assert door("staging_database", file) is door("database", file)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_snapshot_says_that_nothing_is_known(tmp_path: Path, door: Door, text: str) -> None:
    file = tmp_path / "snapshot.json"
    file.write_text(text)
    assert not door("database", file)
    assert not door("database", tmp_path / "none")


async def test_in_a_shell_with_the_stand_ins_environment_what_they_serve_is_available(team: Settings, lab: Lab) -> None:
    """Plain pytest in a shell in which `resilience env` was evaluated: no run of ours wrote it a snapshot."""
    await lab.turn("backend_api", GONE)
    runner = ResilientTestRunner()
    try:
        health = await runner.assess_infrastructure_health()
        applied = runner.apply_resilient_configuration(health, "degraded")
        assert "backend_api" in {stand_in.service for stand_in in applied.stand_ins if stand_in.ready}
        assert not is_service_available("backend_api"), "this process was not given the stand-in's address"
        with applied.environ():
            assert is_service_available("backend_api")
            assert not is_service_available("staging_backend")
    finally:
        await runner.restore()


async def test_graceful_degradation_and_session_start_inside_a_test_run(team: Settings, lab: Lab) -> None:
    """The guide's two skips, in a suite that our run starts: they read what the run saw, without the network."""
    (lab.folder / "tests" / "test_z_skips.py").write_text(
        "import pytest\n"
        "from resilience import is_service_available\n\n"
        "def test_backend():\n"
        '    if not is_service_available("staging_backend"):\n'
        '        pytest.skip("Staging backend unavailable")\n'
        "    assert True\n"
    )
    try:
        await lab.turn("llm_service", GONE)
        result = await run_tests_with_resilience(f"{PYTEST} tests/test_z_skips.py")
        assert (result.totals.passed, result.totals.skipped) == (1, 0)
        await lab.turn("backend_api", GONE)
        result = await run_tests_with_resilience(f"{PYTEST} tests/test_z_skips.py")
        assert (result.totals.passed, result.totals.skipped) == (0, 1)
    finally:
        (lab.folder / "tests" / "test_z_skips.py").unlink()


def test_every_name_of_the_guide_is_at_the_front_door() -> None:
    for name in (
        *("validate_infrastructure_health", "validate_critical_services", "assess_test_infrastructure_health"),
        *("is_service_available", "TestConnectivityValidator", "ResilientTestRunner", "run_tests_with_resilience"),
        *("ConnectivityStatus", "TestExecutionMode", "InfrastructureHealth"),
    ):
        assert name in resilience.__all__
    for kind in (resilience.TestConnectivityValidator, resilience.TestExecutionMode, resilience.TestSuiteResult):
        assert kind.__test__ is False, "pytest must not collect it in a team's suite"
    assert not inspect.iscoroutinefunction(is_service_available)


PUBLIC = [
    *(getattr(resilience, name) for name in resilience._ROOMS["resilience.guide"]),
    *(
        member
        for kind in (TestConnectivityValidator, ResilientTestRunner)
        for name, member in vars(kind).items()
        if not name.startswith("_") and (callable(member) or isinstance(member, property))
    ),
]


def example(of: object) -> str:
    """Return the lines below `For example:`, or what a doctest types."""
    said = inspect.getdoc(of) or ""
    typed = [line[4:] for line in said.splitlines() if line.startswith((">>> ", "... "))]
    _, found, below = said.partition("For example:\n")
    shown = [line for line in below.splitlines() if not line or line.startswith("    ")] if found else []
    return "\n".join(typed or textwrap.dedent("\n".join(shown)).strip().splitlines())


@pytest.mark.parametrize("of", PUBLIC, ids=lambda of: getattr(of, "__qualname__", "run"))
def test_each_name_of_the_guides_api_says_what_it_raises_and_shows_an_example(of: object) -> None:
    assert example(of)
    if getattr(of, "__name__", "") != "determine_execution_mode":
        assert "aise" in (inspect.getdoc(of) or ""), "the errors, or that nothing is raised"


@pytest.mark.slow
async def test_the_examples_run_as_they_are_written(team: Settings, lab: Lab) -> None:
    """As cells of a notebook with `from resilience import *`: while one service is down, and those that test while none is."""
    names = {name: getattr(resilience, name) for name in resilience.__all__} | {"subprocess": subprocess}
    texts = [text for text in map(example, PUBLIC) if "watch(" not in text]  # which never ends
    for text in texts:
        if "run_test" in text:
            await snippet(text, **names)
    await lab.turn("backend_api", GONE)
    for text in texts:
        if "is_service_available" in text:
            with pytest.raises(pytest.skip.Exception, match="Staging backend unavailable"):
                await snippet(text, **names, pytest=pytest)
        elif "run_test" not in text:
            await snippet(text, **names)
    assert await anext(TestConnectivityValidator().watch(interval_s=60))
