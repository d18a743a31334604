"""Say which history a question goes to, the shared one where hosts share one and it answers, and do what is done to a whole one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from resilience.core.errors import ResilienceError, UsageError
from resilience.core.redact import Redactor
from resilience.core.settings import Settings
from resilience.host.demand import on_demand
from resilience.runs import memory
from resilience.runs.history import History
from resilience.runs.merging import Merged, merge

with on_demand():
    from resilience.runs import shared

_SQLITE = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A history, what to call it in a sentence, and why it is not the shared one where that did not answer."""

    history: History
    name: str
    why: str = ""


@contextlib.contextmanager
def chosen(settings: Settings, *, or_own: bool = True) -> Iterator[Chosen]:
    """Open the history that hosts share, where one is configured; else this checkout's, which is made where there is none.

    With `or_own` a shared one that does not answer is replaced by this checkout's, with the reason. Raises HistoryError.
    """
    redact = Redactor(settings.secrets).text
    why = ""
    if settings.history.shared and not settings.drill:
        try:
            theirs = shared.SharedHistory(settings.history.shared.reveal(), redact=redact)
        except ResilienceError as exc:
            if not or_own:
                raise
            why = exc.message
        else:
            with theirs:
                yield Chosen(history=theirs, name="the shared history")
            return
    path = memory.history_file(settings)
    with History(path, redact=redact) as own:
        yield Chosen(history=own, name=path.name, why=why)


def take(settings: Settings, source: Path) -> tuple[Merged, str]:
    """Add what a history's file or an outputs folder holds; return what was new and to which history.

    Raises UsageError for what is neither, HistoryError and sqlite3.Error.
    """
    if source.is_dir():
        with chosen(settings, or_own=False) as here:
            before = len(here.history.runs(limit=1_000_000))
            samples = here.history.import_folder(source)
            after = len(here.history.runs(limit=1_000_000))
            return Merged(samples=samples, runs=after - before), here.name
    try:
        with source.open("rb") as file:
            known = file.read(len(_SQLITE)) == _SQLITE
    except OSError as exc:
        raise UsageError(
            f"{source}: {exc.strerror or exc}.", hint="resilience history import outputs/history.sqlite"
        ) from exc
    if not known:
        raise UsageError(
            f"{source} is no history (SQLite's first bytes are not there).",
            hint="resilience history import outputs/history.sqlite, or an outputs folder",
        )
    with History(source) as theirs, chosen(settings, or_own=False) as here:
        if here.history.is_in(source):
            raise UsageError(f"{source} is this checkout's own history.", hint="resilience history")
        return merge(theirs, here.history), here.name


def export(settings: Settings, target: Path) -> tuple[Merged, str]:
    """Write the whole history into a new file, in the state of one moment; return what is in it and of which history.

    Raises UsageError where the file is there, HistoryError and sqlite3.Error.
    """
    if target.exists():
        raise UsageError(
            f"{target} is there already.", hint=f"resilience history export {target.with_suffix('.new.sqlite')}"
        )
    with chosen(settings, or_own=False) as here, History(target) as copy:
        return merge(here.history, copy), here.name


def prune(settings: Settings, keep_days: float) -> tuple[int, str]:
    """Forget samples that are older than this; return how many went and of which history."""
    with chosen(settings, or_own=False) as here:
        return here.history.prune(keep_days), here.name
