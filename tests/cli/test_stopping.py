"""Ctrl-C is answered at once, on a real terminal: what is stopped, and that a second one stops now."""

from __future__ import annotations

import itertools
import json
import re
import sys
from pathlib import Path

import pytest

from tests.kits.on_terminal import Terminal
from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import runs

RESILIENCE = [sys.executable, "-m", "resilience.cli"]
SLOW = "import time\n\ndef test_slow():\n    time.sleep(60)\n"
SAID = "stopping, writing the report; again to stop now"


def test_ctrl_c_is_answered_at_once_and_the_report_is_written(team: Path, staging: SmallStaging) -> None:
    (team / "tests" / "test_slow.py").write_text(SLOW)
    with Terminal(
        [*RESILIENCE, "test", "--", sys.executable, "-m", "pytest", "-q", "tests/test_slow.py"], team
    ) as terminal:
        terminal.read(until="running tests")
        pressed = terminal.press("\x03")
        terminal.read(until=SAID)
        answered = next(at for at, text in terminal.changes if SAID in text)
        assert answered - pressed < 1.0
        assert terminal.end() == 130
    (record,) = runs(team)
    assert json.loads(record.read_text())["verdict"] == "interrupted"
    assert (record.parent / "report.html").is_file()
    assert f"Report: {record.parent / 'report.html'}" in terminal.above


@pytest.mark.slow
def test_a_second_ctrl_c_stops_now(team: Path, staging: SmallStaging) -> None:
    (team / "tests" / "test_slow.py").write_text(
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + SLOW
    )
    command = [*RESILIENCE, "test", "--", sys.executable, "-m", "pytest", "-q", "tests/test_slow.py"]
    with Terminal(command, team) as terminal:
        terminal.read(until="running tests")
        terminal.press("\x03")
        terminal.read(until=SAID)
        pressed = terminal.press("\x03")
        assert terminal.end() == 130
        assert terminal.changes[-1][0] - pressed < 15
    assert "stopping now." in terminal.above
    (record,) = runs(team)
    assert json.loads(record.read_text())["verdict"] == "interrupted"


@pytest.mark.slow
def test_a_test_run_says_something_from_the_first_half_second_and_every_two(team: Path, staging: SmallStaging) -> None:
    """The margin is of a machine that does other things as well: 0.5 s on a quiet one (benchmarks measure it)."""
    (team / "tests" / "test_slow.py").write_text(
        "import time\n\ntime.sleep(2.5)\n\ndef test_slow():\n    time.sleep(3)\n"
    )
    command = [*RESILIENCE, "test", "--", sys.executable, "-m", "pytest", "-q", "tests/test_slow.py"]
    with Terminal(command, team) as terminal:
        assert terminal.end() == 0, terminal.raw
    times = [at for at, _ in terminal.changes]
    assert times[0] < 2.0
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 2.0
    foot = "\n".join(terminal.foot)
    for words in (
        "test: starting, 0 s",
        "started: ",
        "collecting tests, 1 s",
        "running tests, 2 s: 0 of 1 tests: tests/test_slow.py::test_slow",
    ):
        assert words in foot
    assert "PASSED" in terminal.above
    with Terminal(command, team) as terminal:
        assert terminal.end() == 0
    assert re.search(r"running tests, 1 s of about \d+ s", "\n".join(terminal.foot)), "expected from the earlier run"
