"""Open a report in the browser of whoever asked for it."""

from __future__ import annotations

import sys
from pathlib import Path

from resilience.cli.demand import on_demand

with on_demand():
    import webbrowser


def open_report(page: Path, *, wanted: bool) -> None:
    """Open a report where `--open` was given; a machine without a browser, or one that fails, is said and no failure.

    The verdict is told by then, and its exit code counts.
    """
    if not wanted:
        return
    if not page.is_file():
        sys.stderr.write(f"resilience: there is no report to open at {page}\n")
        return
    try:
        opened = webbrowser.open(page.resolve().as_uri())
    except (OSError, webbrowser.Error):
        opened = False
    if not opened:
        sys.stderr.write(f"resilience: no browser could be opened here. Hint: copy {page}\n")
