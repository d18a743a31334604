"""One thing has one word, one sign and one classification, in every rendering: terminal, notebook, page, Markdown, JUnit."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from resilience import report
from resilience.core.records import (
    ConnectivityStatus as S,
    Incident,
    Outcome,
    Sample,
    TestExecutionMode,
    TestOutcome,
    TestSuiteResult,
    TestTotals,
    Vantage,
    Verdict,
)
from resilience.show import notebook, terminal
from tests.kits.records import health

NOW = datetime(2026, 11, 22, 3, 14, tzinfo=UTC)


def on_terminal(show: Callable[[Console], None]) -> str:
    buffer = io.StringIO()
    show(Console(file=buffer, width=400, highlight=False))
    return buffer.getvalue()


def plain(page: str) -> str:
    """Return the text of a page, its style sheet left out."""
    return unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))


def incident(**fields: object) -> Incident:
    base = Incident(
        run="2026-11-22/031400Z-x",
        slug="x",
        environment="staging",
        started_at=NOW,
        vantage=Vantage(host="ci", user="build"),
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def suite(*tests: TestOutcome, verdict: Verdict = Verdict.UNKNOWN) -> TestSuiteResult:
    counts = {outcome.value: sum(test.outcome is outcome for test in tests) for outcome in Outcome}
    return TestSuiteResult(
        mode=TestExecutionMode.DEGRADED,
        started_at=NOW,
        duration_s=1.0,
        exit_code=21,
        commands=(),
        totals=TestTotals(**counts),
        tests=tests,
        verdict=verdict,
    )


# --------------------------------------------------------------------------- a service's status

STATUSES = {
    S.AVAILABLE: "● available",
    S.DEGRADED: "▲ degraded",
    S.UNAVAILABLE: "✕ unavailable",
    S.UNKNOWN: "? unknown",
    S.NOT_CONFIGURED: "– not configured",
}


def renderings_of_status(status: S) -> Mapping[str, str]:
    seen = health({"redis": status})
    page = report.html(incident(health=seen))
    row = re.search(r'<strong>redis</strong>.*?<span class="st (\w+)">([^<]+)</span>', page)
    assert row is not None
    sign = re.search(rf'\.st\.{row[1]}::before{{content:"(.)"}}', page)
    assert sign is not None, "the page has no sign for it"
    return {
        "terminal": on_terminal(lambda console: console.print(terminal.services_table(seen.services))),
        "notebook": plain(notebook.html(seen)),
        "markdown": report.markdown(incident(health=seen)),
        "page": f"{sign[1]} {row[2]}",
    }


@pytest.mark.parametrize("status", S)
def test_a_status_has_one_sign_and_one_word(status: S) -> None:
    for where, text in renderings_of_status(status).items():
        assert STATUSES[status] in text, where


@pytest.mark.parametrize("status", [S.AVAILABLE, S.DEGRADED, S.UNAVAILABLE, S.UNKNOWN])
def test_diagram_and_chart_name_a_status_by_the_same_word(status: S) -> None:
    from resilience.report.charts import draw
    from resilience.report.mermaid import gantt
    from resilience.report.series import Columns
    from resilience.report.view import build

    samples = [
        Sample(at=NOW + timedelta(seconds=n), service="redis", status=status, response_time_s=0.01) for n in range(5)
    ]
    view = build(incident(health=health({"redis": status})), Columns.of(samples))
    word = STATUSES[status][2:]
    assert f"  {word} :" in gantt(view)
    drawn = draw("status", view)
    assert drawn is not None
    assert f">{word}</text>" in drawn.svg_file


# --------------------------------------------------------------------------- a test's outcome

WORDS = {
    Outcome.PASSED: "passed",
    Outcome.FAILED: "failed",
    Outcome.ERROR: "error",
    Outcome.TIMEOUT: "timed out",
    Outcome.INFRASTRUCTURE_UNAVAILABLE: "held back or lost",
    Outcome.UNDECIDED: "undecided",
    Outcome.STAND_IN_GAP: "stand-in gap",
    Outcome.NOT_RUN: "not run",
    Outcome.SKIPPED: "skipped",
    Outcome.XFAILED: "xfailed",
    Outcome.XPASSED: "xpassed",
    Outcome.DESELECTED: "deselected",
}


def renderings_of_outcome(outcome: Outcome) -> Mapping[str, str]:
    found = suite(TestOutcome(id="tests/test_a.py::test_x", outcome=outcome))
    whole = incident(tests=found, verdict=found.verdict)
    return {
        "terminal": on_terminal(lambda console: terminal.show_tests(found, console=console)),
        "notebook": plain(notebook.html(found)),
        "notebook's text": notebook.text(found),
        "progress": plain(notebook.progress_view({outcome.value: 1}, done=1, total=1)),
        "markdown": report.markdown(whole),
        "page": plain(report.html(whole)),
    }


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_has_one_word_everywhere(outcome: Outcome) -> None:
    others = {"timeout", "stand in gap", "stand_in_gap", "infrastructure_unavailable", "not_run"}
    for where, text in renderings_of_outcome(outcome).items():
        assert WORDS[outcome] in text, where
        assert not others & set(re.findall(r"[a-z_]+(?: in gap)?", text)), where


def test_why_a_test_timed_out_is_not_known_wherever_it_is_shown() -> None:
    shown = renderings_of_outcome(Outcome.TIMEOUT)
    for where in ("terminal", "notebook", "markdown", "page"):
        assert "why is not known" in shown[where], where
        assert "product" not in shown[where].lower(), where
    case = ET.fromstring(report.junit(suite(TestOutcome(id="a::b", outcome=Outcome.TIMEOUT)))).find(".//error")
    assert case is not None
    assert case.get("type") == "timeout"


@pytest.mark.parametrize(
    ("test", "title"),
    [
        (TestOutcome(id="a::b", outcome=Outcome.FAILED), "Product failures"),
        (TestOutcome(id="a::b", outcome=Outcome.ERROR, suspect=True), "Suspects"),
        (TestOutcome(id="a::b", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE), "Failed from infrastructure"),
        (TestOutcome(id="a::b", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE, rounds=0), "Held back"),
        (TestOutcome(id="a::b", outcome=Outcome.STAND_IN_GAP), "Gaps of the stand-ins"),
        (TestOutcome(id="a::b", outcome=Outcome.NOT_RUN), "Not run"),
        (TestOutcome(id="a::b", outcome=Outcome.PASSED, rounds=2), "Passed on a later round"),
    ],
)
def test_a_test_stands_in_the_same_group_in_notebook_page_and_markdown(test: TestOutcome, title: str) -> None:
    found = suite(test)
    assert f"{title} (1)" in plain(notebook.html(found))
    assert f"{title}: 1" in plain(report.html(incident(tests=found)))
    assert f"### {title}: 1" in report.markdown(incident(tests=found))


# --------------------------------------------------------------------------- the verdict

VERDICTS = {
    Verdict.RUNNING: ("?", "unknown"),
    Verdict.PASSED: ("●", "good"),
    Verdict.PASSED_ON_STAND_INS: ("▲", "partial"),
    Verdict.PRODUCT_FAILURES: ("✕", "bad"),
    Verdict.INFRASTRUCTURE_UNAVAILABLE: ("✕", "bad"),
    Verdict.UNDECIDED: ("?", "unknown"),
    Verdict.STAND_IN_GAPS: ("▲", "partial"),
    Verdict.UNKNOWN: ("?", "unknown"),
    Verdict.RUNBOOK_FAILED: ("✕", "bad"),
    Verdict.INTERRUPTED: ("?", "unknown"),
    Verdict.TIMED_OUT: ("✕", "bad"),
    Verdict.KILLED: ("✕", "bad"),
}


@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_has_one_sign_and_its_phrase_everywhere(verdict: Verdict) -> None:
    found = suite(TestOutcome(id="a::b", outcome=Outcome.PASSED), verdict=verdict)
    whole = incident(tests=found, verdict=verdict)
    sign, tone = VERDICTS[verdict]
    first = report.markdown(whole).split("\n\n")[1]
    assert first.startswith(f"**{sign} ")
    assert f'<section class="verdict {tone}">' in report.html(whole)
    assert f"{sign} TESTS: " in plain(notebook.html(found))
