"""Go through all stages without a person, through papermill, and always leave a report and an honest exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from resilience.core.errors import LockedError, UsageError, did_you_mean
from resilience.core.records import ExitCode, Incident, StageName, StageStatus, Verdict
from resilience.core.settings import Settings
from resilience.core.verdict import VERDICTS, FailOn, counts_as_failure, judge_run
from resilience.core.words import exit_code_phrase, recovery_line, result_lines
from resilience.fallback.due import due
from resilience.host import signals
from resilience.host.lock import holder
from resilience.notebook.engine import Executed, execute, known_parameters
from resilience.notebook.passed import ParameterValues, parse
from resilience.notebook.telling import Teller, came_of
from resilience.runs import telling, uploading
from resilience.runs.ending import leave_report, making, recording_the_end
from resilience.runs.runbook import Run, settle_latest
from resilience.settings.build import require_configured
from resilience.show import sticky, terminal

LOOKING = (StageName.ASSESS, StageName.CHOOSE_MODE, StageName.APPLY_FALLBACK, StageName.REPORT)
"""The stages of `run --no-apply`; the fallback's notebook then only shows its plan."""

FAIL_ON = (FailOn.FAILURES.value, FailOn.DEGRADED.value, FailOn.NEVER.value)


def run_all(
    settings: Settings,
    *,
    apply: bool,
    parameters: Mapping[str, object] | None = None,
    out: str = "",
    fail_on: str = "",
    total_timeout_s: float | None = None,
    stage_timeout_s: float | None = None,
    slug: str = "run",
    take_over: bool = False,
    publish: str | None = None,
    ends_the_process: bool = False,
) -> int:
    """Make a run and go through its stages; return the exit code.

    Whatever is wrong with the question is refused before a folder is made: UsageError, SettingsError,
    NotConfiguredError, and LockedError where the run would apply while another one holds the lock. Without `apply` only
    the stages that look are gone through. The limits are in seconds, None for none.

    `publish` is the issue to write the run onto ("" for the configured one, as the parameter of that name says it), None
    for none; what goes wrong with that is said and changes no code. `parameters` are those of the notebooks, `out` a
    folder in place of the configured one, or the URL of a store to which the run is copied when it is over. The report's
    path is the last line on stdout, alone, for scripts.
    """
    if fail_on and fail_on not in FAIL_ON:
        raise UsageError(f"--fail-on {fail_on}: unknown.", hint=did_you_mean(fail_on, FAIL_ON))
    require_configured(settings)
    if apply:
        who = holder(settings.state)
        if who is not None and not take_over:
            raise LockedError(
                f"another run holds the lock: {who}.", hint="wait, or hand over: resilience run --take-over"
            )
    store = uploading.check(out) if uploading.is_store(out) else ""
    if out and not store:
        settings = replace(settings, outputs=Path(out).expanduser().resolve())
    given = {"apply": apply, **(parameters or {})}
    if _checked(given).get("publish") and publish is None:
        publish = ""
        telling.target(settings)
    settle_latest(settings)
    with making(partial(Run.create, settings, slug=slug, apply=apply, parameters=given)) as run:
        if store:
            uploading.promise(settings, run.incident.run, run.folder, store)
        executed = asyncio.run(go(run, given, total_timeout_s=total_timeout_s, stage_timeout_s=stage_timeout_s))
    ends_here = publish is None and not uploading.waiting(settings)
    code = conclude(run, executed, fail_on=fail_on, for_good=ends_the_process and ends_here)
    if publish is not None:
        _publish(run, publish)
    for line in uploading.lines(uploading.send(settings)):
        terminal.err.print(line, markup=False, soft_wrap=True)
    return code


def _publish(run: Run, issue: str) -> None:
    """Write the run onto its issue after the last word of its report: people are told what the record says in the end."""
    for line in telling.outcome_lines(asyncio.run(telling.publish_run(run, issue=issue))):
        terminal.err.print(line, markup=False, soft_wrap=True)


def resume_run(folder: Path, *, parameters: Mapping[str, object] | None = None, ends_the_process: bool = False) -> int:
    """Continue at the first stage that did not come through; what came through is not done again.

    Whether it applies is what the run was made with, unless `parameters` say otherwise. Raises UsageError,
    RecordError, SettingsError.
    """
    run = Run.open(folder)
    stages = LOOKING if not run.incident.applies else tuple(StageName)
    done = (StageStatus.FINISHED, StageStatus.DONE_BY_HAND)
    left: Sequence[StageName] = stages
    while left and (stage := run.incident.stage(left[0])) is not None and stage.status in done:
        left = left[1:]
    if not left or tuple(left) == (StageName.REPORT,):
        left = (StageName.REPORT,)
    given = {"apply": run.incident.applies, **(parameters or {})}
    publishes = _checked(given).get("publish", False)
    if publishes:
        telling.target(run.settings)
    kept = tuple(stage for stage in run.incident.stages if stage.name not in left)
    run.begin_again(stages=kept)
    with recording_the_end(run):
        executed = asyncio.run(go(run, given, stages=left))
    code = conclude(run, executed, for_good=ends_the_process and not publishes)
    if publishes:
        _publish(run, "")
    return code


def _checked(given: Mapping[str, object]) -> ParameterValues:
    """Return the parameters as typed values; raise SettingsError for one that no notebook declares, or a value it cannot have."""
    return parse(given, declared=known_parameters(), source="the parameters of the run")


async def go(
    run: Run,
    parameters: Mapping[str, object],
    *,
    stages: Sequence[StageName] | None = None,
    total_timeout_s: float | None = None,
    stage_timeout_s: float | None = None,
    environ: Mapping[str, str] | None = None,
    began: float | None = None,
) -> Executed:
    """Execute the notebooks of a run; where one breaks, restore and report all the same.

    `began` (monotonic) is where the clock of what is told starts, where that is not the run.

    What restores and reports reads the run's folder anew: the notebooks, in processes of their own, have written to it.
    """
    wanted = stages or (tuple(StageName) if run.incident.applies else LOOKING)

    def report(code: int | None) -> None:
        run.refresh()
        run.report(verdict=None if code is None else VERDICTS.get(code, Verdict.RUNBOOK_FAILED), exit_code=code)

    async def restore() -> None:
        run.refresh()
        await run.restore()

    return await execute(
        run.folder,
        stages=wanted,
        parameters=parameters,
        total_timeout_s=total_timeout_s,
        stage_timeout_s=stage_timeout_s,
        on_progress=Teller(lambda stage: came_of(stage, run.refresh()), began=began).tell,
        environ=os.environ if environ is None else environ,
        restore=restore,
        report=report,
        redact=run.redactor.text,
    )


def conclude(run: Run, executed: Executed, *, fail_on: str = "", for_good: bool = False) -> int:
    """Say what the run came to, in the words of the report, and return its exit code.

    The records decide, with the code of each break in them; what broke the engine beside them counts where it is worse.
    Where the report says something else, as it does of its own loss, it is written once more. From here on no signal counts:
    everything is done; `for_good` where the process ends after it.

    `fail_on` hides codes from the caller and not from the record, which keeps the true one.
    """
    with signals.last_word(for_good=for_good):
        incident = run.refresh()
        verdict, code = judge_run(incident)
        if executed.exit_code and ExitCode.worst(code, executed.exit_code) != code:
            code = executed.exit_code
            verdict = VERDICTS.get(code, Verdict.RUNBOOK_FAILED)
        if (incident.verdict, incident.exit_code) != (verdict, code):
            leave_report(run, verdict=verdict, exit_code=code)
        _say(run, run.incident, code)
    return _hide(code, fail_on)


def _say(run: Run, incident: Incident, code: int) -> None:
    broken = next((s for s in incident.stages if s.status in (StageStatus.FAILED, StageStatus.KILLED)), None)
    sticky.end()
    terminal.out.print()
    terminal.headline(terminal.out, *_lines(run, incident, code))
    if broken is not None:
        terminal.out.print(f"[bold red]Stage {broken.name.value} {broken.status.value}[/bold red]: ", end="")
        terminal.out.print(f"{broken.error} Hint: {broken.hint or f'resilience resume {incident.run}'}", markup=False)
    terminal.show_notices(incident.notices)
    if not incident.applies:
        terminal.out.print("No tests were run: this run only looked. To act: resilience run --apply")
    terminal.out.print(f"[bold]Exit code {code}:[/bold] {exit_code_phrase(code, looked=not incident.applies)}")
    # The path alone on its line, for people who copy it and scripts that read the last line.
    terminal.show_report(run.folder / "report.html", label="")
    if incident.verdict in (Verdict.INTERRUPTED, Verdict.TIMED_OUT, Verdict.RUNBOOK_FAILED):
        left, hint = due(run.settings.state)
        if left:
            sys.stderr.write(f"resilience: {left}. Hint: {hint}\n")


def _lines(run: Run, incident: Incident, code: int) -> list[str]:
    staging, tests = run.headline()
    lines = [staging.replace(f"{incident.environment.upper()}:", f"{incident.environment.upper()} (last look):", 1)]
    if incident.tests is not None:
        lines += result_lines(incident.tests)
    else:
        lines.append(
            tests if code != ExitCode.RUNBOOK_FAILED else "TESTS: the runbook failed; nothing is known about your tests"
        )
    if incident.recovery is not None:
        lines.append(recovery_line(incident.recovery))
    if incident.restored is not None and not incident.restored.nothing_to_do:
        lines.append(
            "RESTORED: to the byte" if incident.restored.identical else "RESTORED: NOT to the byte; see the report"
        )
    return lines


def _hide(code: int, fail_on: str) -> int:
    """Return the exit code that `--fail-on` leaves, and say in words what it hides."""
    if code == ExitCode.PASSED or counts_as_failure(code, fail_on):
        return code
    sys.stderr.write(f"--fail-on {fail_on} hides exit code {code}: {exit_code_phrase(code)}\n")
    return ExitCode.PASSED
