"""resilience.show.terminal.trends: the sentences first, then a table of each thing there is, at 80 columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

from rich.console import Console

from resilience.core.trends import IncidentTimes, ServiceFigures, TestCounts
from resilience.show.terminal.trends import MOST, show_trends

AT = datetime(2026, 11, 22, 3, 14, tzinfo=UTC)


def shown(*, services: int = 0, outages: int = 0, tests: int = 0) -> list[str]:
    written = StringIO()
    show_trends(
        ["staging, 30 days: looked."],
        [
            ServiceFigures(
                service=f"service_{n}", samples=2000, lost=n, availability=1 - n / 2000, p50_s=0.02, p95_s=None, max_s=1.0
            )
            for n in range(services)
        ],
        [
            IncidentTimes(
                id=str(n), opened_at=AT + timedelta(hours=n), closed_at=None, detect_s=4.0, acknowledge_s=None,
                mitigate_s=90.0, recover_s=None, services=("database", "backend_api"),
            )
            for n in range(outages)
        ],
        [TestCounts(test=f"tests/test_a.py::test_[red]{n}", passed_later=1, held_back=n, last_at=AT) for n in range(tests)],
        console=Console(file=written, width=80),
    )  # fmt: skip
    return [line.rstrip() for line in written.getvalue().splitlines()]


def test_where_there_is_nothing_there_is_the_sentence_alone() -> None:
    assert shown() == ["staging, 30 days: looked."]


def test_figures_stand_with_their_units_and_what_is_not_known_is_a_dash() -> None:
    lines = shown(services=2, outages=1, tests=1)
    assert "service_1   2,000          1  20 ms    –" in lines
    assert "2026-11-22 03:14     4 s            –      90 s        –  database, backend_api" in lines
    assert any(line.startswith("tests/test_a.py::test_[red]0") for line in lines)
    assert max(map(len, lines)) <= 80


def test_the_latest_outages_are_shown_first_and_the_rest_is_counted() -> None:
    lines = shown(outages=MOST + 2)
    assert lines[3].startswith("2026-11-22 14:14")
    assert lines[-1] == "… and 2 more: resilience history --json"
