"""One line at the foot of a terminal says what goes on and since when; nothing of it is left, and elsewhere there is none."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from pathlib import Path

import pytest

from resilience.show import sticky
from tests.kits.on_terminal import Terminal

WORKS = """
import sys, time
from resilience.show import sticky
with sticky.line("loading", expected_s=4.0) as line:
    time.sleep(2.6)
    print("a row above")
    with sticky.line("counting"):
        for count in range(40):
            sticky.current().far(f"{count} of 40")
            time.sleep(0.02)
    time.sleep(0.3)
print("the result")
"""
BLOCKS = "import time\nfrom resilience.show import sticky\nwith sticky.line('blocked'):\n    sum(range(60_000_000))\n"


def run(code: str, cwd: Path, *, environ: dict[str, str] | None = None) -> Terminal:
    with Terminal([sys.executable, "-c", code], cwd, environ=environ or {}) as terminal:
        assert terminal.end() == 0, terminal.raw
    return terminal


def test_it_says_what_and_since_when_each_second_and_leaves_nothing(tmp_path: Path) -> None:
    terminal = run(WORKS, tmp_path)
    assert terminal.foot[0] == "loading, 0 s of about 4 s"
    assert {"loading, 1 s of about 4 s", "loading, 2 s of about 4 s"} <= {*terminal.foot}
    assert any(re.fullmatch(r"counting, 0 s: \d+ of 40", text) for text in terminal.foot)
    assert terminal.foot[-1].startswith("loading, 3 s"), "what went on before goes on"
    assert "a row above" in terminal.above
    assert terminal.raw.rstrip().endswith("\x1b[2K\x1b[r\x1b8the result"), "the row is empty and scrolls again"


def test_counters_are_drawn_at_most_twice_a_second_and_nothing_twice(tmp_path: Path) -> None:
    terminal = run(WORKS, tmp_path)
    counted = [text for text in terminal.foot if text.startswith("counting")]
    assert 1 <= len(counted) <= 3
    assert all(one != other for one, other in zip(terminal.foot, terminal.foot[1:], strict=False)), (
        "it does not flicker"
    )


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_that_cannot_gets_no_line(tmp_path: Path, environ: dict[str, str]) -> None:
    terminal = run(WORKS, tmp_path, environ=environ)
    assert terminal.foot == []
    assert "\x1b" not in terminal.raw


def test_where_stderr_is_no_terminal_nothing_is_written() -> None:
    stream = io.StringIO()
    line = sticky.Line(stream)
    line.say("working")
    line.open()
    line.close()
    assert stream.getvalue() == ""
    assert not line.live


def test_a_text_is_cut_to_the_terminal_and_holds_nothing_that_it_obeys() -> None:
    text = sticky._fitting("working on \x1b[2J" + "漢" * 60, 40)
    assert "\x1b" not in text
    assert text.endswith("…")
    assert len(text) < 40


@pytest.mark.parametrize(("passed", "said"), [(0.9, "0 s"), (99.9, "99 s"), (100, "1 min 40 s"), (3725, "62 min 05 s")])
def test_how_long_is_said_in_whole_seconds(passed: float, said: str) -> None:
    assert sticky.lasted(passed) == said


def test_an_interrupted_line_is_given_back(tmp_path: Path) -> None:
    code = "import time\nfrom resilience.show import sticky\nwith sticky.line('waiting'):\n    time.sleep(30)\n"
    with Terminal([sys.executable, "-c", code], tmp_path) as terminal:
        terminal.read(until="waiting")
        terminal.press("\x03")
        assert terminal.end() != 0
    assert "\x1b[r" in terminal.raw


def test_a_second_line_is_the_first_one_with_another_text() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours), os.fdopen(theirs, "w") as stream:
        line = sticky.Line(stream)
        line.say("one", expected_s=7.0)
        line.far("3 of 4")
        began = line.text(0.0)
        assert "3 of 4" in began
        line.say("two")
        assert "3 of 4" not in line.text(0.0), "how far the one was says nothing of the other"
