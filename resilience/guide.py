"""The outage guide's names: thin doors to the same functions the notebooks and the command line use.

All durations are in seconds and all times aware and in UTC. `config` is the path of a `resilience.toml`; without it the one that
counts in the current folder is taken, as on the command line. Nothing here changes anything but what says so.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from resilience.core.errors import RecordError, UsageError, did_you_mean
from resilience.core.mode import decide
from resilience.core.plan import changes_anything
from resilience.core.records import (
    Applied,
    ConnectivityStatus,
    InfrastructureHealth,
    Plan,
    TestExecutionMode,
    TestSuiteResult,
)
from resilience.core.settings import Settings
from resilience.core.variables import APPLIED
from resilience.fallback import journal as journals
from resilience.runs import memory, runbook
from resilience.runs.configuration import load_settings
from resilience.runs.ending import leave_report, recording_the_end
from resilience.services.registry import KINDS

SNAPSHOT_MAX_AGE = timedelta(hours=1)
"""A snapshot older than this says nothing about a service."""

_ALIASES = KINDS.short_names()
_STAGING = "staging_"
_WELL = (ConnectivityStatus.AVAILABLE.value, ConnectivityStatus.DEGRADED.value)


async def validate_infrastructure_health(*, config: Path | str | None = None) -> InfrastructureHealth:
    """Look once at all configured services, all at the same time.

    It takes as long as the slowest probe, at most the largest `timeout_s` of a service. Raises NotConfiguredError where no
    service has a URL, SettingsError for a configuration that cannot be used or an endpoint that changed during an
    incident. A service that is down raises nothing: its status says so.

    For example:

        health = await validate_infrastructure_health()
        health.overall_status, [result.name for result in health.services if result.infrastructure]
    """
    return await TestConnectivityValidator(config=config).validate_all_services()


async def validate_critical_services(*, config: Path | str | None = None) -> InfrastructureHealth:
    """Look once at the services that are `critical = true`, all at the same time.

    Raises NotConfiguredError where no critical service has a URL, SettingsError as `validate_infrastructure_health` does.

    For example:

        health = await validate_critical_services()
        if health.should_skip_tests:
            print("tests are blocked by", health.get_unavailable_services())
    """
    return await runbook.look(load_settings(config), critical=True)


async def assess_test_infrastructure_health(*, config: Path | str | None = None) -> InfrastructureHealth:
    """Look once at all configured services; the guide's other name for `validate_infrastructure_health`.

    Raises NotConfiguredError, SettingsError.

    For example:

        health = await assess_test_infrastructure_health()
        print(health.is_staging_available, health.should_use_fallback)
    """
    return await validate_infrastructure_health(config=config)


def is_service_available(name: str, *, snapshot: Path | str | None = None) -> bool:
    """Say whether the tests can use a service: it answered at the last look, or a ready stand-in serves it to them.

    `staging_NAME` asks for staging's own, which a stand-in never is. A degraded service is available. The answer comes
    from a dated snapshot (`snapshot`, else RESILIENCE_SNAPSHOT, else that of the last look here) and never from the
    network, so it takes no time inside a test. No snapshot, or one older than an hour: False, since nothing is known.
    The plug-in that plain pytest loads answers by the same rule. Raises UsageError for an unknown service.

    For example:

        if not is_service_available("staging_backend"):
            pytest.skip("Staging backend unavailable")
    """
    document = _snapshot(snapshot)
    if document is None:
        return False
    services = {str(service.get("name")): service for service in document.get("services", ())}
    wanted = _known(name, services)
    stood_in = not name.startswith(_STAGING) and wanted in (document.get("in_use") or ())
    return stood_in or services[wanted].get("status") in _WELL


def _known(name: str, known: Collection[str]) -> str:
    """Return the configured name of a service that a test may also call `staging_backend` or `backend`."""
    short = name.removeprefix(_STAGING)
    for candidate in (name, short, _ALIASES.get(short, short)):
        if candidate in known:
            return candidate
    raise UsageError(f"service {name!r} is unknown.", hint=did_you_mean(short, known))


def _snapshot(path: Path | str | None) -> Mapping[str, Any] | None:
    """Return the last assessment while it is fresh, else None; `in_use` are the stand-ins that serve this process."""
    named = path or os.environ.get("RESILIENCE_SNAPSHOT", "")
    state = None if named else load_settings().state
    file = Path(named) if state is None else memory.snapshot(state)
    try:
        document = json.loads(file.read_text())
        age = datetime.now(UTC) - datetime.fromisoformat(document["started_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if age > SNAPSHOT_MAX_AGE:
        return None
    # A run of ours writes down what it uses; a look does not, as what is applied may change after it.
    return document if state is None else {**document, "in_use": _serving_this_process(state)}


def _serving_this_process(state: Path) -> tuple[str, ...]:
    """Return the services whose stand-ins are applied here and whose addresses this process was given."""
    with suppress(RecordError):
        journal = journals.load(state)
        if journal is not None and journal.status == "applied" and journal.run == os.environ.get(APPLIED):
            return journal.stand_ins
    return ()


class TestConnectivityValidator:
    """Looks at services, once or for as long as it is iterated; changes nothing.

    Raises SettingsError where the configuration cannot be used.

    For example:

        validator = TestConnectivityValidator()
        health = await validator.validate_all_services()
    """

    __test__ = False

    def __init__(self, *, config: Path | str | None = None, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings(config)

    async def validate_all_services(self) -> InfrastructureHealth:
        """Look once at all configured services. Raises NotConfiguredError where there is none.

        For example:

            health = await TestConnectivityValidator().validate_all_services()
            {result.name: result.response_time_s for result in health.services}
        """
        return await runbook.look(self.settings)

    async def validate_service(self, name: str) -> InfrastructureHealth:
        """Look at one service, by its name or the guide's short one. Raises UsageError for an unknown name.

        For example:

            health = await TestConnectivityValidator().validate_service("backend")
            health.overall_status
        """
        known = [service.name for service in self.settings.services]
        return await runbook.look(self.settings, names=[_known(name, known)])

    async def watch(self, interval_s: float = 300.0) -> AsyncIterator[InfrastructureHealth]:
        """Look again every `interval_s` seconds (the guide: 5 minutes), for as long as the caller iterates.

        The pause begins when a look has ended. Raises NotConfiguredError, SettingsError, at any look.

        For example:

            async for health in TestConnectivityValidator().watch(interval_s=60):
                print(health.overall_status)
        """
        while True:
            yield await self.validate_all_services()
            await asyncio.sleep(interval_s)


class ResilientTestRunner:
    """The guide's runner: assess, determine the mode, apply, run, report; all in one run's folder.

    The folder is that of the fallback that is applied in this checkout, else a new one, made when it is first needed.
    Raises SettingsError where the configuration cannot be used.

    For example:

        runner = ResilientTestRunner()
        health = await runner.assess_infrastructure_health()
        mode = runner.determine_execution_mode(health)
    """

    def __init__(self, *, config: Path | str | None = None, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings(config)
        self._run: runbook.Run | None = None

    @property
    def run(self) -> runbook.Run:
        """The run whose folder takes what this runner does. Raises RunbookError where no folder can be made.

        For example:

            ResilientTestRunner().run.folder
        """
        if self._run is None:
            self._run = runbook.applied_run(self.settings) or runbook.Run.create(
                self.settings, slug="runner", apply=True
            )
        return self._run

    async def assess_infrastructure_health(self) -> InfrastructureHealth:
        """Look once at all services, and keep the look in the run. Raises NotConfiguredError, SettingsError.

        For example:

            health = await ResilientTestRunner().assess_infrastructure_health()
            print(health.overall_status)
        """
        health = await self.run.assess()
        self.run.finish()
        return health

    def determine_execution_mode(self, health: InfrastructureHealth) -> TestExecutionMode:
        """Return how to run the tests, by the table of the guide; nothing is recorded and nothing changed.

        For example:

            runner = ResilientTestRunner()
            runner.determine_execution_mode(await runner.assess_infrastructure_health())
        """
        return decide(health, self.settings.services, self.settings.wishes, now=datetime.now(UTC)).mode

    def plan_resilient_configuration(self, health: InfrastructureHealth, mode: TestExecutionMode | str) -> Plan:
        """Return what `apply_resilient_configuration` would do, in the words it will use; nothing is done.

        Raises UsageError for an unknown mode, SettingsError for an env file that cannot be read.

        For example:

            runner = ResilientTestRunner()
            plan = runner.plan_resilient_configuration(await runner.assess_infrastructure_health(), "degraded")
            print(plan.steps)
        """
        decision = decide(
            health, self.settings.services, self.settings.wishes, now=datetime.now(UTC), force=runbook.parse_mode(mode)
        )
        return runbook.plan_here(decision, health, self.settings)

    def apply_resilient_configuration(self, health: InfrastructureHealth, mode: TestExecutionMode | str) -> Applied:
        """Start stand-ins and write the env file; it waits for them, also inside a running event loop (as in notebooks).

        A first preparation takes up to FALLBACK_PREPARE_TIMEOUT seconds (120) a service. `restore` undoes it. Raises
        UsageError for an unknown mode, LockedError while another process applies or tests, EditedError for an env file
        that somebody changed, StandInError where not even the second decision can be applied.

        For example:

            runner = ResilientTestRunner()
            health = await runner.assess_infrastructure_health()
            with runner.apply_resilient_configuration(health, "degraded").environ():
                subprocess.run("pytest tests/unit", shell=True)
            await runner.restore()
        """
        run, wanted = self.run, runbook.parse_mode(mode)
        run.save(health=run.incident.health or health, latest=health)
        run.choose_mode(wanted, asked_by="apply_resilient_configuration")
        run.make_plan()
        with ThreadPoolExecutor(max_workers=1) as pool:
            applied = pool.submit(lambda: asyncio.run(run.apply())).result()
        run.finish()
        return applied

    async def restore(self) -> None:
        """Put everything back to the byte, and end the stand-ins that apply started. No database of staging is touched.

        Raises EditedError for a file that somebody changed since, LockedError while another process applies or tests, or
        where the fallback was applied on another host.

        For example:

            await ResilientTestRunner().restore()
        """
        await self.run.restore()

    async def run_test_suite(self, commands: Sequence[str] | str) -> TestSuiteResult:
        """Run shell commands in the mode that fits staging now, and count outcomes per test.

        Staging is looked at and the mode chosen first, where the run has neither. Raises LockedError while another
        process applies or tests, RunbookError for a command that the shell cannot start. Tests that fail raise nothing.

        For example:

            result = await ResilientTestRunner().run_test_suite("pytest tests/unit")
            result.verdict, result.totals.passed, result.duration_s
        """
        run = self.run
        with recording_the_end(run):
            if run.incident.latest is None:
                await run.assess()
            if run.incident.decision is None:
                run.choose_mode()
            result = await run.run_tests(_listed(commands))
        run.finish(verdict=result.verdict, exit_code=result.exit_code)
        return result

    def generate_resilience_report(self, result: TestSuiteResult) -> str:
        """Return the run's report as Markdown, with this result in it; also written to the run's folder.

        Raises SecretLeakError where a text holds a secret in spite of redaction; then nothing is written.

        For example:

            runner = ResilientTestRunner()
            print(runner.generate_resilience_report(await runner.run_test_suite("pytest tests/unit")))
        """
        # Here, as templates and charts cost half a second that only a report needs.
        from resilience.report import markdown

        run = self.run
        run.save(tests=result)
        run.report()
        return markdown(run.incident, run.samples())


async def run_tests_with_resilience(
    commands: Sequence[str] | str, *, config: Path | str | None = None
) -> TestSuiteResult:
    """Assess, choose the mode, apply what it needs, run the commands, and restore, whatever happens.

    A fallback that a person applied before is used and left as it is. The result's durations are in seconds. Raises
    NotConfiguredError where no service has a URL, LockedError while another process applies or tests, StandInError where
    no stand-in can be had, RunbookError for a command that the shell cannot start. Tests that fail raise nothing.

    For example:

        result = await run_tests_with_resilience("pytest tests/integration")
        result.verdict, result.exit_code
    """
    runner = ResilientTestRunner(config=config)
    run = runner.run
    before = run.applied_now
    with recording_the_end(run):
        await run.assess()
        decision = run.choose_mode()
        plan = run.make_plan()
        try:
            if not before and changes_anything(decision) and plan.stand_ins:
                await run.apply()
            result = await run.run_tests(_listed(commands))
        finally:
            if not before:
                await run.restore()
        leave_report(run, verdict=result.verdict, exit_code=result.exit_code)
    return result


def _listed(commands: Sequence[str] | str) -> list[str]:
    return [commands] if isinstance(commands, str) else list(commands)
