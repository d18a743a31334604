"""The outage guide's names: thin doors to the same functions the notebooks and the command line use."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from resilience.core.errors import UsageError, did_you_mean
from resilience.core.mode import decide
from resilience.core.plan import changes_anything, make_plan
from resilience.core.records import (
    Applied,
    ConnectivityStatus,
    InfrastructureHealth,
    Plan,
    TestExecutionMode,
    TestSuiteResult,
)
from resilience.core.settings import Settings
from resilience.runs import memory, runbook
from resilience.runs.configuration import load_settings
from resilience.services.registry import KINDS

SNAPSHOT_MAX_AGE = timedelta(hours=1)
"""A snapshot older than this says nothing about a service."""

_ALIASES = KINDS.short_names()


async def validate_infrastructure_health(*, config: Path | str | None = None) -> InfrastructureHealth:
    """Look once at all configured services. Raises NotConfiguredError where there is none."""
    return await TestConnectivityValidator(config=config).validate_all_services()


async def validate_critical_services(*, config: Path | str | None = None) -> InfrastructureHealth:
    """Look once at the critical services."""
    return await runbook.look(_load(config), critical=True)


async def assess_test_infrastructure_health(*, config: Path | str | None = None) -> InfrastructureHealth:
    """Look once at all configured services; the guide's other name for it."""
    return await validate_infrastructure_health(config=config)


def is_service_available(name: str, *, snapshot: Path | str | None = None) -> bool:
    """Say whether a service answered at the last look, or a stand-in in use serves it; `staging_…` asks for staging's own.

    Reads a dated snapshot (RESILIENCE_SNAPSHOT, else that of the last look here) and never the network, so it is quick
    inside tests. No snapshot, or one older than an hour: False, since nothing is known. Raises UsageError for an unknown
    service.
    """
    document = _snapshot(snapshot)
    if document is None:
        return False
    services = {str(service.get("name")): service for service in document.get("services", ())}
    wanted = _known(name, services)
    well = (ConnectivityStatus.AVAILABLE.value, ConnectivityStatus.DEGRADED.value)
    stood_in = wanted in document.get("in_use", ()) and not name.startswith(_STAGING)
    return stood_in or services[wanted].get("status") in well


_STAGING = "staging_"


def _known(name: str, known: Collection[str]) -> str:
    """Return the configured name of a service that a test may also call `staging_backend` or `backend`."""
    short = name.removeprefix(_STAGING)
    found = next((one for one in (name, short, _ALIASES.get(short, short)) if one in known), None)
    if found is None:
        raise UsageError(f"service {name!r} is unknown.", hint=did_you_mean(short, known))
    return found


def _snapshot(path: Path | str | None) -> Mapping[str, Any] | None:
    file = Path(path or os.environ.get("RESILIENCE_SNAPSHOT", "") or memory.snapshot(load_settings().state))
    try:
        document = json.loads(file.read_text())
        age = datetime.now(UTC) - datetime.fromisoformat(document["started_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return document if age <= SNAPSHOT_MAX_AGE else None


def _load(config: Path | str | None) -> Settings:
    return load_settings(config)


class TestConnectivityValidator:
    """Looks at services, once or for as long as it is iterated."""

    __test__ = False

    def __init__(self, *, config: Path | str | None = None, settings: Settings | None = None) -> None:
        self.settings = settings or _load(config)

    async def validate_all_services(self) -> InfrastructureHealth:
        return await runbook.look(self.settings)

    async def validate_service(self, name: str) -> InfrastructureHealth:
        """Look at one service. Raises UsageError for an unknown name."""
        known = [service.name for service in self.settings.services]
        return await runbook.look(self.settings, names=[_known(name, known)])

    async def watch(self, interval_s: float = 300.0) -> AsyncIterator[InfrastructureHealth]:
        """Look again every `interval_s` seconds (the guide: 5 minutes), for as long as the caller iterates."""
        import asyncio

        while True:
            yield await self.validate_all_services()
            await asyncio.sleep(interval_s)


class ResilientTestRunner:
    """The guide's runner: assess, determine the mode, apply, run, report."""

    def __init__(self, *, config: Path | str | None = None, settings: Settings | None = None) -> None:
        self.settings = settings or _load(config)
        self._run: runbook.Run | None = None

    @property
    def run(self) -> runbook.Run:
        """The run whose folder takes what this runner does: that of the applied fallback, else a new one when needed."""
        if self._run is None:
            self._run = runbook.applied_run(self.settings) or runbook.Run.create(
                self.settings, slug="runner", apply=True
            )
        return self._run

    async def assess_infrastructure_health(self) -> InfrastructureHealth:
        return await self.run.assess()

    def determine_execution_mode(self, health: InfrastructureHealth) -> TestExecutionMode:
        return decide(health, self.settings, now=datetime.now(UTC)).mode

    def plan_resilient_configuration(self, health: InfrastructureHealth, mode: TestExecutionMode | str) -> Plan:
        """Return what `apply_resilient_configuration` would do; nothing is done."""
        decision = decide(health, self.settings, now=datetime.now(UTC), force=runbook.parse_mode(mode))
        from resilience.host.files import read_env_file

        return make_plan(decision, health, self.settings, before=read_env_file(self.settings.env_file))

    def apply_resilient_configuration(self, health: InfrastructureHealth, mode: TestExecutionMode | str) -> Applied:
        """Start stand-ins and write the env file, synchronously, also inside a running event loop (as in notebooks)."""
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        run, wanted = self.run, runbook.parse_mode(mode)
        run.save(health=run.incident.health or health, latest=health)
        run.choose_mode(wanted, asked_by="apply_resilient_configuration")
        run.make_plan()
        with ThreadPoolExecutor(max_workers=1) as pool:
            return pool.submit(lambda: asyncio.run(run.apply())).result()

    async def restore(self) -> None:
        """Put everything back to the byte."""
        await self.run.restore()

    async def run_test_suite(self, commands: Sequence[str] | str) -> TestSuiteResult:
        """Run shell commands in the mode that fits staging now, and count outcomes per test."""
        wanted = [commands] if isinstance(commands, str) else list(commands)
        run = self.run
        if run.incident.latest is None:
            await run.assess()
        if run.incident.decision is None:
            run.choose_mode()
        return await run.run_tests(wanted)

    def generate_resilience_report(self, result: TestSuiteResult) -> str:
        """Return the run's report as Markdown, with this result in it; also written to the run's folder."""
        from resilience.report import markdown

        run = self.run
        run.save(tests=result)
        run.report()
        return markdown(run.incident, run.samples())


async def run_tests_with_resilience(
    commands: Sequence[str] | str, *, config: Path | str | None = None
) -> TestSuiteResult:
    """Assess, choose the mode, apply what it needs, run the commands, and restore, whatever happens.

    A fallback that a person applied before is used and left as it is.
    """
    runner = ResilientTestRunner(config=config)
    run = runner.run
    before = run.applied_now
    await run.assess()
    decision = run.choose_mode()
    plan = run.make_plan()
    try:
        if not before and changes_anything(decision) and plan.stand_ins:
            await run.apply()
        return await runner.run_test_suite(commands)
    finally:
        if not before:
            await run.restore()
