"""A report is opened where it was asked for; a machine without a browser costs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from resilience.cli.opening import open_report

OPEN = """
import sys
from pathlib import Path
from resilience.cli.opening import open_report
open_report(Path(sys.argv[1]), wanted=sys.argv[2] == "yes")
"""


def opened(page: Path, *, wanted: bool, browser: str) -> str:
    """What is said where this command is the browser."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(page), "yes" if wanted else "no"],
        env={"PATH": os.environ["PATH"], "BROWSER": browser}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stderr


@pytest.mark.parametrize("wanted", [True, False])
def test_the_browser_is_given_the_report_only_where_it_was_asked_for(tmp_path: Path, *, wanted: bool) -> None:
    page = tmp_path / "a folder" / "report.html"
    page.parent.mkdir()
    page.touch()
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/given\n')
    browser.chmod(0o700)
    assert opened(page, wanted=wanted, browser=f"{browser} %s") == ""
    given = tmp_path / "given"
    assert (given.read_text() if given.exists() else None) == (page.as_uri() if wanted else None)


def test_no_browser_is_said_with_the_path_to_copy(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.touch()
    said = opened(page, wanted=True, browser=f"{tmp_path / 'none'} %s")
    assert said == f"resilience: no browser could be opened here. Hint: copy {page}\n"


def test_a_report_that_was_not_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_report(tmp_path / "report.html", wanted=True)
    assert "there is no report to open" in capsys.readouterr().err
