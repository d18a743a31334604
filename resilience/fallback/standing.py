"""Turn a journal, dead stand-ins and a killed run into the situation that decides what is to be done next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from resilience.core.next_steps import Situation
from resilience.fallback.journal import Journal
from resilience.host.vantage import vantage


def situation_of(
    journal: Journal | None, dead: Sequence[str], *, killed: str = "", configured: bool = True, left_behind: str = ""
) -> Situation:
    """Return what a journal, or a file without one, dead stand-ins and a killed run mean for the next step."""
    if journal is None:
        return Situation(killed=killed, configured=configured, left_behind=left_behind)
    folder = Path(journal.folder)
    return Situation(
        fallback="unfinished" if journal.unfinished else "applied",
        elsewhere="" if is_here(journal) else journal.host,
        killed=killed,
        run=f"{folder.parent.name}/{folder.name}",
        dead=tuple(dead),
        configured=configured,
    )


def is_here(journal: Journal) -> bool:
    return journal.host == vantage().host
