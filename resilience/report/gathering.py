"""Gather what a report shows: the run's records, its samples, the earlier runs of the incident, and what people wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from resilience.core.errors import SecretLeakError
from resilience.core.records import Incident, Sample, TimelineEvent
from resilience.report.losses import Losses
from resilience.report.people import written_by_people
from resilience.report.places import places
from resilience.report.series import Columns
from resilience.report.texts import Redacts, redacted
from resilience.report.view import Day, PastRun, View, build
from resilience.report.writing import publish


class Past(Protocol):
    """What a report asks of the history (`resilience.runs.history.History`)."""

    def incident_of(self, incident: Incident) -> str: ...

    def incident_runs(self, incident_id: str) -> Iterable[PastRun]: ...

    def incident_samples(self, incident_id: str, *, except_run: str = "") -> Iterable[Sample]: ...

    def noted(self, incident: Incident) -> Iterable[TimelineEvent]: ...

    def days(self, environment: str, *, until: datetime, days: int = 30) -> Iterable[Day]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a report comes from. `redactor` None: nothing is secret; `public`: names of ours become pseudonyms.

    `samples` may be a generator: they are read once. `folder` is the run's, with the report.md of before.
    """

    incident: Incident
    samples: Iterable[Sample] | Columns
    folder: Path
    redactor: Redacts | None
    history: Past | None = None
    recalled: Sequence[tuple[str, str]] = ()
    """What the history says of the outage's past, label and value."""
    public: bool = False


def gather(sources: Sources, losses: Losses) -> View:
    """Return the view of all that could be read, each text passed through the redactor; what could not is a loss.

    A damaged or locked history, samples that cannot be read and a report.md that lost its marks each cost only themselves.
    """
    text = losses.text
    incident = redacted(_joined(sources, losses), text)
    people = _people(sources, losses)
    columns = _columns(sources, incident, losses)
    if sources.redactor is not None:
        columns = _renamed(columns, text)
    past, days = _past(sources.history, incident, losses)
    recalled = tuple((label, text(value)) for label, value in sources.recalled)
    found = _places(sources, incident, losses)
    return build(
        incident,
        columns,
        people=people,
        past=past,
        days=days,
        recalled=recalled,
        public=sources.public,
        places=found,
    )


def _places(sources: Sources, incident: Incident, losses: Losses) -> dict[str, tuple[str, int]]:
    suites = (incident.tests, incident.critical_tests, incident.full_tests)
    try:
        return places(sources.folder, [suite for suite in suites if suite is not None])
    except Exception as exc:  # noqa: BLE001 - a log that cannot be read must not cost the report
        losses.lost("places in the logs", exc)
        return {}


def passes(redactor: Redacts | None, *, public: bool) -> Callable[[str], str]:
    """Return what each text is passed through before it leaves."""
    if redactor is None:
        return _same
    return redactor.public if public else redactor.text


def _same(text: str) -> str:
    return text


def _joined(sources: Sources, losses: Losses) -> Incident:
    """Return the incident with the id of the outage it belongs to, and with what people noted of it, as the history knows."""
    incident, history = sources.incident, sources.history
    if history is None:
        return incident
    try:
        known = history.incident_of(incident)
    except Exception as exc:  # noqa: BLE001 - a damaged or locked history must not cost the report
        losses.lost("history", exc)
        return incident
    incident = replace(incident, incident_id=known) if known else incident
    try:
        notes = tuple(history.noted(incident))
    except Exception as exc:  # noqa: BLE001 - a damaged or locked history must not cost the report
        losses.lost("notes of people (history)", exc)
        return incident
    return replace(incident, timeline=tuple(sorted((*incident.timeline, *notes), key=lambda event: event.at)))


def _columns(sources: Sources, incident: Incident, losses: Losses) -> Columns:
    """Return the samples of the incident's earlier runs and of this one behind them.

    Each that cannot be read is a loss.
    """
    earlier = Columns()
    if sources.history is not None and incident.incident_id:
        try:
            earlier = Columns.of(sources.history.incident_samples(incident.incident_id, except_run=incident.run))
        except Exception as exc:  # noqa: BLE001 - a damaged or locked history must not cost the report
            losses.lost("samples of earlier runs of this incident (history)", exc)
    try:
        return Columns.of(sources.samples).after(earlier)
    except Exception as exc:  # noqa: BLE001 - samples that cannot be read must not cost the rest
        losses.lost("samples", exc)
        return earlier


def _past(history: Past | None, incident: Incident, losses: Losses) -> tuple[tuple[PastRun, ...], tuple[Day, ...]]:
    """Return the runs of the same incident and the last 30 days, redacted; none of either where the history fails."""
    if history is None:
        return (), ()
    runs: tuple[PastRun, ...] = ()
    days: tuple[Day, ...] = ()
    try:
        if incident.incident_id:
            runs = tuple(redacted(run, losses.text) for run in history.incident_runs(incident.incident_id))
        until = incident.finished_at or incident.started_at
        days = tuple(redacted(day, losses.text) for day in history.days(incident.environment, until=until))
    except Exception as exc:  # noqa: BLE001 - a damaged or locked history must not cost the report
        losses.lost("history of runs", exc)
    return runs, days


def _people(sources: Sources, losses: Losses) -> Mapping[str, str]:
    """Return what people wrote into the report.md of before; where marks are gone that file is kept under another name."""
    try:
        before = (sources.folder / "report.md").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as exc:
        losses.lost("what people wrote into the report.md of before", exc)
        return {}
    found, whole = written_by_people(before)
    if not whole:
        try:
            publish(sources.folder / "report.previous.md", before, sources.redactor)
            losses.say(
                "some marks around what people wrote were gone; the file of before is kept as report.previous.md"
            )
        except (OSError, SecretLeakError) as exc:
            losses.lost("report.previous.md", exc)
    return {key: "\n".join(losses.text(line) for line in text.splitlines()) for key, text in found.items()}


def _renamed(columns: Columns, text: Callable[[str], str]) -> Columns:
    """Pass service names and stages through the redactor too: they come from files that anyone may write."""
    for line in columns.lines.values():
        line.service, line.target = text(line.service), text(line.target)
    columns.stages = [text(stage) for stage in columns.stages]
    return columns
