"""What a test run is told keeps its parts apart."""

from __future__ import annotations

from dataclasses import fields

from resilience.core.records import PlannedCommand
from resilience.suite.records import Instruments, Place, Request, Turn


def test_each_round_and_part_of_a_command_has_files_of_its_own() -> None:
    command = PlannedCommand(command="pytest")
    turns = [
        Turn(number=number, commands=12, command=command, round=round, part=part)
        for number in (0, 11)
        for round in (1, 2)
        for part in (0, 1, 100)
    ]
    names = [turn.name for turn in turns]
    assert names[:3] == ["01-round1", "01-round1-2", "01-round1-101"]
    assert len(set(names)) == len(turns)


def test_what_was_asked_where_it_runs_and_how_it_looks_share_no_name() -> None:
    names = [field.name for record in (Request, Place, Instruments) for field in fields(record)]
    assert len(names) == len(set(names))
