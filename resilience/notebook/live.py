"""Show how a test run gets on in its section of the page, a few times a second at most."""

from __future__ import annotations

from time import monotonic

from resilience.core.words import seconds
from resilience.notebook.section import Section
from resilience.notebook.telling import COUNTS
from resilience.show import notebook as views
from resilience.suite.records import Progress

_REDRAW_S = 0.2
"""A page that is drawn at each test of a fast suite shows nothing but its own flicker."""


class LiveProgress:
    """Called with each progress of a test run; draws the first, and then what comes `_REDRAW_S` after the last drawn."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.drawn = float("-inf")

    def __call__(self, progress: Progress) -> None:
        now = monotonic()
        if now - self.drawn < _REDRAW_S:
            return
        self.drawn = now
        note = note_of(progress)
        html = views.progress_view(
            progress.counts,
            done=progress.finished,
            total=progress.collected,
            current=f"{progress.current} ({seconds(progress.current_s)})" if progress.current else progress.command,
            note=note,
            failures=progress.failures,
        )
        far = f"{progress.finished:,} of {progress.collected:,}" if progress.collected else progress.phase
        said = " · ".join(filter(None, (far, note if note != far else "")))
        self.section.show(html, f"{COUNTS}{said}")


def note_of(progress: Progress) -> str:
    """Return what is worth saying beside the counts: which command and round, what happens, how long it may take."""
    which = f"command {progress.number} of {progress.commands}" if progress.commands > 1 else ""
    again = f"round {progress.round}" if progress.round > 1 else ""
    doing = progress.note or (progress.phase if progress.phase != "running" else "")
    left = f"about {seconds(progress.eta_s)} left" if progress.eta_s else ""
    return " · ".join(filter(None, (which, again, doing, left)))
