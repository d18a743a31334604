"""Turn a record into the lines that say it, for a terminal and for papermill's log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from resilience.core.errors import ResilienceError
from resilience.core.groups import groups
from resilience.core.marks import OUTCOMES, STAGES, STATUSES
from resilience.core.records import (
    Applied,
    Decision,
    Incident,
    InfrastructureHealth,
    Outcome,
    Plan,
    Recovery,
    Restored,
    TestSuiteResult,
)
from resilience.core.words import (
    also_possible,
    cause_title,
    fault_phrase,
    recovery_line,
    result_lines,
    seconds,
    staging_line,
    tests_line,
)
from resilience.show.notebook.incident import verdict_of


def text(record: object) -> str:
    """Return a record as the lines that say it, for a terminal and for papermill's log."""
    for kind, render in _TEXT.items():
        if isinstance(record, kind):
            return "\n".join(render(record))
    return str(record)


def _health_text(health: InfrastructureHealth) -> list[str]:
    lines = [staging_line(health)]
    for result in health.services:
        answered = seconds(result.response_time_s)
        lines.append(f"  {result.name:<14} {STATUSES[result.status].word:<15} {answered:>9}  {fault_phrase(result)}")
    for cause in health.causes[:1]:
        lines.append(f"  likely cause: {cause_title(cause.cause)} ({', '.join(cause.services)}); next: {cause.next}")
    if others := also_possible(health.causes):
        lines.append(f"  also possible: {others}")
    return lines


def _tests_text(result: TestSuiteResult) -> list[str]:
    return [
        *result_lines(result),
        *(
            f"  {OUTCOMES[test.outcome].word}: {test.id}"
            for group in groups(result)
            for test in group.tests
            if test.outcome is not Outcome.PASSED
        ),
    ]


def _incident_text(incident: Incident) -> list[str]:
    stages = [
        f"  {stage.name.value:<18} {STAGES[stage.status].word:<12} {stage.error or stage.note}"
        for stage in incident.stages
    ]
    return [f"RUN {incident.run}: {verdict_of(incident)}", *stages]


_TEXT: dict[type, Callable[[Any], list[str]]] = {
    InfrastructureHealth: _health_text,
    Decision: lambda decision: [tests_line(decision), *(f"  - {reason}" for reason in decision.reasons)],
    Plan: lambda plan: [f"PLAN: mode {plan.mode.value}", *(f"  {n}. {step}" for n, step in enumerate(plan.steps, 1))],
    Applied: lambda applied: [
        f"APPLIED: mode {applied.mode.value}",
        *(f"  {s.service}: {'ready' if s.ready else s.error} ({s.provider})" for s in applied.stand_ins),
    ],
    TestSuiteResult: _tests_text,
    Recovery: lambda recovery: [recovery_line(recovery)],
    Restored: lambda restored: [
        "RESTORED: nothing to do" if restored.nothing_to_do else "RESTORED",
        *(f"  {step}" for step in restored.steps),
    ],
    Incident: _incident_text,
    ResilienceError: lambda exc: [f"{type(exc).__name__}: {exc}"],
}
