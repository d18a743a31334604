"""resilience.show.terminal.console: a reader that leaves early takes neither the work nor its exit code with it."""

from __future__ import annotations

import subprocess
import sys

from resilience.show.terminal.console import headline, working
from tests.kits.printed import printed


def test_a_reader_that_leaves_early_costs_no_exit_code() -> None:
    code = "from resilience.show import terminal\nfor n in range(20000): terminal.out.print('x' * 80)\nprint('ended')"
    command = f"'{sys.executable}' -c \"{code}\" | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["x" * 80, "0"]
    assert done.stderr == ""


def test_a_headline_is_never_cut_and_a_bracket_in_it_is_text() -> None:
    line = "STAGING: DOWN (" + "database: [red]connect time-out[/red]; " * 10 + ")"
    assert " ".join(printed(lambda console: headline(console, line), width=60).split()) == " ".join(line.split())


def test_where_stderr_is_no_terminal_nothing_moves() -> None:
    with working("looking") as status:
        assert status is None
