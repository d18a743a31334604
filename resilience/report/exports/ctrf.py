"""Turn a test run into ctrf.json, the Common Test Report Format: an outage is `other` there, with our own word beside it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from resilience.core.groups import held_back
from resilience.core.records import ConnectivityStatus, Incident, Outcome, TestOutcome, TestSuiteResult
from resilience.report.exports.export import Export, File
from resilience.report.view import View

SPEC = "0.0.0"
STATUSES: Mapping[Outcome, str | None] = {
    Outcome.PASSED: "passed",
    Outcome.XPASSED: "passed",
    Outcome.FAILED: "failed",
    Outcome.ERROR: "failed",
    Outcome.SKIPPED: "skipped",
    Outcome.XFAILED: "skipped",
    Outcome.INFRASTRUCTURE_UNAVAILABLE: "other",
    Outcome.UNDECIDED: "other",
    Outcome.STAND_IN_GAP: "other",
    Outcome.TIMEOUT: "other",
    Outcome.NOT_RUN: "pending",
    Outcome.DESELECTED: None,
}
"""Our outcome → CTRF's status; None: no test of this run. `rawStatus` holds ours, as theirs knows no infrastructure."""


def ctrf(incident: Incident) -> dict[str, Any]:
    """Return the document; without tests its list is empty. Times are milliseconds, whole ones, as the format asks for."""
    result = incident.tests
    tests = [_test(test, result) for test in result.tests if STATUSES[test.outcome]] if result else []
    start = _ms((result.started_at if result else incident.started_at).timestamp())
    counts = {
        status: sum(test["status"] == status for test in tests)
        for status in ("passed", "failed", "skipped", "pending", "other")
    }
    health = incident.latest or incident.health
    environment: dict[str, Any] = {
        "testEnvironment": incident.environment,
        "healthy": health is not None and health.overall_status is ConnectivityStatus.AVAILABLE,
        "extra": {"mode": result.mode.value if result else "", "verdict": incident.verdict.value},
    }
    if incident.commit:
        environment["commit"] = incident.commit
    return {
        "reportFormat": "CTRF",
        "specVersion": SPEC,
        "reportId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"resilience/{incident.vantage.host}/{incident.run}")),
        "generatedBy": "resilience",
        "timestamp": (incident.finished_at or incident.started_at).isoformat(timespec="milliseconds"),
        "results": {
            "tool": {"name": "resilience", "extra": {"run": incident.run, "exit_code": incident.exit_code}},
            "summary": {
                "tests": len(tests),
                **counts,
                "start": start,
                "stop": start + _ms(result.duration_s if result else 0),
                "extra": {"deselected": result.totals.deselected if result else 0},
            },
            "tests": tests,
            "environment": environment,
        },
    }


def _test(test: TestOutcome, result: TestSuiteResult) -> dict[str, Any]:
    """Return one test. A round that was lost before it was run again is one of its `retryAttempts`."""
    start = _ms(result.started_at.timestamp())
    held = test.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE and held_back(test)
    found: dict[str, Any] = {
        "name": test.id,
        "status": STATUSES[test.outcome],
        "duration": _ms(test.duration_s),
        "start": start,
        "stop": start + _ms(test.duration_s),
        "rawStatus": "held_back" if held else test.outcome.value,
        "retries": max(test.rounds - 1, 0),
        "flaky": test.rounds > 1 and test.outcome is Outcome.PASSED,
        "tags": list(test.markers),
        "extra": {"suspect": test.suspect},
    }
    file, _, line = (test.where or "").rpartition(":")
    found["filePath"] = file or test.id.partition("::")[0]
    if file and line.isdigit():
        found["line"] = int(line)
    if said := test.message or test.reason:
        found["message"] = said
    if test.service:
        found["extra"]["service"] = test.service
    if test.fault:
        found["extra"]["fault"] = test.fault.value
    if test.rounds > 1:
        attempt = {"attempt": 1, "status": "other"}
        found["retryAttempts"] = [{**attempt, "message": test.previous} if test.previous else attempt]
    return found


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _files(view: View) -> Iterator[File]:
    yield File(path="ctrf.json", content=json.dumps(ctrf(view.incident), ensure_ascii=False, indent=1) + "\n")


EXPORT = Export(name="ctrf.json", files=_files, end=_files)
