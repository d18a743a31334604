"""Pruning: old samples go, those of an outage later, the record stays, and nobody waits for it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resilience.core.records import Incident, Sample
from resilience.core.settings import HistorySettings
from resilience.runs.history import History
from resilience.runs.runbook import Run
from tests.kits.run_kit import settings_of
from tests.runs.test_history import START, sample, well

DAY = timedelta(days=1)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "history.sqlite") as found:
        yield found


def at_day(day: int, *, bad: bool = False, count: int = 1) -> tuple[list[Sample], Incident]:
    start = START + day * DAY
    return [sample(start + timedelta(seconds=n), bad=bad) for n in range(count)], well(f"day {day}", at=start)


def counts(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as database:
        return {
            name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("sample", "minute", "run", "incident")
        }


@pytest.mark.parametrize(
    ("age", "bad", "samples", "minutes"),
    [
        (29, False, 1, 1), (31, False, 0, 1), (89, False, 0, 1), (91, False, 0, 0),
        (31, True, 1, 1), (119, True, 1, 0), (121, True, 0, 0),
    ],
)  # fmt: skip
def test_samples_go_by_age_those_of_an_incident_later_and_the_record_stays(
    kept: History, age: int, bad: bool, samples: int, minutes: int
) -> None:
    kept.record(*at_day(0, bad=bad))
    assert kept.prune(30, now=START + age * DAY) == 1 - samples
    assert counts(kept.path) == {"sample": samples, "minute": minutes, "run": 1, "incident": int(bad)}


def test_what_is_too_much_goes_oldest_first_and_never_the_newest_run(kept: History) -> None:
    kept.record(*at_day(0, bad=True, count=3000))
    for day in range(1, 4):
        kept.record(*at_day(day * 10, count=3000))
    assert kept.prune(3650, now=START + 31 * DAY) == 0
    assert kept.prune(3650, now=START + 31 * DAY, max_bytes=1, budget_s=30) == 9000
    assert counts(kept.path) == {"sample": 3000, "minute": 200, "run": 4, "incident": 1}
    with closing(sqlite3.connect(kept.path)) as database:
        names = database.execute("SELECT DISTINCT name FROM sample JOIN run ON run.id = sample.run").fetchall()
    assert names == [("day 30",)]


def test_samples_of_an_incident_go_last_where_the_file_is_too_large(kept: History) -> None:
    kept.record(*at_day(0, bad=True, count=5000))
    kept.record(*at_day(10, count=5000))
    kept.record(*at_day(20))
    size = kept.path.stat().st_size + kept.path.with_name("history.sqlite-wal").stat().st_size
    assert kept.prune(3650, now=START + 21 * DAY, max_bytes=size * 3 // 5, budget_s=30) == 5000
    with closing(sqlite3.connect(kept.path)) as database:
        names = {name for (name,) in database.execute("SELECT name FROM sample JOIN run ON run.id = sample.run")}
    assert names == {"day 0", "day 20"}


def test_the_file_gives_back_what_it_does_not_need(kept: History) -> None:
    kept.record(*at_day(0, count=20_000))
    kept._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = kept.path.stat().st_size
    assert kept.prune(30, now=START + 100 * DAY, budget_s=30) == 20_000
    kept._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert kept.path.stat().st_size < before / 4


def test_it_stops_when_its_time_is_over_and_goes_on_the_next_time(kept: History) -> None:
    for day in range(5):
        kept.record(*at_day(day, count=100))
    gone = [kept.prune(30, now=START + 60 * DAY, budget_s=0) for _ in range(6)]
    assert gone == [100, 100, 100, 100, 100, 0]


def test_a_report_forgets_what_the_configuration_keeps_no_longer(team: Path) -> None:
    with (team / "resilience.toml").open("a") as file:
        file.write("\n[history]\nkeep_days = 7\n")
    settings = settings_of(team)
    assert settings.history == HistorySettings(keep_days=7.0)
    now = datetime.now(UTC)
    old, new = well("old", at=now - 8 * DAY), well("new", at=now - 6 * DAY)
    with History(settings.outputs / "history.sqlite") as kept:
        kept.record([sample(now - 8 * DAY)], old)
        kept.record([sample(now - 6 * DAY)], new)
    Run.create(settings).report(charts=False)
    assert counts(settings.outputs / "history.sqlite")["sample"] == 1


def test_a_report_is_made_and_waits_for_nobody_while_another_process_writes_the_history(team: Path) -> None:
    settings = replace(settings_of(team), history=HistorySettings(keep_days=7.0))
    path = settings.outputs / "history.sqlite"
    now = datetime.now(UTC)
    with History(path) as kept:
        kept.record([sample(now - 8 * DAY)], well("old", at=now - 8 * DAY))
    run = Run.create(settings)
    from resilience.runs import memory

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        memory.prune(run.settings)
        assert time.monotonic() - began < 4.0, "the time-out of a writer is 5 s"
        other.execute("ROLLBACK")
    assert counts(path)["sample"] == 1
    memory.prune(run.settings)
    assert counts(path)["sample"] == 0
