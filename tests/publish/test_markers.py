"""resilience.publish.markers: what is written is read back, and the same outage is known under another host's name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given, strategies as st

from resilience.publish.markers import Kind, Mark, mark_in
from tests.kits.records import AT

MARK = Mark(kind=Kind.STICKY, environment="staging", incident="staging-1", opened=AT)


@given(st.text(min_size=1), st.text(min_size=1))
@example("\x1f" * 400, "a name <of> more than -- two thousand signs")
def test_any_name_comes_back_and_ends_no_comment(environment: str, incident: str) -> None:
    mark = replace(MARK, environment=environment, incident=incident, closed=AT)
    text = mark.text()
    assert text.count("-->") == 1
    assert "--" not in text.removeprefix("<!--").removesuffix("-->")
    assert mark_in(f"words\n{text}\n") == mark


@pytest.mark.parametrize("told", ["", "{}", '{"a": 1}', "{x}"])
def test_what_is_no_mark_is_none(told: str) -> None:
    assert mark_in(f"<!-- resilience:sticky {told} -->") is None
    assert mark_in(MARK.text().replace("sticky", "wat")) is None


@pytest.mark.parametrize(
    ("there", "minutes", "same"),
    [
        (replace(MARK, incident="other", opened=AT - timedelta(minutes=3)), 5, True),
        (replace(MARK, incident="other"), 60 * 25, False),
        (MARK, 60 * 25, True),
        (replace(MARK, incident="other", closed=AT + timedelta(minutes=1)), 5, True),
        (replace(MARK, incident="other", closed=AT - timedelta(minutes=1)), 5, False),
        (replace(MARK, environment="production"), 5, False),
    ],
)
def test_an_open_comment_of_another_name_is_of_the_same_outage_for_a_day(there: Mark, minutes: int, same: bool) -> None:
    now = AT + timedelta(days=2)
    assert MARK.is_same_outage(there, edited_at=now - timedelta(minutes=minutes), now=now) is same


def test_hosts_agree_on_the_name_that_was_there_first() -> None:
    first = replace(MARK, incident="first", opened=AT - timedelta(minutes=3))
    assert MARK.joined(first) == first
