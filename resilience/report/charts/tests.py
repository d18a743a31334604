"""Draw the tests by outcome, and by the service that took them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from resilience.core.marks import OUTCOMES, outcome_word
from resilience.core.records import Outcome
from resilience.core.words import listing, plural
from resilience.report.charts.canvas import INK, Frame, Sheet, bar, short
from resilience.report.charts.chart import ChartKind
from resilience.report.view import Section, View


def draw(view: View, frame: Frame) -> Figure | None:
    """Draw one bar an outcome, and beside it one a service, of those that took tests or failed beside them."""
    suite = next(iter(view.suites), None)
    if suite is None or not suite.totals:
        return None
    totals = [(Outcome(name), count) for name, count in suite.totals]
    by_service = _by_service(view)
    height, first, second = _layout(frame, len(totals), len(by_service))
    sheet = Sheet(frame, height)
    axes = sheet.axes(*first)
    most = max(count for _, count in totals)
    names = [OUTCOMES[outcome].word for outcome, _ in totals]
    _bars(axes, names, [[(outcome, count)] for outcome, count in totals], most, frame)
    axes.set_title("tests by outcome", loc="left", fontsize=frame.font, fontweight="bold", color=INK, pad=5)
    if by_service:
        axes = sheet.axes(*second)
        most = max(sum(count for _, count in parts) for _, parts in by_service)
        _bars(axes, [short(name, 16) for name, _ in by_service], [parts for _, parts in by_service], most, frame)
        axes.set_title(
            "not plainly passed, by service", loc="left", fontsize=frame.font, fontweight="bold", color=INK, pad=5
        )
    return sheet.figure


Box = tuple[float, float, float, float]


def _layout(frame: Frame, outcomes: int, services: int) -> tuple[float, Box, Box]:
    """Return the height of the sheet and the boxes of both parts: side by side, on phones one below the other."""
    row, left, top = 0.29, 1.86, 0.34
    first, second = row * outcomes, row * services
    if frame.narrow:
        height = top + first + 0.12 + (0.5 + second + 0.3 if services else 0)
        width = frame.width - left - 0.55
        return height, (left, top, width, first), (left, top + first + 0.68, width, second)
    wide = 2.75
    beside = left + wide + 0.6 + 1.25
    whole = frame.width - left - 0.6
    return (
        top + max(first, second) + 0.12,
        (left, top, wide if services else whole, first),
        (beside, top, frame.width - beside - 0.55, second),
    )


def _by_service(view: View) -> list[tuple[str, list[tuple[Outcome, int]]]]:
    """Return, per service, the tests that it took or that failed beside it; the product's without a service come last."""
    table: dict[str, dict[Outcome, int]] = {}
    plain = (Outcome.SKIPPED, Outcome.XFAILED, Outcome.DESELECTED)
    for test in view.suites[0].result.tests:
        if test.outcome in plain or (test.outcome is Outcome.PASSED and not (test.service and test.rounds > 1)):
            continue
        row = table.setdefault(test.service or "no service", {})
        row[test.outcome] = row.get(test.outcome, 0) + 1
    if set(table) == {"no service"}:
        return []
    rows = sorted(table.items(), key=lambda item: (item[0] == "no service", -sum(item[1].values())))[:10]
    return [(name, [(one, row[one]) for one in OUTCOMES if one in row]) for name, row in rows]


def _bars(
    axes: Any, names: Sequence[str], rows: Sequence[Sequence[tuple[Outcome, int]]], most: int, frame: Frame
) -> None:
    """Draw one row a name, its parts behind each other, with their sum at the end; a single test can still be seen."""
    axes.set_xlim(0, most * 1.001)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), names, fontsize=frame.font)
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    for place, parts in enumerate(rows):
        at = 0.0
        for outcome, count in parts:
            wide = max(count, most * 0.006)
            says = f"{count:,} {outcome_word(outcome)}"
            if names[place] != outcome_word(outcome):
                says = f"{names[place]}: {says}"
            bar(axes, (at, place - 0.34), wide, 0.68, OUTCOMES[outcome], edge=0.6, says=says)
            at += wide
        total = sum(count for _, count in parts)
        axes.text(at + most * 0.02, place, f"{total:,}", va="center", fontsize=frame.small, color=INK, clip_on=False)


def say(view: View) -> tuple[str, str]:
    suite = view.suites[0]
    counts = listing([f"{count:,} {outcome_word(name)}" for name, count in suite.totals])
    product = suite.result.totals.failed + suite.result.totals.error
    lost = suite.result.totals.infrastructure_unavailable
    lost_text = f"nothing is known about {plural(lost, 'test')} that infrastructure took"
    text = f"{counts}. {plural(product, 'failure')} of the product; {lost_text}."
    if _by_service(view):
        text += " The right side (on phones the lower one) uses the same colours and hatches."
    return text, f"Bar charts of tests by outcome and by service: {counts}."


CHART = ChartKind(name="tests", title="Tests by outcome", section=Section.TESTS, draw=draw, say=say)
