"""Events of any shape become records, or nothing."""

from __future__ import annotations

from resilience.suite.events import Record


def test_events_of_any_shape_break_nothing_but_themselves() -> None:
    record = Record()
    for event in ({}, {"k": "t"}, {"k": "b", "i": 99}, {"k": "nonsense", "s": 3}, {"k": "finish"}):
        record.feed(event)
    assert not record.started


def test_a_file_that_could_not_be_collected_waits_for_nothing_any_more() -> None:
    record = Record()
    record.feed({"s": "1", "k": "start", "root": "/p", "pytest": "9"})
    record.feed({"s": "1", "k": "c", "p": ["127.0.0.1", 6379]})
    assert record.sessions["1"].touched
    record.feed({"s": "1", "k": "collect_error", "id": "test_a.py", "chain": [{"type": "ConnectionRefusedError"}]})
    assert not record.sessions["1"].touched
