"""resilience.runs.keeping: what is put is there until it is marked, and a state with its letters is kept as one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resilience.runs.history import History
from resilience.runs.keeping import Keeping

NOW = datetime(2026, 11, 22, 3, 14, tzinfo=UTC)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Keeping]:
    with History(tmp_path / "history.sqlite") as history:
        yield Keeping(history)


def test_a_letter_is_put_once_and_gone_when_sent(kept: Keeping) -> None:
    assert kept.put("a/1", "webhook", "one")
    assert not kept.put("a/1", "webhook", "two")
    (letter,) = kept.waiting("webhook")
    assert (letter.key, letter.body, letter.attempts) == ("a/1", "one", 0)
    assert kept.waiting("github") == ()
    kept.sent(letter)
    assert kept.waiting() == ()
    assert not kept.put("a/1", "webhook", "three")


def test_a_later_body_replaces_the_one_before_and_waits_again_but_the_same_body_is_not_sent_twice(
    kept: Keeping,
) -> None:
    kept.put("sticky", "github", "one", replaces=True)
    (letter,) = kept.waiting()
    kept.sent(letter)
    assert not kept.put("sticky", "github", "one", replaces=True)
    assert kept.waiting() == ()
    assert kept.put("sticky", "github", "two", replaces=True)
    assert [one.body for one in kept.waiting()] == ["two"]


def test_a_letter_that_was_replaced_while_it_was_sent_waits_on(kept: Keeping) -> None:
    kept.put("sticky", "github", "one", replaces=True)
    (letter,) = kept.waiting()
    kept.put("sticky", "github", "two", replaces=True)
    kept.sent(letter)
    assert [one.body for one in kept.waiting()] == ["two"]


def test_letters_keep_their_order_and_say_why_they_wait(kept: Keeping) -> None:
    for name in ("b", "a", "c"):
        kept.put(name, "webhook", name)
    first, second, _ = kept.waiting()
    kept.put_off(first, "503", until=NOW)
    kept.refused(second, "404")
    assert [(one.key, one.error, one.not_before) for one in kept.waiting()] == [("b", "503", NOW), ("c", "", None)]


def test_a_state_and_its_letters_are_both_kept_or_neither(kept: Keeping) -> None:
    def broken() -> None:
        with kept.at_once():
            kept.keep({"watch": json.dumps({"seq": 1})})
            kept.put("a/1", "webhook", "one")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        broken()
    assert kept.get("watch") == ""
    assert kept.waiting() == ()
    with kept.at_once():
        kept.keep({"watch": "x"})
        kept.put("a/1", "webhook", "one")
    assert (kept.get("watch"), len(kept.waiting()), kept.names("wat")) == ("x", 1, ["watch"])


def test_the_last_acknowledgement_of_an_incident_counts(kept: Keeping) -> None:
    assert kept.acknowledgement("staging", "i") is None
    for minutes, author in ((0, "ana"), (5, "bob")):
        kept.say(
            "ack", environment="staging", incident="i", at=NOW + timedelta(minutes=minutes), author=author, text=""
        )
    kept.say("note", environment="staging", incident="i", at=NOW + timedelta(minutes=9), author="eve", text="hm")
    found = kept.acknowledgement("staging", "i")
    assert found is not None
    assert (found.by, found.until) == ("bob", None)
    assert kept.acknowledgement("staging", "j") is None
    assert kept.acknowledgement("staging", "") is None
    assert [said.author for said in kept.said("staging", "i")] == ["ana", "bob", "eve"]
    assert kept.said("production") == ()
