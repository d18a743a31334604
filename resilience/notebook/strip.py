"""Turn the run's record and what is applied here into the status strip: staging, tests, applied, and the one next step."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from resilience.core.marks import STAGING, STATUSES, VERDICTS, Tone
from resilience.core.moments import clock
from resilience.core.next_steps import Situation
from resilience.core.records import Incident, TestExecutionMode, TestSuiteResult
from resilience.core.words import plural, short_tests_line, totals_line
from resilience.notebook.banner import Banner
from resilience.notebook.next_step import Page, Step, elsewhere, next_step
from resilience.show.notebook import Fact

_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """How things stand at a moment, in four fields."""

    at: datetime
    facts: Sequence[Fact]
    step: Step


def strip_of(
    incident: Incident,
    applied: Banner,
    situation: Situation,
    *,
    reported: bool,
    offered: Collection[str],
    now: datetime,
) -> Strip:
    """Return how things stand now. `offered` names the actions of this page; a step of another page is told with its name."""
    result = incident.full_tests or incident.critical_tests or incident.tests
    since = incident.applied.applied_at if incident.applied is not None else None
    page = Page(
        situation=situation,
        damage=f"{applied.detail} {applied.hint}" if applied.damaged else "",
        other_run=applied.other_run,
        tested=incident.tests is not None and (since is None or incident.tests.started_at >= since),
        recovered=incident.recovery is not None and incident.recovery.recovered,
        reported=reported,
        on_staging=result is not None and result.mode is TestExecutionMode.FULL,
    )
    step = next_step(page)
    if step.action and step.action not in offered:
        step = elsewhere(step)
    return Strip(at=now, facts=(_staging(incident), _tests(incident, result), _applied(applied)), step=step)


def _staging(incident: Incident) -> Fact:
    health = incident.latest
    if health is None:
        return Fact(about=incident.environment, word="not looked at yet")
    unwell = [result.name for result in health.services if result.status in _UNWELL]
    below = f"{plural(health.checked, 'service')} checked"
    if unwell:
        more = f" and {len(unwell) - _NAMED} more" if len(unwell) > _NAMED else ""
        below = ", ".join(unwell[:_NAMED]) + more
    at = health.started_at + timedelta(seconds=health.duration_s)
    return Fact(
        about=incident.environment,
        word=STAGING[health.overall_status],
        below=f"{below} · {clock(at, now=at)}",
        tone=STATUSES[health.overall_status].tone,
    )


def _tests(incident: Incident, result: TestSuiteResult | None) -> Fact:
    if result is not None:
        at = result.started_at + timedelta(seconds=result.duration_s)
        mark = VERDICTS[result.verdict]
        counts = ", ".join(totals_line(result.totals).partition(";")[0].split(", ")[:_NAMED])
        return Fact(about="tests", word=mark.word, below=f"{counts} · {clock(at, now=at)}", tone=mark.tone)
    decision = incident.decision
    if decision is None:
        return Fact(about="tests", word="not run yet")
    how = short_tests_line(decision).partition(": ")[2]
    return Fact(about="tests", word="not run yet", below=how, tone=Tone.BAD if decision.blocked else Tone.QUIET)


def _applied(applied: Banner) -> Fact:
    if not applied.line:
        return Fact(about="applied", word="nothing", below="in this checkout")
    return Fact(about="applied", word=applied.word, below=applied.below, tone=Tone.PARTIAL)


_UNWELL = frozenset(status for status, mark in STATUSES.items() if mark.tone in (Tone.BAD, Tone.PARTIAL, Tone.UNKNOWN))
