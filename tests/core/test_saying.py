"""resilience.core.saying: three sentences for each reader, and only the team reads what is inside."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from resilience.core.records import EventKind, TimelineEvent
from resilience.core.saying import Reader, hand_over, say
from tests.kits import incident_factory as factory
from tests.kits.records import AT, S, health

STORY = factory.drill().incident
LASTING = replace(
    STORY,
    health=health({"database": S.UNAVAILABLE}),
    latest=None,
    recovery=None,
    outage_started_at=AT - timedelta(minutes=42),
)


def sentences(text: str) -> int:
    return text.count(". ") + text.endswith(".")


@pytest.mark.parametrize("reader", Reader)
def test_it_says_since_when_and_when_the_next_update_comes(reader: Reader) -> None:
    text = say(LASTING, reader, now=AT)
    assert "2026-11-22 02:32 UTC" in text
    assert text.endswith("Next update: 2026-11-22 03:44 UTC.")
    assert "\n" not in text


def test_only_the_team_reads_services_and_causes_and_a_status_page_no_names_at_all() -> None:
    said = {reader: say(LASTING, reader, now=AT, again="third time in 90 days for database") for reader in Reader}
    assert "database (connect time-out after 5.0 s)" in said[Reader.TEAM]
    assert "third time in 90 days" in said[Reader.TEAM]
    for reader in (Reader.STATUS_PAGE, Reader.EXEC):
        assert "time-out" not in said[reader]
    for word in ("database", LASTING.vantage.host, "third time"):
        assert word not in said[Reader.STATUS_PAGE]


@pytest.mark.parametrize("reader", Reader)
def test_once_it_is_over_there_is_no_next_update(reader: Reader) -> None:
    text = say(STORY, reader, now=AT)
    assert "Next update" not in text
    assert any(word in text for word in ("well again", "works again", "is over"))


@pytest.mark.parametrize("reader", Reader)
def test_what_is_not_known_is_not_called_well(reader: Reader) -> None:
    text = say(replace(LASTING, health=None, tests=None, outage_started_at=None), reader, now=AT)
    assert "well again" not in text
    assert "not known" in text
    assert "Next update" in text


@pytest.mark.parametrize("reader", Reader)
@pytest.mark.parametrize("story", [factory.drill, factory.green, factory.failed, factory.night, factory.hostile])
def test_every_story_can_be_said(story: object, reader: Reader) -> None:
    assert say(story().incident, reader, now=AT)  # type: ignore[operator]


def test_the_hand_over_says_how_it_stands_what_was_done_and_what_to_type() -> None:
    note = TimelineEvent(at=AT, what="note", detail="restarted the connector (by ana)", kind=EventKind.BY_HAND)
    text = hand_over(LASTING, (note,), now=AT)
    for words in (
        "is not well since",
        "restarted the connector (by ana)",
        "resilience status --hand-over",
        LASTING.run,
    ):
        assert words in text


def test_the_hand_over_keeps_what_people_wrote_however_much_the_runbook_did_after_it() -> None:
    note = TimelineEvent(at=AT - timedelta(hours=9), what="note", detail="called ana", kind=EventKind.BY_HAND)
    done = tuple(TimelineEvent(at=AT + timedelta(seconds=n), what=f"step {n}") for n in range(40))
    text = hand_over(replace(LASTING, timeline=done), (note,), now=AT, cost="outage 9 h")
    assert "called ana" in text
    assert "step 39" in text
    assert "step 20" not in text
    assert "Cost: outage 9 h." in text
