"""A note typed at the command line is confirmed with its time."""

from __future__ import annotations

from pathlib import Path

from tests.kits.typing_in import Type


def test_a_note_is_confirmed_and_a_wrong_time_refused(type_in: Type, team: Path) -> None:
    said = type_in("note", "restarted the connector", "--at", "2026-01-02T03:40Z")
    assert said.code == 0, said.err
    assert said.out.startswith("2026-01-02 03:40 UTC")
    assert ": noted on the timeline" in said.out
    assert "Next: resilience report" in said.out
    type_in("note", "x", "--at", "soon").complains("--at soon", "03:40")
    type_in("note", " ").complains("a note needs a text")
