"""Records survive the way into JSON and back, and a record that cannot be read is named, not guessed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, strategies as st

from resilience.core.codec import from_json, mapped, to_builtins, to_json
from resilience.core.errors import RecordError
from resilience.core.records import SCHEMA, EventKind, Incident, Sample, TimelineEvent
from resilience.core.secret import Secret
from tests.kits import incident_factory
from tests.kits.records import AT, S, health


@pytest.mark.parametrize("story", ["drill", "night", "green", "failed", "hostile"])
def test_a_whole_incident_survives_the_way_there_and_back(story: str) -> None:
    incident = getattr(incident_factory, story)().incident
    assert from_json(to_json(incident), Incident) == incident
    assert to_json(from_json(to_json(incident, indent=0), Incident)) == to_json(incident)


@given(text=st.text(max_size=50), seconds=st.none() | st.floats(0, 1e6))
def test_any_text_and_any_time_survive(text: str, seconds: float | None) -> None:
    sample = Sample(at=AT, service=text, status=S.AVAILABLE, response_time_s=seconds)
    assert from_json(to_json(sample, indent=0), Sample) == sample
    assert b"\n" not in to_json(sample, indent=0), "a line of samples.jsonl is one line"


def test_times_are_written_in_utc() -> None:
    event = TimelineEvent(at=datetime(2026, 1, 1, 12, tzinfo=UTC), what="x")
    assert json.loads(to_json(event))["at"] == "2026-01-01T12:00:00Z"
    elsewhere = TimelineEvent(at=datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2))), what="x")
    assert from_json(to_json(elsewhere), TimelineEvent) == event


def test_enums_are_written_as_the_word_a_person_sees() -> None:
    document = to_builtins(health({"database": S.UNAVAILABLE}))
    assert document["overall_status"] == "unavailable"
    assert document["services"][0]["fault"] == "tcp_timeout"


def test_a_key_of_a_later_version_is_ignored() -> None:
    document = json.loads(to_json(TimelineEvent(at=AT, what="x")))
    assert from_json(json.dumps({**document, "mood": "sour"}), TimelineEvent).what == "x"


def test_a_newer_schema_is_refused_with_what_to_type() -> None:
    with pytest.raises(RecordError, match=rf"incident\.json: schema {SCHEMA} or older was expected.*upgrade"):
        from_json(b'{"schema": 2}', Incident, source=Path("runs/incident.json"))


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"{}", b'{"at": 1, "what": 2}', b'{"at": "yesterday"}', b"NaN"],
)
def test_what_is_cut_foreign_or_of_another_shape_is_named(data: bytes) -> None:
    with pytest.raises(RecordError, match=r"events\.jsonl: a TimelineEvent.*found: .+") as caught:
        from_json(data, TimelineEvent, source="events.jsonl")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 30


@pytest.mark.parametrize("cut", range(0, 700, 69))
def test_a_record_cut_anywhere_is_refused(cut: int) -> None:
    whole = to_json(health({}))
    with pytest.raises(RecordError):
        from_json(whole[:cut], Incident)


def test_a_secret_never_shows_its_value() -> None:
    assert to_json({"password": Secret("hunter2"), "path": Path("/x")}) == b'{\n "password": "***",\n "path": "/x"\n}'


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        to_json({"x": object()})


def test_mapped_changes_every_text_once_keys_included_and_nothing_else() -> None:
    asked: list[str] = []

    def shout(text: str) -> str:
        asked.append(text)
        return text.upper()

    tree = {"a": ["b", "a", 1, None, True], "c": {"b": 2.5}}
    assert mapped(tree, shout) == {"A": ["B", "A", 1, None, True], "C": {"B": 2.5}}
    assert sorted(asked) == ["a", "b", "c"]


def test_a_text_in_place_of_a_number_is_not_taken_for_one() -> None:
    document = json.loads(to_json(Sample(at=AT, service="redis", status=S.AVAILABLE, response_time_s=1.0)))
    with pytest.raises(RecordError, match="Sample"):
        from_json(msgspec.json.encode({**document, "response_time_s": "1.0"}), Sample)


def test_the_keys_that_a_record_is_read_back_by_stay_whatever_is_secret() -> None:
    from resilience.core.codec import FIELDS

    tree = {"status": "status", "facts": {"token-1": "token-1"}}
    hidden = mapped(tree, lambda _text: "***", keep=FIELDS)
    assert hidden == {"status": "***", "facts": {"***": "***"}}


@pytest.mark.parametrize("kind", EventKind)
def test_the_kind_of_an_event_is_its_word_in_json(kind: EventKind) -> None:
    event = TimelineEvent(at=AT, what="x", kind=kind)
    assert json.loads(to_json(event))["kind"] == kind.value
    assert from_json(to_json(event), TimelineEvent) == event


def test_an_event_of_a_later_version_is_any_event_and_what_is_no_word_is_refused() -> None:
    document = json.loads(to_json(TimelineEvent(at=AT, what="x")))
    assert from_json(json.dumps({**document, "kind": "rehearsed"}), TimelineEvent).kind is EventKind.EVENT
    with pytest.raises(RecordError):
        from_json(json.dumps({**document, "kind": 7}), TimelineEvent)
