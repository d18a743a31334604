"""Events of any shape become records, or nothing."""

from __future__ import annotations

from resilience.suite.events import Record


def test_events_of_any_shape_break_nothing_but_themselves() -> None:
    record = Record()
    for event in ({}, {"k": "t"}, {"k": "b", "i": 99}, {"k": "nonsense", "s": 3}, {"k": "finish"}):
        record.feed(event)
    assert not record.started
