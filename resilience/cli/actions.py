"""Tell GitHub Actions what a run came to, where that is what we run in: annotations in its log, and the summary of the step."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

_LONGEST = 900_000
"""Bytes of a step's summary; GitHub refuses more than a mebibyte."""


def tell_actions(folder: Path) -> None:
    """Print the run's annotations to stderr, which Actions reads as well as stdout, and add its summary to the step's.

    Nothing happens elsewhere. The files were scanned for secrets as they were written; what is not there is left out.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    with suppress(OSError):
        sys.stderr.write((folder / "annotations.txt").read_text(encoding="utf-8"))
        sys.stderr.flush()
    step = os.environ.get("GITHUB_STEP_SUMMARY", "")
    with suppress(OSError):
        text = (folder / "summary.md").read_bytes()[:_LONGEST]
        if step:
            with Path(step).open("ab") as file:
                file.write(text)
