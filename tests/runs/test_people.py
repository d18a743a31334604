"""resilience.runs.people: a time a person types, a note and an acknowledgement that the history keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resilience.core.errors import UsageError
from resilience.core.records import Sample
from resilience.core.secret import Secret
from resilience.report.view.impact import told
from resilience.runs import memory
from resilience.runs.history import History
from resilience.runs.people import acknowledge, author, note, when
from resilience.runs.runbook import Run
from tests.kits.records import S
from tests.kits.run_kit import an_incident, settings_of

NOW = datetime(2026, 11, 22, 3, 14, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "at"),
    [
        ("", NOW),
        ("03:10", datetime(2026, 11, 22, 3, 10, tzinfo=UTC)),
        ("3:10:05", datetime(2026, 11, 22, 3, 10, 5, tzinfo=UTC)),
        ("03:10Z", datetime(2026, 11, 22, 3, 10, tzinfo=UTC)),
        ("23:50", datetime(2026, 11, 21, 23, 50, tzinfo=UTC)),
        ("2026-11-20T01:02", datetime(2026, 11, 20, 1, 2, tzinfo=UTC)),
        ("2026-11-22T04:10+01:00", datetime(2026, 11, 22, 3, 10, tzinfo=UTC)),
    ],
)
def test_a_time_is_of_utc_and_in_the_past(typed: str, at: datetime) -> None:
    assert when(typed, NOW) == at


@pytest.mark.parametrize("typed", ["25:00", "noon", "2026-13-01", "2026-11-22T03:15Z"])
def test_what_is_no_time_or_still_to_come_is_refused(typed: str) -> None:
    with pytest.raises(UsageError, match="--at"):
        when(typed, NOW)


def test_a_note_is_redacted_signed_and_stands_in_the_report_of_its_outage(team: Path) -> None:
    settings = replace(settings_of(team), secrets=(Secret("hunter2-hunter2"),))
    now = datetime.now(UTC)
    run = Run.create(settings, slug="x")
    down = Sample(at=now - timedelta(minutes=3), service="backend_api", status=S.UNAVAILABLE, response_time_s=1.0)
    run.add_samples([down])
    name = note(settings, "restarted the connector with hunter2-hunter2", at=now - timedelta(minutes=1))
    assert name.startswith("staging-")
    run.report(charts=False)
    for file in ("report.md", "report.html"):
        text = (run.folder / file).read_text()
        assert "restarted the connector with ***" in text, file
        assert author().partition("@")[0] in text, file
        assert "hunter2" not in text, file


def test_a_note_without_an_outage_stands_in_the_report_of_the_run_that_went_on(team: Path) -> None:
    settings = settings_of(team)
    run = Run.create(settings, slug="x")
    assert note(settings, "nothing seen yet") == ""
    run.report(charts=False)
    assert "nothing seen yet" in (run.folder / "report.md").read_text()
    later = Run.create(settings, slug="y")
    later.report(charts=False)
    assert "nothing seen yet" not in (later.folder / "report.md").read_text()


def test_an_empty_note_is_refused(team: Path) -> None:
    with pytest.raises(UsageError, match="needs a text"):
        note(settings_of(team), "  ")


def test_nothing_can_be_acknowledged_where_no_outage_is_known(team: Path) -> None:
    settings = settings_of(team)
    with pytest.raises(UsageError, match="no outage"):
        acknowledge(settings)
    assert not settings.outputs.exists()
    memory.record(settings, an_incident(), ())
    with pytest.raises(UsageError, match="no outage"):
        acknowledge(settings)


def test_an_acknowledgement_is_on_the_timeline_too(team: Path) -> None:
    settings = settings_of(team)
    run = Run.create(settings, slug="x")
    run.add_samples([Sample(at=datetime.now(UTC), service="backend_api", status=S.UNAVAILABLE, response_time_s=1.0)])
    done = acknowledge(settings, "on it", for_s=600)
    assert done.until is not None
    with History(settings.outputs / "history.sqlite") as kept:
        (event,) = kept.noted(run.incident)
    assert (event.what, event.detail) == ("acknowledged", f"on it (by {author()})")


def test_what_is_taken_back_is_not_on_the_timeline_as_taken_once_more(team: Path) -> None:
    settings = settings_of(team)
    run = Run.create(settings)
    run.add_samples([Sample(at=datetime.now(UTC), service="backend_api", status=S.UNAVAILABLE, response_time_s=1.0)])
    acknowledge(settings, "on it")
    acknowledge(settings, for_s=0)
    with History(settings.outputs / "history.sqlite") as kept:
        events = kept.noted(run.incident)
    assert [event.what for event in events] == ["acknowledged", "acknowledgement taken back"]
    assert told(replace(run.incident, timeline=events)).count("taken at") == 1
