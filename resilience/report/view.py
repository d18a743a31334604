"""Turn an incident and its samples into what every rendering shows, in words and numbers, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from resilience.core.records import (
    ConnectivityResult,
    ConnectivityStatus,
    Incident,
    InfrastructureHealth,
    Outcome,
    StageName,
    StageStatus,
    TestOutcome,
    TestSuiteResult,
    TimelineEvent,
    Verdict,
)
from resilience.core.words import (
    exit_code_phrase,
    fault_phrase,
    listing,
    plural,
    recovery_line,
    seconds,
    staging_line,
    totals_line,
    verdict_phrase,
)
from resilience.report.series import Columns, Line, Stats, Window, intervals, micros, moment, outage, remarkable, stats

PEOPLE = {
    "contributing-factors": "Contributing factors",
    "lessons": "What we learnt",
    "action-items": "Action items",
}
"""Sections that people write: the marker's name and the heading."""

UNWELL = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED, ConnectivityStatus.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the timeline."""

    at: datetime
    what: str
    detail: str = ""
    kind: str = "event"
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRow:
    """One service: how it was at the first look, how it is now, and why."""

    first: ConnectivityResult
    now: ConnectivityStatus
    since: datetime | None
    until: datetime | None
    down_s: float | None
    why: str
    stand_in: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRow:
    """One service's latency before, during and after the outage."""

    service: str
    before: Stats
    during: Stats
    after: Stats


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRow:
    """Where the seconds of one probe went; `rest_s` is spent waiting in the phase that did not end."""

    service: str
    which: str
    at: datetime
    status: ConnectivityStatus
    fault: str
    total_s: float
    parts: tuple[tuple[str, float], ...]
    rest_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeSpan:
    """How tests were run in this stretch of time."""

    mode: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TestGroup:
    """Tests that are shown together, and what that means."""

    key: str
    title: str
    meaning: str
    tests: tuple[TestOutcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteView:
    """One run of the suite."""

    title: str
    result: TestSuiteResult
    sentence: str
    totals: tuple[tuple[str, int], ...]
    groups: tuple[TestGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart as made: its files, what it shows in a sentence, and the same for those who cannot see it."""

    name: str
    title: str
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
    """One service on one day of the history: share of samples that were answered, and their p95."""

    day: str
    service: str
    availability: float
    p95_s: float | None
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything a rendering needs; all texts are already safe to leave."""

    incident: Incident
    columns: Columns
    title: str
    verdict: str
    verdict_kind: str
    """good, partial, bad or unknown: which sign stands before the verdict."""
    lines: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    figures: tuple[tuple[str, str, str], ...]
    """Label, value, and what it was reckoned from."""
    services: tuple[ServiceRow, ...]
    timeline: tuple[Row, ...]
    window: Window | None
    latency: tuple[LatencyRow, ...]
    phases: tuple[PhaseRow, ...]
    modes: tuple[ModeSpan, ...]
    suites: tuple[SuiteView, ...]
    starts_at: datetime
    ends_at: datetime
    people: Mapping[str, str] = field(default_factory=dict)
    past: tuple[PastRun, ...] = ()
    days: tuple[Day, ...] = ()
    missing: tuple[str, ...] = ()
    public: bool = False


def when(at: datetime | None, *, day: bool = False) -> str:
    """Return '03:14:07' or '2026-11-22 03:14:07', always UTC; '–' for None."""
    if at is None:
        return "–"
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S")


def span(value: timedelta | float | None) -> str:
    """Return a stretch of time in the two largest units: '12.4 s', '4 min 10 s', '1 h 48 min', '2 d 3 h'."""
    if value is None:
        return "–"
    total = value.total_seconds() if isinstance(value, timedelta) else value
    if total < 120:
        return seconds(total)
    if total < 3600:
        return f"{int(total // 60)} min {int(total % 60):02d} s"
    if total < 172_800:
        return f"{int(total // 3600)} h {int(total % 3600 // 60):02d} min"
    return f"{int(total // 86_400)} d {int(total % 86_400 // 3600)} h"


def percent(share: float | None) -> str:
    """Return '0 %', '0.3 %', '42 %', '100 %'; never '0 %' or '100 %' for what is not; '–' for None."""
    if share is None:
        return "–"
    value = share * 100
    if value in (0, 100):
        return f"{value:.0f} %"
    if value < 0.1:
        return "< 0.1 %"
    if value > 99.9:
        return "> 99.9 %"
    return f"{value:.1f} %" if value < 10 or value > 90 else f"{value:.0f} %"


def build(
    incident: Incident,
    columns: Columns,
    *,
    people: Mapping[str, str] | None = None,
    past: Sequence[PastRun] = (),
    days: Sequence[Day] = (),
    missing: Sequence[str] = (),
    public: bool = False,
) -> View:
    """Return what is to be shown. Whatever the incident lacks is left out or said to be unknown; nothing is raised."""
    lines = columns.staging()
    window = _window(incident, lines)
    starts, ends = _bounds(incident, columns, window)
    suites = _suites(incident)
    verdict, kind, sentences = _verdict(incident)
    return View(
        incident=incident,
        columns=columns,
        title=_title(incident, window),
        verdict=verdict,
        verdict_kind=kind,
        lines=sentences,
        facts=_facts(incident),
        figures=_figures(incident, lines, window, ends),
        services=_services(incident, lines),
        timeline=_timeline(incident, lines, window),
        window=window,
        latency=_latency(lines, window),
        phases=_phases(lines),
        modes=mode_spans(incident, starts, ends),
        suites=suites,
        starts_at=starts,
        ends_at=ends,
        people=dict(people or {}),
        past=tuple(past),
        days=tuple(days),
        missing=tuple(missing),
        public=public,
    )


def _title(incident: Incident, window: Window | None) -> str:
    drill = f"Drill “{incident.drill}”: " if incident.drill else ""
    at = moment(window.start) if window else incident.started_at
    what = "outage" if window or _unwell(incident.health) else "look"
    if incident.health and not window and not _unwell(incident.health):
        what = "all well"
    elif incident.health is None:
        what = "run without an assessment"
    return f"{drill}{incident.environment}, {what}, {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _unwell(health: InfrastructureHealth | None) -> bool:
    return health is not None and health.overall_status is not ConnectivityStatus.AVAILABLE


def _verdict(incident: Incident) -> tuple[str, str, tuple[str, ...]]:
    mode = incident.tests.mode if incident.tests else incident.decision.mode if incident.decision else None
    phrase = verdict_phrase(incident.verdict, mode)
    kind = {
        Verdict.PASSED: "good",
        Verdict.PASSED_ON_STAND_INS: "partial",
        Verdict.PRODUCT_FAILURES: "bad",
        Verdict.INFRASTRUCTURE_UNAVAILABLE: "bad",
        Verdict.RUNBOOK_FAILED: "bad",
        Verdict.TIMED_OUT: "bad",
    }.get(incident.verdict, "unknown")
    if incident.verdict is Verdict.RUNBOOK_FAILED:
        phrase = "THE RUNBOOK FAILED; nothing is known about your tests"
        if incident.tests is not None:
            phrase = "THE RUNBOOK FAILED; what was known until then is below"
    elif incident.verdict is Verdict.PASSED and incident.tests is None:
        phrase = "Looked only: no tests were run"
        kind = "unknown" if _unwell(incident.health) else "good"
    sentences = [_staging_sentence(incident), _tests_sentence(incident)]
    if incident.recovery is not None:
        sentences.append(recovery_line(incident.recovery) + ".")
    return phrase[0].upper() + phrase[1:] + ".", kind, tuple(s for s in sentences if s)


def _staging_sentence(incident: Incident) -> str:
    health = incident.health
    if health is None:
        return f"{incident.environment.upper()}: UNKNOWN (it was not assessed)."
    now = incident.latest
    line = staging_line(health)
    if incident.recovery is not None and incident.recovery.recovered and _unwell(health):
        back = incident.recovery.first_good_at
        since = f" since {when(back)} UTC" if back else ""
        down = [result.name for result in health.services if result.status in UNWELL]
        return f"{health.environment.upper()}: WAS {_word(health)} ({', '.join(down)}); UP again{since}."
    if now is not None and now.overall_status is not health.overall_status:
        return f"{line.rstrip('.')}. At the last look, {when(now.started_at)} UTC: {_word(now)}."
    return line.rstrip(".") + "."


def _word(health: InfrastructureHealth) -> str:
    return {"available": "UP", "unavailable": "DOWN"}.get(health.overall_status.value, health.overall_status.upper())


def _tests_sentence(incident: Incident) -> str:
    tests, decision = incident.tests, incident.decision
    if tests is None:
        if decision is not None and decision.blocked:
            return "TESTS: were held back; a critical service was down and nothing usable stood in for it."
        return "TESTS: were not run." if decision is not None else "TESTS: nothing is known about them."
    used = [one.service for one in incident.applied.stand_ins if one.ready] if incident.applied else []
    mode = f"(mode {tests.mode.value})"
    if used:
        return f"TESTS: ran on local stand-ins for {listing(used)} {mode}: {totals_line(tests.totals)}."
    where = "ran on real staging" if tests.mode.value == "full" else "ran a reduced selection"
    return f"TESTS: {where} {mode}: {totals_line(tests.totals)}."


def _facts(incident: Incident) -> tuple[tuple[str, str], ...]:
    vantage = incident.vantage
    decision = incident.decision
    rows = [
        ("Environment", incident.environment + (f" (drill “{incident.drill}”)" if incident.drill else "")),
        ("Started", f"{when(incident.started_at, day=True)} UTC"),
        ("Finished", f"{when(incident.finished_at, day=True)} UTC" if incident.finished_at else "not yet"),
        ("Seen from", f"{vantage.user}@{vantage.host}" + (f", {vantage.platform}" if vantage.platform else "")),
        ("Run", incident.run),
    ]
    if incident.incident_id:
        rows.append(("Incident", incident.incident_id))
    if incident.commit:
        rows.append(("Commit", incident.commit))
    if incident.issue:
        rows.append(("Issue", incident.issue))
    if decision is not None:
        asked = f", asked for by {decision.asked_by}" if decision.asked_by else ""
        rows.append(("Mode", decision.mode.value + asked))
    if incident.exit_code is not None:
        looked = not incident.applies and incident.tests is None
        phrase = exit_code_phrase(incident.exit_code, looked=looked)
        rows.append(("Exit code", f"{incident.exit_code} ({phrase})"))
    return tuple(rows)


def _window(incident: Incident, lines: Sequence[Line]) -> Window | None:
    started = micros(incident.outage_started_at) if incident.outage_started_at else None
    if started is None and _unwell(incident.health) and incident.health is not None:
        known = any(r.status in UNWELL[:2] for r in incident.health.services)
        started = micros(incident.health.started_at) if known else None
    back = incident.recovery.first_good_at if incident.recovery and incident.recovery.recovered else None
    return outage(lines, started=started, ended=micros(back) if back else None)


def _bounds(incident: Incident, columns: Columns, window: Window | None) -> tuple[datetime, datetime]:
    starts = [incident.started_at]
    ends = [incident.started_at + timedelta(seconds=1)]
    for line in columns.lines.values():
        if len(line):
            starts.append(moment(line.at[0]))
            ends.append(moment(line.at[-1]))
    if window:
        starts.append(moment(window.start))
    ends += [event.at for event in incident.timeline]
    ends += [stage.finished_at for stage in incident.stages if stage.finished_at and stage.name is not StageName.REPORT]
    if incident.restored is not None:
        ends.append(incident.restored.restored_at)
    return min(starts), max(ends)


def _figures(
    incident: Incident, lines: Sequence[Line], window: Window | None, ends: datetime
) -> tuple[tuple[str, str, str], ...]:
    if window is None:
        return ()
    start = moment(window.start)
    health = incident.health
    detected = health.started_at + timedelta(seconds=health.duration_s) if health else None
    rows = []
    if detected is not None:
        before = any(line.at[0] < window.start for line in lines if len(line))
        rows.append(
            (
                "Time to detect",
                span(max(detected - start, timedelta(0))),
                "first bad sample to the end of the assessment"
                if before
                else "counted from our own first look; when it began is not known",
            )
        )
    applied = incident.applied
    if applied is not None and not applied.failed:
        rows.append(
            (
                "Time to mitigate",
                span(max(applied.applied_at - start, timedelta(0))),
                "first bad sample to the fallback applied",
            )
        )
    if window.end is not None:
        end = moment(window.end)
        rows.append(("Time to recover", span(end - start), "first bad sample to the first of the lasting good ones"))
    else:
        rows.append(("Down so far", span(ends - start), "first bad sample to the last thing recorded"))
    rows += [
        (f"In mode {name}", span(total), "from applied to restored")
        for name, total in _time_by_mode(mode_spans(incident, start, ends)).items()
        if name not in ("full", NO_FALLBACK) and total.total_seconds() > 0
    ]
    return tuple(rows)


def _time_by_mode(spans: Sequence[ModeSpan]) -> dict[str, timedelta]:
    total: dict[str, timedelta] = {}
    for one in spans:
        total[one.mode] = total.get(one.mode, timedelta(0)) + (one.end - one.start)
    return total


NO_FALLBACK = "no fallback"


def mode_spans(incident: Incident, starts: datetime, ends: datetime) -> tuple[ModeSpan, ...]:
    """Return what was in force from `starts` to `ends`: no fallback until one was applied, and after it ended."""
    decision, applied = incident.decision, incident.applied
    if decision is None:
        return ()
    begin = applied.applied_at if applied else decision.decided_at
    mode = applied.mode if applied else decision.mode
    if incident.restored is not None and not incident.restored.nothing_to_do:
        finish = incident.restored.restored_at
    elif applied is None and incident.tests is not None:
        finish = incident.tests.started_at + timedelta(seconds=incident.tests.duration_s)
    else:
        finish = ends
    begin, finish = min(max(begin, starts), ends), max(min(finish, ends), min(max(begin, starts), ends))
    if mode.value == "full":
        return (ModeSpan(mode="full", start=starts, end=ends),)
    spans = (
        ModeSpan(mode=NO_FALLBACK, start=starts, end=begin),
        ModeSpan(mode=mode.value, start=begin, end=finish),
        ModeSpan(mode=NO_FALLBACK, start=finish, end=ends),
    )
    return tuple(one for one in spans if one.end > one.start)


def _services(incident: Incident, lines: Sequence[Line]) -> tuple[ServiceRow, ...]:
    if incident.health is None:
        return ()
    by_name = {line.service: line for line in lines}
    standing = {
        one.service: f"{one.provider}{f' {one.version}' if one.version else ''}, "
        + (one.endpoint if one.ready else f"did not come up: {one.error}")
        for one in (incident.applied.stand_ins if incident.applied else ())
    }
    rows = []
    for result in incident.health.services:
        latest = incident.latest.result(result.name) if incident.latest else None
        since = until = None
        down: float | None = None
        line = by_name.get(result.name)
        if line is not None and len(line):
            bad = [one for one in intervals(line) if one.status in UNWELL[:2]]
            if bad:
                since = moment(bad[0].start)
                until = moment(bad[-1].end) if line.status_at(len(line) - 1) not in UNWELL[:2] else None
                down = sum(one.end - one.start for one in bad) / 1e6
        elif result.status in UNWELL:
            since = result.started_at
        now = latest.status if latest else result.status
        if line is not None and len(line):
            now = line.status_at(len(line) - 1)
        rows.append(
            ServiceRow(
                first=result,
                now=now,
                since=since,
                until=until,
                down_s=down,
                why=fault_phrase(result),
                stand_in=standing.get(result.name, ""),
            )
        )
    order = {status: place for place, status in enumerate(UNWELL)}
    return tuple(sorted(rows, key=lambda row: (order.get(row.first.status, 9), not row.first.critical)))


def _timeline(incident: Incident, lines: Sequence[Line], window: Window | None) -> tuple[Row, ...]:
    rows = [
        Row(at=event.at, what=event.what, detail=event.detail, kind=event.kind, link=event.link or "incident.json")
        for event in incident.timeline
    ]
    told = {event.kind for event in incident.timeline} | {event.what.lower() for event in incident.timeline}

    def add(at: datetime | None, what: str, kind: str, detail: str = "", link: str = "incident.json") -> None:
        near = at is not None and any(row.what == what and abs(row.at - at) < timedelta(seconds=2) for row in rows)
        if at is not None and kind not in told and not near:
            rows.append(Row(at=at, what=what, detail=detail, kind=kind, link=link))

    for line in lines:
        for one in intervals(line):
            if one.status in UNWELL[:2]:
                fault = next((line.fault_at(i) for i in range(len(line)) if line.at[i] >= one.start), None)
                add_detail = fault.value if fault else "slow"
                word = "no longer answers" if one.status is ConnectivityStatus.UNAVAILABLE else "degrades"
                rows.append(
                    Row(
                        at=moment(one.start),
                        what=f"{line.service} {word}",
                        detail=f"{add_detail}, for {span((one.end - one.start) / 1e6)}",
                        kind="bad",
                        link="samples.csv",
                    )
                )
    rows = _few(rows)
    if window is not None:
        if window.end is not None:
            add(moment(window.end), "all services answer again", "well", link="samples.csv")
        if not lines:
            add(moment(window.start), "first bad sample", "bad", link="samples.csv")
    health = incident.health
    if health is not None:
        add(
            health.started_at + timedelta(seconds=health.duration_s),
            f"assessed: {incident.environment} is {health.overall_status.value}",
            "detected",
        )
    if incident.decision is not None:
        add(incident.decision.decided_at, f"mode {incident.decision.mode.value} chosen", "mode")
    if incident.applied is not None:
        names = ", ".join(one.service for one in incident.applied.stand_ins)
        add(incident.applied.applied_at, "fallback applied", "applied", names)
    for suite, title in (
        (incident.tests, "tests"),
        (incident.critical_tests, "critical tests on staging"),
        (incident.full_tests, "full suite on staging"),
    ):
        if suite is not None:
            start, end = ("tests_started", "tests_finished") if title == "tests" else (title, f"{title} end")
            add(suite.started_at, f"{title} started", start, link="logs/")
            finished = suite.started_at + timedelta(seconds=suite.duration_s)
            add(finished, f"{title} finished", end, totals_line(suite.totals), link="junit.xml")
    if incident.recovery is not None:
        finished = incident.recovery.started_at + timedelta(seconds=incident.recovery.duration_s)
        add(finished, "recovery confirmed" if incident.recovery.recovered else "no recovery yet", "recovered")
    if incident.restored is not None and not incident.restored.nothing_to_do:
        same = "every byte as before" if incident.restored.identical else "not as before: see below"
        add(incident.restored.restored_at, "environment restored", "restored", same)
    return tuple(sorted(rows, key=lambda row: row.at))


def _few(rows: list[Row]) -> list[Row]:
    """Fold the changes of a flapping service into its first and a count, so that the table stays a story."""
    by_service: dict[str, list[Row]] = {}
    kept = []
    for row in rows:
        if row.kind == "bad" and row.link == "samples.csv":
            by_service.setdefault(row.what.split(" ", 1)[0], []).append(row)
        else:
            kept.append(row)
    for service, changes in by_service.items():
        if len(changes) <= 6:
            kept += changes
            continue
        kept += changes[:2]
        kept.append(
            Row(
                at=changes[2].at,
                what=f"{service} flaps",
                detail=f"{len(changes) - 2} more bad stretches until {when(changes[-1].at)}",
                kind="bad",
                link="samples.csv",
            )
        )
    return kept


def _latency(lines: Sequence[Line], window: Window | None) -> tuple[LatencyRow, ...]:
    rows = []
    for line in lines:
        if window is None:
            none = Stats(samples=0, lost=0)
            rows.append(LatencyRow(service=line.service, before=stats(line), during=none, after=none))
            continue
        rows.append(
            LatencyRow(
                service=line.service,
                before=stats(line, None, window.start),
                during=stats(line, window.start, window.end),
                after=stats(line, window.end, None) if window.end is not None else Stats(samples=0, lost=0),
            )
        )
    return tuple(rows)


def _phases(lines: Sequence[Line]) -> tuple[PhaseRow, ...]:
    rows = []
    for line in lines:
        for which, index in sorted(remarkable(line).items()):
            phases = line.phases_at(index)
            parts = tuple(
                (name, value)
                for name, value in (
                    ("dns", phases.dns_s),
                    ("tcp", phases.tcp_s),
                    ("tls", phases.tls_s),
                    ("first byte", phases.first_byte_s),
                    ("query", phases.query_s),
                )
                if value is not None
            )
            total = line.seconds_at(index) or 0.0
            fault = line.fault_at(index)
            rows.append(
                PhaseRow(
                    service=line.service,
                    which=which,
                    at=moment(line.at[index]),
                    status=line.status_at(index),
                    fault=fault.value if fault else "",
                    total_s=total,
                    parts=parts,
                    rest_s=max(total - sum(value for _, value in parts), 0.0),
                )
            )
    return tuple(rows)


TOTALS = (
    "passed",
    "failed",
    "error",
    "timeout",
    "infrastructure_unavailable",
    "stand_in_gap",
    "not_run",
    "skipped",
    "xfailed",
    "xpassed",
    "deselected",
)


def outcome_name(name: str) -> str:
    """Return an outcome's value as one reads it."""
    return name.replace("stand_in", "stand-in").replace("_", " ")


def _suites(incident: Incident) -> tuple[SuiteView, ...]:
    found = []
    for title, result in (
        ("Tests", incident.tests),
        ("Critical tests on staging, after recovery", incident.critical_tests),
        ("Full suite on staging, after recovery", incident.full_tests),
    ):
        if result is not None:
            counts = tuple((name, getattr(result.totals, name)) for name in TOTALS)
            found.append(
                SuiteView(
                    title=title,
                    result=result,
                    sentence=f"{verdict_phrase(result.verdict, result.mode)}. {totals_line(result.totals)}.",
                    totals=tuple((name, count) for name, count in counts if count),
                    groups=groups(result),
                )
            )
    return tuple(found)


def held_back(test: TestOutcome) -> bool:
    """Say whether a test lost to infrastructure was never started, as against one that ran and failed from it."""
    return test.rounds == 0


def groups(result: TestSuiteResult) -> tuple[TestGroup, ...]:
    """Return the tests worth reading, the product's failures first; plain passes and skips are only counted."""
    tests = result.tests
    unavailable = [test for test in tests if test.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE]
    product = [test for test in tests if test.outcome in (Outcome.FAILED, Outcome.ERROR)]
    candidates = (
        (
            "product",
            "Product failures",
            "These failed for reasons of the code under test, not of the outage.",
            [test for test in product if not test.suspect],
        ),
        (
            "suspect",
            "Suspects",
            "Counted as product failures, though the error smells of infrastructure while the probe was green.",
            [test for test in product if test.suspect],
        ),
        (
            "timeout",
            "Timed out",
            "Stopped at their time limit; why is not known.",
            [test for test in tests if test.outcome is Outcome.TIMEOUT],
        ),
        (
            "ran",
            "Failed from infrastructure",
            "These ran and failed only because a service was not there: nothing is known about the code.",
            [test for test in unavailable if not held_back(test)],
        ),
        (
            "held",
            "Held back",
            "These were not started, because a service that they need was not there: nothing is known about them.",
            [test for test in unavailable if held_back(test)],
        ),
        (
            "gap",
            "Gaps of the stand-ins",
            "Something is missing on a stand-in that staging has: nothing is known about them.",
            [test for test in tests if test.outcome is Outcome.STAND_IN_GAP],
        ),
        (
            "not_run",
            "Not run",
            "Never reached: the run ended before them.",
            [test for test in tests if test.outcome is Outcome.NOT_RUN],
        ),
        (
            "retried",
            "Passed on a later round",
            "Lost to infrastructure at first, then passed after a probe said that the service was back.",
            [test for test in tests if test.outcome is Outcome.PASSED and test.rounds > 1],
        ),
    )
    return tuple(
        TestGroup(key=key, title=title, meaning=meaning, tests=tuple(found))
        for key, title, meaning, found in candidates
        if found
    )


def failed_stages(incident: Incident) -> tuple[str, ...]:
    """Return a sentence for each stage that did not finish, with its hint."""
    bad = (StageStatus.FAILED, StageStatus.KILLED, StageStatus.TIMED_OUT, StageStatus.INTERRUPTED)
    return tuple(
        f"{stage.name.value} {stage.status.value.replace('_', ' ')}"
        + (f": {stage.error}" if stage.error else "")
        + (f" Hint: {stage.hint}" if stage.hint else "")
        for stage in incident.stages
        if stage.status in bad
    )


def counts(count: int, noun: str) -> str:
    """Return '1 test', '2 tests' for templates."""
    return plural(count, noun)


def event_marks(view: View) -> tuple[TimelineEvent, ...]:
    """Return the few events worth a line across a chart: mode chosen, fallback, tests, recovery, restored."""
    wanted = {"mode", "applied", "tests_started", "tests_finished", "recovered", "restored"}
    return tuple(
        TimelineEvent(at=row.at, what=row.what, kind=row.kind)
        for row in view.timeline
        if row.kind in wanted and view.starts_at <= row.at <= view.ends_at
    )
