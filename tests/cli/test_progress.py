"""A test run says whether it starts, collects or runs, how far it is, and what it took before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TextIO

import pytest

from resilience.cli.progress import Progresses, how_far
from resilience.runs import pace
from resilience.runs.pace import Times
from resilience.show.sticky import Line
from resilience.suite.records import Progress

COMMAND = "pytest tests"
NEW = Progress(
    command=COMMAND, number=1, commands=1, round=1, phase="starting", collected=0, finished=0, counts={}, rate=0.0,
    eta_s=None, current="", current_s=0.0, elapsed_s=0.0,
)  # fmt: skip
COLLECTING = replace(NEW, phase="collecting")
RUNNING = replace(
    NEW, phase="running", collected=1419, finished=412, counts={"passed": 409, "failed": 3}, rate=52.0, eta_s=20.0,
    current="tests/unit/test_a.py::test_x", current_s=4.2,
)  # fmt: skip


@pytest.fixture
def line(capsys: pytest.CaptureFixture[str]) -> Line:
    import sys

    stream: TextIO = sys.stderr
    return Line(stream)


def said(line: Line, progresses: Progresses, *all_of: Progress) -> list[str]:
    texts = []
    for progress in all_of:
        progresses(progress)
        since = line._said.since if line._said is not None else 0.0
        texts.append(line.text(since))
    return texts


def test_start_up_collection_and_tests_are_told_apart(line: Line, tmp_path: Path) -> None:
    progresses = Progresses(line, tmp_path / "pace.json", tmp_path)
    assert said(line, progresses, NEW, COLLECTING, RUNNING) == [
        "started: pytest tests, 0 s",
        "collecting tests, 0 s",
        "running tests, 0 s: 412 of 1,419 tests, 3 failed, 52/s, about 20 s left: tests/unit/test_a.py::test_x (4 s)",
    ]


def test_what_it_took_before_stands_beside_each(line: Line, tmp_path: Path) -> None:
    file = tmp_path / "pace.json"
    pace.remember(file, COMMAND, tmp_path, Times(start_s=2.0, collect_s=4.0, run_s=130.0, tests=1419))
    first, second, third = said(line, Progresses(line, file, tmp_path), NEW, COLLECTING, RUNNING)
    assert first == "started: pytest tests, 0 s of about 2 s"
    assert second == "collecting tests, 0 s of about 4 s: 1,419 the last time"
    assert third.startswith("running tests, 0 s of about 2 min 10 s: 412 of 1,419 tests, ")


def test_a_command_that_is_not_pytest_is_expected_to_take_as_long_as_before(line: Line, tmp_path: Path) -> None:
    file = tmp_path / "pace.json"
    command = replace(NEW, command="npm test")
    progresses = Progresses(line, file, tmp_path)
    progresses(command)
    progresses.finish()
    assert pace.expected(file, "npm test", tmp_path) is not None
    pace.remember(file, "npm test", tmp_path, Times(start_s=60.0))
    pace.remember(file, "npm test", tmp_path, Times(start_s=60.0))
    assert said(line, Progresses(line, file, tmp_path), command) == ["started: npm test, 0 s of about 60 s"]


def test_a_second_round_is_called_so_and_expects_nothing(line: Line, tmp_path: Path) -> None:
    file = tmp_path / "pace.json"
    pace.remember(file, COMMAND, tmp_path, Times(start_s=2.0, collect_s=4.0, run_s=130.0, tests=1419))
    again = replace(RUNNING, round=2, collected=2, finished=1, counts={}, current="", eta_s=None, rate=0.5)
    waiting = replace(again, phase="waiting", note="waiting for database, 30 s left")
    assert said(line, Progresses(line, file, tmp_path), again, waiting) == [
        "running tests again (round 2), 0 s: 1 of 2 tests",
        "waiting for database, 30 s left, 0 s",
    ]


def test_of_several_commands_it_says_which(line: Line, tmp_path: Path) -> None:
    second = replace(COLLECTING, number=2, commands=3)
    assert said(line, Progresses(line, tmp_path / "p", tmp_path), second) == ["command 2 of 3, collecting tests, 0 s"]


def test_a_run_that_was_cut_short_says_nothing_of_the_next_time(line: Line, tmp_path: Path) -> None:
    file = tmp_path / "pace.json"
    progresses = Progresses(line, file, tmp_path)
    for progress in (NEW, COLLECTING, RUNNING):
        progresses(progress)
    progresses.finish()
    assert not file.exists(), "412 of 1,419 were run"


def test_a_run_that_went_through_is_kept_by_its_parts(line: Line, tmp_path: Path) -> None:
    file = tmp_path / "pace.json"
    progresses = Progresses(line, file, tmp_path)
    for progress in (NEW, COLLECTING, replace(RUNNING, finished=1419)):
        progresses(progress)
    progresses.finish()
    kept = pace.expected(file, COMMAND, tmp_path)
    assert kept is not None
    assert kept.tests == 1419


def test_a_rate_of_the_first_tests_promises_nothing() -> None:
    assert how_far(replace(RUNNING, finished=2, counts={}, rate=0.2, eta_s=7000.0, current="")) == "2 of 1,419 tests"
