"""Turn an incident into what is read first: title, verdict, a sentence each on staging and tests, and the facts of the run."""

from __future__ import annotations

from datetime import UTC

from resilience.core.marks import BROKEN, STAGES, STAGING, VERDICTS, Tone
from resilience.core.records import ConnectivityStatus, Incident, InfrastructureHealth, Verdict
from resilience.core.words import (
    both_codes_line,
    command_code_phrase,
    listing,
    recovery_line,
    run_code_phrase,
    staging_line,
    totals_line,
    verdict_phrase,
)
from resilience.report.series import Window, moment
from resilience.report.view.formats import when
from resilience.report.view.services import UNWELL

NAMED = 6
"""Services named in the sentence on staging at most, critical ones first; the others are counted."""


def title(incident: Incident, window: Window | None) -> str:
    """Return the title: environment, what it was, and when it began in UTC; a drill says so first."""
    drill = f"Drill “{incident.drill}”: " if incident.drill else ""
    at = moment(window.start) if window else incident.started_at
    what = "outage" if window or unwell(incident.health) else "look"
    if incident.health and not window and not unwell(incident.health):
        what = "all well"
    elif incident.health is None:
        what = "run without an assessment"
    return f"{drill}{incident.environment}, {what}, {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def unwell(health: InfrastructureHealth | None) -> bool:
    return health is not None and health.overall_status is not ConnectivityStatus.AVAILABLE


def verdict(incident: Incident, *, longest: str = "") -> tuple[str, Tone, tuple[str, ...]]:
    """Return the verdict as a sentence, the tone of its sign, and a sentence each on staging, tests and recovery.

    A run that only looked passed nothing, and says so; one that failed after its tests had run does not take back
    what they said. `longest` says which services were bad for longest.
    """
    mode = incident.tests.mode if incident.tests else incident.decision.mode if incident.decision else None
    phrase = verdict_phrase(incident.verdict, mode)
    kind = VERDICTS[incident.verdict].tone
    if incident.verdict is Verdict.RUNBOOK_FAILED and incident.tests is not None:
        phrase = "THE RUNBOOK FAILED; what was known until then is below"
    elif incident.verdict is Verdict.PASSED and incident.tests is None:
        phrase = "Looked only: no tests were run"
        kind = Tone.UNKNOWN if unwell(incident.health) else Tone.GOOD
    sentences = [_staging_sentence(incident), f"LONGEST: {longest}." if longest else "", _tests_sentence(incident)]
    if incident.recovery is not None:
        sentences.append(recovery_line(incident.recovery) + ".")
    return phrase[0].upper() + phrase[1:] + ".", kind, tuple(s for s in sentences if s)


def _staging_sentence(incident: Incident) -> str:
    """Say how staging was at the first look, and how it is now where that is another.

    Once recovered it WAS down, and is UP.
    """
    health = incident.health
    if health is None:
        return f"{incident.environment.upper()}: UNKNOWN (it was not assessed)."
    now = incident.latest
    line = staging_line(health)
    if incident.recovery is not None and incident.recovery.recovered and unwell(health):
        back = incident.recovery.first_good_at
        since = f" since {when(back)} UTC" if back else ""
        down = [result for result in health.services if result.status in UNWELL]
        down.sort(key=lambda result: not result.critical)
        more = f" and {len(down) - NAMED} more" if len(down) > NAMED else ""
        names = ", ".join(result.name for result in down[:NAMED]) + more
        return f"{health.environment.upper()}: WAS {STAGING[health.overall_status]} ({names}); UP again{since}."
    if now is not None and now.overall_status is not health.overall_status:
        return f"{line.rstrip('.')}. At the last look, {when(now.started_at)} UTC: {STAGING[now.overall_status]}."
    return line.rstrip(".") + "."


def _tests_sentence(incident: Incident) -> str:
    """Say how the tests were run, and on what, before the counts: a number without that is read as a full run."""
    tests, decision = incident.tests, incident.decision
    if tests is None:
        if decision is not None and decision.blocked:
            return "TESTS: were held back; a critical service was down and nothing usable stood in for it."
        return "TESTS: were not run." if decision is not None else "TESTS: nothing is known about them."
    used = [one.service for one in incident.applied.stand_ins if one.ready] if incident.applied else []
    mode = f"(mode {tests.mode.value})"
    if used:
        return f"TESTS: ran on local stand-ins for {listing(used)} {mode}: {totals_line(tests.totals)}."
    where = "ran on real staging" if tests.mode.value == "full" else "ran a reduced selection"
    return f"TESTS: {where} {mode}: {totals_line(tests.totals)}."


def facts(incident: Incident) -> tuple[tuple[str, str], ...]:
    """Return label and value of what names the run: where, when, from where, by whom asked, and how it ended."""
    vantage = incident.vantage
    decision = incident.decision
    rows = [
        ("Environment", incident.environment + (f" (drill “{incident.drill}”)" if incident.drill else "")),
        ("Started", f"{when(incident.started_at, day=True)} UTC"),
        ("Finished", _finished(incident)),
        ("Seen from", f"{vantage.user}@{vantage.host}" + (f", {vantage.platform}" if vantage.platform else "")),
        ("Run", incident.run),
    ]
    if incident.incident_id:
        rows.append(("Incident", incident.incident_id))
    if incident.commit:
        rows.append(("Commit", incident.commit))
    if incident.issue:
        rows.append(("Issue", incident.issue))
    if decision is not None:
        asked = f", asked for by {decision.asked_by}" if decision.asked_by else ""
        rows.append(("Mode", decision.mode.value + asked))
    if incident.exit_code is not None:
        rows.append(("Exit code", f"{incident.exit_code} ({run_code_phrase(incident)})"))
    if both_codes_line(incident) and (command := incident.command):
        ended = f"{command.exit_code} ({command_code_phrase(command)})"
        rows.append(("Command", f"resilience {command.verb}: exit code {ended}, which is about what it did"))
    return tuple(rows)


def _finished(incident: Incident) -> str:
    if incident.finished_at is not None:
        return f"{when(incident.finished_at, day=True)} UTC"
    return "not known; its process was killed" if incident.verdict is Verdict.KILLED else "not yet"


def failed_stages(incident: Incident) -> tuple[str, ...]:
    """Return a sentence for each stage that did not finish, with its hint."""
    return tuple(
        f"{stage.name.value} {STAGES[stage.status].word}"
        + (f": {stage.error}" if stage.error else "")
        + (f" Hint: {stage.hint}" if stage.hint else "")
        for stage in incident.stages
        if stage.status in BROKEN
    )
