"""Remember from run to run which services each test was seen to connect to, so that an outage holds back no others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from resilience.core.records import Outcome
from resilience.host.files import make_private_folder, write_atomically
from resilience.suite.board import Standing
from resilience.suite.endpoints import Endpoint, whose

TESTS_AT_MOST = 50_000
_SAID = (Outcome.PASSED, Outcome.XPASSED, Outcome.XFAILED)


def load(path: Path | None) -> dict[str, tuple[str, ...]]:
    """Return test → services, as earlier runs saw it; empty where nothing is remembered, or not readably."""
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(test): tuple(str(name) for name in names) for test, names in found["tests"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def save(
    path: Path | None, before: Mapping[str, tuple[str, ...]], standings: Sequence[Standing], endpoints: Sequence[Endpoint]
) -> None:  # fmt: skip
    """Write what is known now: a test that passed replaces what was known of it, one that did not leaves it.

    What only an earlier test's thread connected to meanwhile, such as a pool's, is not this one's.

    Ids only, and names of services: nothing of what was said there. Raises OSError.
    """
    if path is None:
        return
    live = [endpoint for endpoint in endpoints if not endpoint.idle]
    seen = {}
    for standing in standings:
        if standing.judged.outcome in _SAID and standing.rounds:
            own = (pair for pair in standing.test.spoke if pair not in standing.test.aside)
            found = (whose([pair], live) for pair in own)
            seen[standing.test.id] = tuple(sorted({one.service for one in found if one is not None}))
    if not seen:
        return
    known = {test: names for test, names in {**before, **seen}.items() if names}
    kept = dict(list(known.items())[-TESTS_AT_MOST:])
    make_private_folder(path.parent)
    write_atomically(path, json.dumps({"schema": 1, "tests": kept}).encode(), mode=0o600, durable=False)
