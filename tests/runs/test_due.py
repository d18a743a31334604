"""A scheduled job teaches and rehearses when it is due, and does nothing in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resilience.core.settings import Settings
from resilience.core.taught import Drift, Fidelity
from resilience.runs.configuration import load_settings
from resilience.runs.due import lesson_due, rehearsal_due
from resilience.teach.store import Generation, Store
from tests.kits.taught_kit import Staging, project

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    staging = Staging()
    staging.port = 9
    monkeypatch.chdir(project(tmp_path / "team", staging))
    return load_settings(None)


def write(store: Store, source: str, hours: float) -> Generation:
    at = (NOW - timedelta(hours=hours)).isoformat()
    with store.lesson():
        return store.write("backend_api", {"at": at, "source": source}, {"a": b""})


def test_a_lesson_is_due_where_none_was_within_the_hours_that_are_configured(settings: Settings) -> None:
    store = Store(settings.state)
    assert lesson_due(settings, store, NOW)
    write(store, "traffic", 1)
    assert lesson_due(settings, store, NOW), "what tests teach is no lesson of the job's"
    write(store, "routes", 25)
    assert lesson_due(settings, store, NOW)
    store.note_drift("backend_api", Drift(at=NOW - timedelta(hours=23), checked=1))
    assert not lesson_due(settings, store, NOW)
    write(store, "contract", 1)
    assert not lesson_due(settings, store, NOW + timedelta(hours=22))
    assert lesson_due(settings, store, NOW + timedelta(hours=24))


def test_a_rehearsal_is_due_after_each_lesson_of_the_tests_and_each_week(settings: Settings) -> None:
    store = Store(settings.state)
    write(store, "routes", 1)
    assert not rehearsal_due(settings, store, NOW)
    made = write(store, "traffic", 1)
    assert rehearsal_due(settings, store, NOW)
    store.note_fidelity(made, Fidelity(at=NOW, same=1, ran=1), ("a",))
    assert not rehearsal_due(settings, store, NOW + timedelta(days=7))
    assert rehearsal_due(settings, store, NOW + timedelta(days=8))
    write(store, "traffic", 0)
    assert rehearsal_due(settings, store, NOW)


def test_nothing_is_due_where_nothing_teaches(settings: Settings) -> None:
    silent = replace(settings, services=tuple(replace(one, teach=()) for one in settings.services))
    assert not lesson_due(silent, Store(settings.state), NOW)
    assert not rehearsal_due(silent, Store(settings.state), NOW)
