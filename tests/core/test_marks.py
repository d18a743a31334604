"""resilience.core.marks: every member has its row, no two statuses look alike, and what is read on white can be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from itertools import combinations

import pytest

from resilience.core import marks
from resilience.core.marks import LOOKS, Tone
from resilience.core.records import (
    ConnectivityStatus,
    FaultCode,
    Outcome,
    Phases,
    StageStatus,
    TestExecutionMode,
    TestTotals,
    Verdict,
)

TABLES: Mapping[str, tuple[Mapping[object, object], type[Enum]]] = {
    "LOOKS": (marks.LOOKS, Tone),
    "STATUSES": (marks.STATUSES, ConnectivityStatus),
    "STAGING": (marks.STAGING, ConnectivityStatus),
    "OUTCOMES": (marks.OUTCOMES, Outcome),
    "VERDICTS": (marks.VERDICTS, Verdict),
    "STAGES": (marks.STAGES, StageStatus),
    "MODES": (marks.MODES, TestExecutionMode),
    "FAULTS": (marks.FAULTS, FaultCode),
}  # type: ignore[assignment]


@pytest.mark.parametrize("name", TABLES)
def test_every_member_has_its_row_and_no_row_is_left_over(name: str) -> None:
    table, members = TABLES[name]
    assert set(table) == set(members)


def test_the_counts_of_a_run_are_the_outcomes() -> None:
    overlapping = {"retried", "passed_on_retry"}
    assert {field.name for field in fields(TestTotals)} - overlapping == {outcome.value for outcome in marks.OUTCOMES}


def test_the_phases_are_those_that_a_probe_measures() -> None:
    assert [f"{name}_s" for name in marks.PHASES] == [field.name for field in fields(Phases)]


@pytest.mark.parametrize("table", [marks.STATUSES, marks.OUTCOMES])
def test_no_two_members_share_a_word_or_a_fill_with_its_hatch(table: Mapping[object, marks.Mark]) -> None:
    for one, other in combinations(table.values(), 2):
        assert one.word != other.word
        assert (one.fill, one.hatch) != (other.fill, other.hatch)
    assert "_" not in "".join(mark.word for mark in table.values())


def test_no_two_statuses_and_no_two_tones_share_a_sign() -> None:
    assert len({mark.sign for mark in marks.STATUSES.values()}) == len(marks.STATUSES)
    assert len({look.sign for look in LOOKS.values()}) == len(LOOKS)


def test_a_broken_stage_is_one_that_did_not_do_its_work() -> None:
    assert {status.value for status in marks.BROKEN} == {"failed", "killed", "timed_out", "interrupted"}


def test_what_a_newer_version_calls_a_verdict_or_a_running_test_is_shown_with_blanks() -> None:
    assert marks.verdict_word("passed_on_stand_ins") == "passed on stand-ins"
    assert marks.verdict_word("made_up_later") == "made up later"
    assert marks.outcome_word("stand_in_gap") == "stand-in gap"
    assert marks.outcome_word("held_so_far") == "held so far"


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the ratio of WCAG 2, from 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("tone", Tone)
def test_each_tone_can_be_read_on_white_and_on_the_dark_page(tone: Tone) -> None:
    assert contrast(LOOKS[tone].ink, "#ffffff") >= 4.5
    assert contrast(LOOKS[tone].ink_dark, "#0f1318") >= 4.5


@pytest.mark.parametrize("mode", marks.MODE_FILLS)
def test_the_label_on_a_mode_can_be_read(mode: str) -> None:
    fill, label = marks.MODE_FILLS[mode]
    assert contrast(fill, label) >= 4.5
