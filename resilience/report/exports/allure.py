"""Turn a test run into Allure's results, one file a test, with the categories by which Allure keeps an outage apart from a bug."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from resilience.core.groups import held_back
from resilience.core.records import Incident, Outcome, TestOutcome
from resilience.report.exports.export import Export, File
from resilience.report.view import View

FOLDER = "allure-results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How an outcome is said in Allure: its status, and the category, by whose name in brackets its message begins."""

    status: str
    category: str = ""


SAID: Mapping[Outcome, Said | None] = {
    Outcome.PASSED: Said(status="passed"),
    Outcome.XPASSED: Said(status="passed"),
    Outcome.FAILED: Said(status="failed", category="product"),
    Outcome.ERROR: Said(status="failed", category="product"),
    Outcome.INFRASTRUCTURE_UNAVAILABLE: Said(status="broken", category="infrastructure"),
    Outcome.UNDECIDED: Said(status="unknown", category="undecided"),
    Outcome.STAND_IN_GAP: Said(status="broken", category="stand-in gap"),
    Outcome.TIMEOUT: Said(status="broken", category="timed out"),
    Outcome.NOT_RUN: Said(status="skipped", category="not run"),
    Outcome.SKIPPED: Said(status="skipped"),
    Outcome.XFAILED: Said(status="skipped"),
    Outcome.DESELECTED: None,
}
_HELD = Said(status="skipped", category="held back")
_SUSPECT = Said(status="failed", category="suspect")
CATEGORIES = (
    ("Product failures", "product"),
    ("Suspects: failures with a sign of infrastructure beside a green probe", "suspect"),
    ("Failed from infrastructure", "infrastructure"),
    ("Held back: a service they need was down", "held back"),
    ("Undecided", "undecided"),
    ("Gaps of the stand-ins", "stand-in gap"),
    ("Timed out", "timed out"),
    ("Not run", "not run"),
)
"""Title → category. Allure sorts by a pattern on the message, the first that fits."""


def said(test: TestOutcome) -> Said | None:
    """Return how a test is said; None for one that is not of this run."""
    if test.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE and held_back(test):
        return _HELD
    if test.suspect and test.outcome in (Outcome.FAILED, Outcome.ERROR):
        return _SUSPECT
    return SAID[test.outcome]


def categories() -> list[dict[str, Any]]:
    """Return the document `categories.json`."""
    statuses = sorted({one.status for one in (*SAID.values(), _HELD, _SUSPECT) if one is not None})
    return [
        {"name": title, "messageRegex": rf"^\[{key}\][\s\S]*", "matchedStatuses": statuses} for title, key in CATEGORIES
    ]


def result(test: TestOutcome, incident: Incident) -> dict[str, Any] | None:
    """Return one test as Allure's result; None for one that is not of this run.

    `historyId` is the same in every run, by which Allure draws trends. Tests carry no times of their own: each begins
    with the run.
    """
    tests, how = incident.tests, said(test)
    if tests is None or how is None:
        return None
    start = round(tests.started_at.timestamp() * 1000)
    name = test.id.rpartition("::")[2] if "[" not in test.id else test.id.partition("[")[0].rpartition("::")[2]
    parameters = "[" + test.id.partition("[")[2] if "[" in test.id else ""
    text = test.reason or test.message if how is _HELD else test.message or test.reason
    message = f"[{how.category}] {text or test.outcome.value}" if how.category else text or ""
    labels = [
        ("framework", "pytest"),
        ("suite", test.id.partition("::")[0]),
        ("host", incident.vantage.host),
        *(("tag", marker) for marker in test.markers),
        *((("service", test.service),) if test.service else ()),
    ]
    return {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{incident.vantage.host}/{incident.run}/{test.command}/{test.id}")),
        "historyId": uuid.uuid5(uuid.NAMESPACE_URL, f"{incident.environment}/{test.id}").hex,
        "name": name + parameters,
        "fullName": test.id,
        "status": how.status,
        "statusDetails": {"message": message, "flaky": test.rounds > 1 and test.outcome is Outcome.PASSED},
        "stage": "finished",
        "start": start,
        "stop": start + round(test.duration_s * 1000),
        "labels": [{"name": key, "value": value} for key, value in labels],
    }


def _files(view: View) -> Iterator[File]:
    incident = view.incident
    if incident.tests is None:
        return
    yield File(path=f"{FOLDER}/categories.json", content=json.dumps(categories(), indent=1) + "\n")
    yield from _environment(view)
    for test in incident.tests.tests:
        found = result(test, incident)
        if found is not None:
            path = f"{FOLDER}/{found['uuid']}-result.json"
            yield File(path=path, content=json.dumps(found, ensure_ascii=False) + "\n", durable=False)


def _environment(view: View) -> Iterator[File]:
    incident = view.incident
    if incident.tests is None:
        return
    lines = {
        "environment": incident.environment,
        "mode": incident.tests.mode.value,
        "verdict": incident.verdict.value,
        "run": incident.run,
    }
    properties = "".join(f"{key} = {' '.join(value.split())}\n" for key, value in lines.items())
    yield File(path=f"{FOLDER}/environment.properties", content=properties)


EXPORT = Export(name=FOLDER, files=_files, end=_environment)
