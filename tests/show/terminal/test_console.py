"""resilience.show.terminal.console: a reader that leaves early takes neither the work nor its exit code with it."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from resilience.show.terminal.console import headline, show_report
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


def test_only_the_noun_of_a_headline_is_bold_and_what_goes_on_is_indented() -> None:
    buffer = io.StringIO()
    console = Console(
        file=buffer, width=40, height=24, force_terminal=True, highlight=False, _environ={"TERM": "xterm"}
    )
    headline(
        console, "TESTS: PRODUCT FAILURES (mode degraded); and NOT A FULL RUN", "       The failures are the product's."
    )
    first, second, third = buffer.getvalue().splitlines()
    assert first.startswith("\x1b[1mTESTS:\x1b[0m PRODUCT FAILURES")
    assert second.startswith("  ")
    assert third == "       The failures are the product's."


LINK = "\x1b]8;"


@pytest.mark.parametrize(
    ("environ", "terminal", "linked"),
    [
        ({"TERM": "xterm-256color"}, True, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "xterm-256color"}, False, False),
    ],
)
def test_a_report_is_a_link_only_on_a_terminal_that_knows_links(
    tmp_path: Path, environ: dict[str, str], *, terminal: bool, linked: bool
) -> None:
    page = tmp_path / "a folder" / "report.html"
    buffer = io.StringIO()
    console = Console(file=buffer, width=20, force_terminal=terminal or None, highlight=False, _environ=environ)
    show_report(page, console=console)
    said = buffer.getvalue()
    assert str(page) in said, "never cut or wrapped"
    assert (LINK in said) is linked
    assert (page.as_uri() in said) is linked
