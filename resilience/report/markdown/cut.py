"""Say how much is shown at each level of cutting, so that the report fits a comment.

Order of cutting, until it fits 60,000 characters: 1. parameters and versions; 2. tests that passed on a later round and all
test messages beyond three lines; 3. lists of tests beyond 40 each, the timeline beyond 60 rows; 4. phases and the diagram;
5. lists beyond 10, messages beyond one line, changes of the environment; 6. lists of tests altogether. The verdict, what was
down, the totals and what people wrote are never cut (what people wrote beyond 20,000 characters stays in the file on disk
under its name of before).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How much is shown at one level of cutting."""

    details: bool = True
    retried: bool = True
    tests: int = 400
    rows: int = 400
    message_lines: int = 12
    message_chars: int = 1_200
    phases: bool = True
    changes: bool = True
    says: str = ""


LEVELS = (
    Cut(),
    Cut(details=False, says="parameters and versions"),
    Cut(
        details=False, retried=False, message_lines=3, message_chars=400, says="long messages, tests that passed later"
    ),
    Cut(
        details=False,
        retried=False,
        tests=40,
        rows=60,
        message_lines=3,
        message_chars=300,
        says="lists beyond 40 tests",
    ),
    Cut(
        details=False,
        retried=False,
        tests=40,
        rows=60,
        message_lines=3,
        message_chars=300,
        phases=False,
        says="lists beyond 40 tests, phases, the diagram",
    ),
    Cut(
        details=False,
        retried=False,
        tests=10,
        rows=30,
        message_lines=1,
        message_chars=160,
        phases=False,
        changes=False,
        says="lists beyond 10 tests, phases, the diagram, changes of the environment",
    ),
    Cut(
        details=False,
        retried=False,
        tests=0,
        rows=15,
        message_lines=1,
        message_chars=160,
        phases=False,
        changes=False,
        says="all lists of tests, phases, the diagram, changes of the environment",
    ),
)
