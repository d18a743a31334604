"""Turn what this checkout's journal says is applied into the banner at the top of a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from resilience.core.errors import RecordError
from resilience.core.moments import clock
from resilience.core.words import listing
from resilience.fallback import journal as journals
from resilience.host.vantage import vantage
from resilience.show import notebook as views


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """What is applied here. `line` is empty where nothing is; `offered`: to go on, or undo it.

    `word` and `below` say it in a field of the strip. `other_run`: by another run than the page's.
    """

    line: str = ""
    detail: str = ""
    hint: str = ""
    offered: bool = False
    word: str = ""
    below: str = ""
    other_run: bool = False
    damaged: bool = False

    @property
    def html(self) -> str:
        if not self.line:
            return ""
        return views.head(self.line) + views.box(self.detail, kind="warn", hint=self.hint)

    @property
    def text(self) -> str:
        return f"{self.line}. {self.detail}" if self.line else ""


def banner(state: Path, folder: Path, *, now: datetime) -> Banner:
    """Return what is applied in the checkout with this state folder, as seen from the run in this folder.

    It is read from the journal, the one thing that outlives a kernel: the page may be a day old, or another's. On another
    host nothing is offered, for only there can it be undone.
    """
    try:
        journal = journals.load(state)
    except RecordError as exc:
        return Banner(
            line="APPLIED, but its undo data cannot be read",
            detail=exc.message,
            hint=exc.hint,
            word="not known",
            below="its undo data cannot be read",
            damaged=True,
        )
    if journal is None:
        return Banner()
    word = "APPLIED" if journal.status == "applied" else "HALF APPLIED"
    since = f"since {journal.started_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC ({_ago(journal.started_at, now)})"
    line = f"{word} by run {journal.run} {since}: mode {journal.mode}"
    below = f"mode {journal.mode} · since {clock(journal.started_at, now=now)} by {journal.user}"
    on = f"stand-ins for {listing(journal.stand_ins)}" if journal.stand_ins else "no stand-ins"
    files = ", ".join(Path(file.path).name for file in journal.files)
    what = f"By {journal.user}@{journal.host}; {on}; written: {files or 'nothing yet'}."
    if journal.host != vantage().host:
        elsewhere = f"{what} It can be undone only on that host."
        there = f"{below} on {journal.host}"
        return Banner(
            line=line, detail=elsewhere, hint=f"on {journal.host}: resilience restore", word=word.lower(), below=there
        )
    here = Path(journal.folder) == folder if journal.folder else False
    whose = "This page goes on with that run." if here else "This page works on another run: Go on takes up that one."
    return Banner(
        line=line,
        detail=f"{what} {whose}",
        hint="resilience restore",
        offered=True,
        word=word.lower(),
        below=below,
        other_run=not here,
    )


def _ago(then: datetime, now: datetime) -> str:
    minutes = max(0, int((now - then).total_seconds() // 60))
    if minutes < 1:
        return "just now"
    return f"{minutes} min ago" if minutes < 120 else f"{minutes // 60} h ago"
