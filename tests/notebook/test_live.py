"""A running test run is drawn now and then, and says in one line what is worth knowing beside the counts."""

from __future__ import annotations

from dataclasses import replace

from resilience.notebook.live import LiveProgress, note_of
from resilience.notebook.section import Section
from resilience.suite.records import Progress

RUNNING = Progress(
    command="pytest tests", number=1, commands=1, round=1, phase="running", collected=9, finished=3,
    counts={"passed": 3}, rate=1.0, eta_s=None, current="", current_s=0.0, elapsed_s=3.0,
)  # fmt: skip


def test_an_ordinary_run_says_nothing_beside_its_counts() -> None:
    assert note_of(RUNNING) == ""


def test_command_round_wait_and_time_left_are_said_in_this_order() -> None:
    waiting = replace(RUNNING, number=2, commands=3, round=2, phase="waiting", eta_s=90.0)
    parts = note_of(waiting).split(" · ")
    assert parts[:3] == ["command 2 of 3", "round 2", "waiting"]
    assert parts[3].startswith("about ")
    assert "waiting" not in note_of(replace(waiting, note="until redis is back"))


def test_the_first_progress_is_drawn_and_one_that_comes_at_once_is_not() -> None:
    section = Section()
    live = LiveProgress(section)
    live(RUNNING)
    live(replace(RUNNING, finished=4))
    assert section.text == "tests: 3 of 9"
    live.drawn -= 1
    live(replace(RUNNING, finished=5))
    assert section.text == "tests: 5 of 9"
