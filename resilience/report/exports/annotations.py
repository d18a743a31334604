"""Turn a test run into GitHub's workflow commands: an error beside each line of a product failure, one warning for an outage."""

from __future__ import annotations

from collections.abc import Iterator

from resilience.core.marks import BLAME, Blame
from resilience.core.plain import clean
from resilience.core.records import Incident, Outcome, TestOutcome
from resilience.core.words import plural
from resilience.report.exports.export import Export, File
from resilience.report.view import View

MOST = 50
"""Annotations of a run; GitHub itself shows 10 errors of a step."""


def workflow_commands(incident: Incident) -> tuple[str, ...]:
    """Return the lines. Only what the product failed at is an error: an outage must not redden lines that are innocent."""
    tests = incident.tests
    if tests is None:
        return ()
    failed = [test for test in tests.tests if BLAME[test.outcome] is Blame.PRODUCT]
    lines = [_error(test) for test in failed[:MOST]]
    counts = [
        (tests.totals.infrastructure_unavailable, "held back or lost to infrastructure"),
        (tests.totals.undecided, "undecided"),
        (tests.totals.stand_in_gap, "failed at gaps of the stand-ins"),
        (tests.totals.timeout, "timed out"),
    ]
    told = [f"{plural(count, 'test')} {what}" for count, what in counts if count]
    if told:
        services = sorted({test.service for test in tests.tests if test.service and test.outcome is not Outcome.PASSED})
        where = f" ({', '.join(services)})" if services else ""
        lines.append(f"::warning title=Infrastructure::{_data('; '.join(told) + where)}")
    return tuple(lines)


def _error(test: TestOutcome) -> str:
    file, _, line = (test.where or "").rpartition(":")
    place = f"file={_property(file)},line={line}," if file and line.isdigit() else ""
    title = _property(f"{test.id}{' (suspect)' if test.suspect else ''}")
    return f"::error {place}title={title}::{_data(clean(test.message or test.reason or 'failed', 500, one_line=False))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(" ".join(text.split())).replace(":", "%3A").replace(",", "%2C")


def _files(view: View) -> Iterator[File]:
    if lines := workflow_commands(view.incident):
        yield File(path="annotations.txt", content="\n".join(lines) + "\n")


EXPORT = Export(name="annotations.txt", files=_files)
