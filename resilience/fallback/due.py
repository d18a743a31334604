"""Say in one sentence what an apply left to be undone here, and the command that does it."""

from __future__ import annotations

from pathlib import Path

from resilience.core.errors import RecordError
from resilience.fallback import journal as journals
from resilience.host.vantage import vantage


def due(state: Path) -> tuple[str, str]:
    """Return what is still applied or half applied, and what to type; two empty texts where nothing is due.

    For the last line of a command that a signal ended, when the process that wrote the journal still lives: so
    `unfinished`, which asks whether that process is gone, is not the question here.
    """
    try:
        journal = journals.load(state)
    except (RecordError, OSError) as exc:
        return f"the undo data cannot be read ({exc})", "resilience status"
    if journal is None:
        return "", ""
    where = "" if journal.host == vantage().host else f"on {journal.host}: "
    if journal.status == "applied":
        return f"the fallback of run {journal.run} is applied", f"{where}resilience restore"
    begun = "being applied" if journal.status == "applying" else "being undone"
    what = f"a fallback was {begun} (run {journal.run}) and is unfinished"
    return what, f"{where}resilience restore, or go on: resilience apply"
