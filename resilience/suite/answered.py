"""Turn the answers that stand-ins gave to tests into a sentence on what a pass rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from resilience.core.records import Outcome, TestOutcome

ORDER = ("recorded", "contract", "synthetic", "echo", "miss")
"""From what staging said itself to what nobody knows."""
_PASSED = frozenset({Outcome.PASSED, Outcome.XPASSED, Outcome.XFAILED})


def told(tests: Iterable[TestOutcome]) -> tuple[str, ...]:
    """Return one sentence: how many answers by where they were had, and how many tests passed on an echo; none where none asked.

    An echo repeats what was sent: a test that passed on one has shown that it can send, and nothing of what staging says.
    """
    counts: Counter[str] = Counter()
    on_echo = 0
    for test in tests:
        counts.update(test.answered_by)
        on_echo += test.outcome in _PASSED and bool(test.answered_by.get("echo"))
    if not counts:
        return ()
    parts = ", ".join(f"{counts[source]:,} {source}" for source in ORDER if counts[source])
    text = f"the mocks answered the tests {counts.total():,} times: {parts}"
    if on_echo:
        text += f"; {on_echo:,} {'test' if on_echo == 1 else 'tests'} passed on an echo, which says nothing of staging"
    return (text,)
