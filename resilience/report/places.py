"""Find where in the logs of a run each failure stands, so that a reader opens the log there and does not search it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from resilience.core.marks import BLAME, Blame
from resilience.core.records import TestOutcome, TestSuiteResult

_HEADING = re.compile(r"^_{2,} (?:ERROR at (?:setup|teardown) of |ERROR collecting )?(.+?) _{2,}$")
_LONGEST = 64 << 20
"""Bytes of one log that are read at most: finding a place must not take as long as the tests did."""


def places(folder: Path, results: Iterable[TestSuiteResult]) -> dict[str, tuple[str, int]]:
    """Return log and line of the failures' headings as pytest prints them, by the test's id; of several rounds the last.

    A heading names class and function without the file: where two failures of a log share it, neither is placed, as a wrong
    place is worse than none. Without a log, or with headings turned off, there is no place.
    """
    found: dict[str, tuple[str, int]] = {}
    for result in results:
        wanted = [test for test in result.tests if BLAME[test.outcome] is not Blame.NONE and test.rounds]
        by_heading: dict[str, list[str]] = {}
        for test in wanted:
            by_heading.setdefault(_heading(test), []).append(test.id)
        for name in dict.fromkeys(name for command in result.commands for name in _logs(folder, command.log)):
            for heading, line in _headings(folder / name):
                ids = by_heading.get(heading, [])
                if len(ids) == 1:
                    found[ids[0]] = (name, line)
    return found


def _heading(test: TestOutcome) -> str:
    """Return what pytest heads this test's failure with: class and function with dots, without the file."""
    file, _, rest = test.id.partition("::")
    return rest.replace("::", ".") if rest else file


def _logs(folder: Path, last: str) -> Iterator[str]:
    """Return the logs of all rounds of the command whose last one is named, the first round first."""
    stem, _, _ = last.partition("-round")
    if stem and stem != last:
        path = Path(last)
        names = sorted(file.name for file in (folder / path.parent).glob(f"{Path(stem).name}-round*{path.suffix}"))
        yield from ((path.parent / name).as_posix() for name in names)
    elif last:
        yield last


def _headings(file: Path) -> Iterator[tuple[str, int]]:
    """Yield each heading with its line, from 1; nothing of a file that is missing or too large."""
    try:
        if file.stat().st_size > _LONGEST:
            return
        with file.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                if line.startswith("__") and (match := _HEADING.match(line.rstrip())):
                    yield match[1], number
    except OSError:
        return
