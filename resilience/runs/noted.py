"""Keep in the history which tests of a run were anything but plainly passed, so that flaky and held-back ones can be counted.

What passed at once is not kept: a suite of 20,000 tests would be 20,000 rows a run, of which nobody asks.
"""

from __future__ import annotations

from collections.abc import Callable

from resilience.core.records import Incident, Outcome
from resilience.runs.database import Database

PASSED_LATER = "passed_later"
"""Failed, and passed on a later round of the same run."""
FAILED = "failed"
KEPT = {
    Outcome.FAILED: FAILED,
    Outcome.ERROR: FAILED,
    Outcome.TIMEOUT: FAILED,
    Outcome.INFRASTRUCTURE_UNAVAILABLE: "held_back",
    Outcome.UNDECIDED: "undecided",
    Outcome.STAND_IN_GAP: "stand_in_gap",
}
"""Outcome → as what it is kept. `held_back` is both what was not run and what failed, as a service was not there."""
WORDS = (PASSED_LATER, *dict.fromkeys(KEPT.values()))


def note_tests(database: Database, run: int, incident: Incident, *, number_of: Callable[[str], int]) -> None:
    """Keep what the tests of a run that is over came to, in the place of what was kept of it before.

    A test may be kept as several things: held back in the outage, and failed in the full suite after it. `number_of` gives
    an id its number, redacted, as a parameter in it may be a secret: two ids may then be one. Raises sqlite3.Error.
    """
    if incident.finished_at is None or incident.tests is None:
        return
    found = {
        (test.id, PASSED_LATER if test.outcome is Outcome.PASSED else KEPT[test.outcome])
        for result in (incident.tests, incident.critical_tests, incident.full_tests)
        if result is not None
        for test in result.tests
        if test.outcome in KEPT or (test.outcome is Outcome.PASSED and test.rounds > 1)
    }
    database.execute("DELETE FROM noted WHERE run = ?", (run,))
    database.executemany(
        "INSERT INTO noted VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(run, number_of(name), what) for name, what in sorted(found)],
    )
