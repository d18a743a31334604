"""The runbook as one object for notebooks, the guide and the command line: `Run`, which only forwards, and the doors to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from resilience.core.errors import UsageError
from resilience.core.plan import selection
from resilience.core.records import TestSuiteResult
from resilience.core.redact import Redactor
from resilience.core.settings import Settings
from resilience.core.verdict import exit_code_of, judge_run
from resilience.core.words import staging_line, tests_line
from resilience.fallback import journal as journals
from resilience.host.vantage import vantage
from resilience.runs import memory, stages, testing
from resilience.runs.configuration import load_settings
from resilience.runs.ending import settle
from resilience.runs.folder import RunFolder, holds_run, latest
from resilience.runs.looking import assess_document, look, samples_of
from resilience.runs.recalling import facts_of_run
from resilience.runs.recovery import recover
from resilience.runs.stages import WATCH_S, parse_mode, plan_here, put_back as restore

__all__ = [
    "WATCH_S",
    "Run",
    "applied_run",
    "assess_document",
    "exit_code_of",
    "judge_run",
    "latest",
    "look",
    "open_run",
    "parse_mode",
    "plan_here",
    "print_report",
    "recover",
    "render_again",
    "restore",
    "samples_of",
    "settle",
    "settle_latest",
]


class Run(RunFolder):
    """One walk through the runbook. Its verbs are the functions of `resilience.runs.stages`, in their order.

    What a stage is asked without its predecessor raises OrderError with what to type.

    For example:

        run = open_run(slug="friday")
        await run.assess()
        run.choose_mode().reasons
    """

    assess = stages.assess
    choose_mode = stages.choose_mode
    without_stand_ins = stages.without_stand_ins
    make_plan = stages.make_plan
    apply = stages.apply_fallback
    run_tests = stages.run_tests
    validate_recovery = stages.validate_recovery
    run_on_staging = stages.run_on_staging
    restore = stages.restore
    block_tests = stages.block_tests
    finish = stages.finish
    report = stages.report

    def blocked_result(self) -> TestSuiteResult:
        """Return the result of a test run that did not take place, because infrastructure blocks it."""
        return testing.blocked_result(self.incident.decision)

    def record_interruption(self, code: int, *, before: TestSuiteResult | None) -> TestSuiteResult:
        """Return what is known of the tests that a signal ended with this exit code, and put it down where there is anything.

        `before` are the tests that the record held when the command began: one incident may see several test runs.
        """
        partial = self.incident.tests if self.incident.tests is not before else None
        result = testing.interrupted_result(self.incident.decision, partial, code)
        if partial is not None:
            self.save(tests=result)
        return result

    def narrowed(self, select: str = "") -> str:
        """Return what the mode leaves out of a command that a person typed; empty where it is `select` or nothing."""
        decision = self.incident.decision
        chosen = selection(decision.mode, self.settings.modes, self.settings.wishes) if decision and not select else ""
        return testing.narrowed(decision.mode, chosen) if decision and chosen else ""

    def headline(self) -> tuple[str, str]:
        """Return the two lines that start with STAGING: and TESTS:."""
        health, decision = self.incident.latest, self.incident.decision
        first = staging_line(health) if health else f"{self.incident.environment.upper()}: not assessed yet"
        return first, tests_line(decision) if decision else "TESTS: no mode chosen yet"


def settle_latest(settings: Settings) -> None:
    """Write the end of the newest run where its process was killed; for who begins the next one."""
    with suppress(UsageError, OSError):
        settle(latest(settings), settings)


def render_again(folder: Path, settings: Settings, *, public: bool = False) -> tuple[str, ...]:
    """Write a run's report from what its folder still holds; return what is missing.

    Its records stay as they are, but for a run whose process was killed, which gets that as its end.

    `public` puts pseudonyms in the place of addresses, internal names and people. Raises SecretLeakError; then
    nothing is written.
    """
    # Here, as in `stages.report`: templates and charts are for who writes a report.
    from resilience.report import render
    from resilience.runs.remains import load

    settle(folder, settings)
    incident, samples, missing = load(folder)
    hosts = (*settings.deny_hosts, incident.vantage.host, vantage().host)
    redactor = Redactor.of(settings.secrets, settings.services, hosts=hosts)
    with (
        memory.history(replace(settings, outputs=folder.parent.parent, drill=incident.drill))
        or nullcontext() as history
    ):
        render(
            incident,
            samples,
            folder,
            redactor=redactor,
            history=history,
            recalled=facts_of_run(history, incident),
            public=public,
            missing=missing,
        )
    return missing


async def print_report(folder: Path) -> Path | None:
    """Write `report.pdf` beside `report.html`; None where there is no Chromium or it failed.

    Measured: 1.9 s. The browser gets the file and no network.
    """
    # Here, as in `render_again`.
    from resilience.report.pdf import browser, to_pdf

    chromium = browser(os.environ)
    return await to_pdf(folder / "report.html", folder / "report.pdf", chromium=chromium) if chromium else None


def open_run(
    run: str = "",
    *,
    config: str = "",
    environment: str = "",
    outputs: str = "",
    apply: bool = False,
    slug: str = "incident",
    parameters: Mapping[str, object] | None = None,
) -> Run:
    """Open the run of this folder, of RESILIENCE_RUN, or `latest`; make a new one where none is named.

    A run that is opened keeps the configuration it was made with, unless `config` names another. Raises UsageError
    where the folder holds no run, RecordError for a record that cannot be read, SettingsError.

    `outputs` (a folder) and `apply` (whether this run may change anything) count only for a new run.

    For example:

        open_run().folder  # a new one
        open_run("latest").incident.verdict  # the newest there is
    """
    wanted = run or os.environ.get("RESILIENCE_RUN", "")
    if wanted and wanted != "latest":
        return Run.open(wanted, load_settings(config, environment=environment) if config else None)
    settings = load_settings(config or None, environment=environment)
    if outputs:
        settings = replace(settings, outputs=Path(outputs).expanduser().resolve())
    if wanted == "latest":
        return Run.open(latest(settings), settings)
    settle_latest(settings)
    return Run.create(settings, slug=slug, apply=apply, parameters=parameters)


def applied_run(settings: Settings) -> Run | None:
    """Return the run whose fallback is applied in this checkout, so that one incident stays one folder; None for none."""
    journal = journals.load(settings.state)
    if journal is None or not journal.folder or not holds_run(Path(journal.folder)):
        return None
    return Run.open(journal.folder, settings)
