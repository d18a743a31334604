"""Turn an incident and its samples into what every rendering shows, in words and numbers, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from resilience.core.marks import Tone
from resilience.core.records import Incident, Task, Verdict
from resilience.core.tasks import left_to_do
from resilience.report.series import Columns, Window
from resilience.report.view.figures import figures
from resilience.report.view.headline import facts, title, verdict
from resilience.report.view.impact import impact, longest
from resilience.report.view.latency import LatencyRow, PhaseRow, latency, phases
from resilience.report.view.modes import ModeSpan, mode_spans
from resilience.report.view.review import review
from resilience.report.view.services import ServiceRow, services
from resilience.report.view.suites import SuiteView, suites
from resilience.report.view.taught import TaughtRow, taught
from resilience.report.view.timeline import Row, timeline
from resilience.report.view.window import bounds, window_of


class Section(StrEnum):
    """Where on the page a chart stands, from the top."""

    STATUS = "status"
    TESTS = "tests"
    TIMELINE = "timeline"
    LATENCY = "latency"
    LATENCY_DETAILS = "latency_details"
    HISTORY = "history"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart as made: its files, what it shows in a sentence, and the same for those who cannot see it."""

    name: str
    title: str
    section: Section
    sentence: str
    alt: str
    svg: str = ""
    svg_narrow: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """An earlier run of the same incident."""

    run: str
    started_at: datetime
    host: str
    verdict: str
    mode: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One service on one day of the history: share of samples that were answered, and how fast.

    `day` is a date of UTC as 2026-11-22, `availability` 0 to 1. A day without samples has no record.
    """

    day: str
    service: str
    availability: float
    p95_s: float | None
    samples: int
    p50_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything a rendering needs; all texts are already safe to leave.

    Renderings differ in form and never in words or numbers: what two of them show is computed here, once.
    """

    incident: Incident
    columns: Columns
    title: str
    verdict: str
    verdict_kind: Tone
    """Which sign stands before the verdict."""
    lines: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    figures: tuple[tuple[str, str, str], ...]
    """Label, value, and what it was counted from."""
    services: tuple[ServiceRow, ...]
    timeline: tuple[Row, ...]
    window: Window | None
    latency: tuple[LatencyRow, ...]
    phases: tuple[PhaseRow, ...]
    modes: tuple[ModeSpan, ...]
    suites: tuple[SuiteView, ...]
    starts_at: datetime
    ends_at: datetime
    tasks: tuple[Task, ...] = ()
    """What is left to do, what is open first."""
    longest: str = ""
    impact: tuple[tuple[str, str], ...] = ()
    review: tuple[tuple[str, str, str], ...] = ()
    """Label, value, and what to type where the value is empty."""
    taught: tuple[TaughtRow, ...] = ()
    """What the stand-ins of the test run had been taught."""
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Where in which log a test's failure stands, by its id."""
    people: Mapping[str, str] = field(default_factory=dict)
    past: tuple[PastRun, ...] = ()
    days: tuple[Day, ...] = ()
    recalled: tuple[tuple[str, str], ...] = ()
    """What the history says of the outage: its cost so far, and how often it came before."""
    missing: tuple[str, ...] = ()
    public: bool = False


def without_end(view: View) -> View:
    """Return the same view of a run that still goes on, as its record on the disk says while the report is made."""
    incident = replace(view.incident, verdict=Verdict.RUNNING, exit_code=None, command=None, finished_at=None)
    phrase, kind, sentences = verdict(incident, longest=view.longest)
    return replace(
        view,
        incident=incident,
        verdict=phrase,
        verdict_kind=kind,
        lines=sentences,
        facts=(*facts(incident), *view.recalled),
    )


def build(
    incident: Incident,
    columns: Columns,
    *,
    people: Mapping[str, str] | None = None,
    past: Sequence[PastRun] = (),
    days: Sequence[Day] = (),
    recalled: Sequence[tuple[str, str]] = (),
    missing: Sequence[str] = (),
    public: bool = False,
    places: Mapping[str, tuple[str, int]] | None = None,
) -> View:
    """Return what is to be shown. Whatever the incident lacks is left out or said to be unknown; nothing is raised."""
    lines = columns.staging()
    window = window_of(incident, lines)
    starts, ends = bounds(incident, columns, window)
    rows = services(incident, lines)
    worst = longest(rows)
    phrase, kind, sentences = verdict(incident, longest=worst)
    return View(
        incident=incident,
        columns=columns,
        title=title(incident, window),
        verdict=phrase,
        verdict_kind=kind,
        lines=sentences,
        facts=(*facts(incident), *recalled),
        figures=figures(incident, lines, window, ends),
        services=rows,
        longest=worst,
        tasks=left_to_do(incident, before=incident.left_to_do),
        impact=impact(incident, rows, lines, window, ends),
        review=review(incident, lines, window),
        taught=taught(incident),
        places=dict(places or {}),
        timeline=timeline(incident, lines, window),
        window=window,
        latency=latency(lines, window),
        phases=phases(lines),
        modes=mode_spans(incident, starts, ends),
        suites=suites(incident),
        starts_at=starts,
        ends_at=ends,
        people=dict(people or {}),
        past=tuple(past),
        recalled=tuple(recalled),
        days=tuple(days),
        missing=tuple(missing),
        public=public,
    )
