"""resilience.runs.merging: taken over twice counts once, a day whose samples were pruned keeps its figures, one outage is one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from resilience.core.period import period_of
from resilience.core.records import ConnectivityStatus, FaultCode, Incident, Sample
from resilience.runs.history import History
from resilience.runs.keeping import Keeping
from resilience.runs.merging import Merged, merge
from resilience.runs.shared import SharedHistory
from resilience.runs.trends import Trends, read_trends
from tests.kits import incident_factory as factory

START = datetime(2026, 11, 22, 3, 14, tzinfo=UTC)
ALL = period_of("all", "", today=date(2026, 12, 31))
MINUTE = timedelta(minutes=1)


def run(name: str, host: str, at: datetime = START) -> Incident:
    base = factory.green().incident
    return replace(
        base, run=name, started_at=at, finished_at=at + timedelta(seconds=9), tests=None,
        vantage=replace(base.vantage, host=host),
    )  # fmt: skip


def sample(at: datetime, seconds: float | None = 0.02, service: str = "database") -> Sample:
    bad = seconds is None
    return Sample(
        at=at, service=service, response_time_s=5.0 if seconds is None else seconds,
        status=ConnectivityStatus.UNAVAILABLE if bad else ConnectivityStatus.AVAILABLE,
        fault=FaultCode.TCP_TIMEOUT if bad else None,
    )  # fmt: skip


def read(kept: History) -> Trends:
    return read_trends(kept, "staging", ALL)


Make = Callable[[str], contextlib.AbstractContextManager[History]]


@pytest.fixture(params=["files", "a shared one"])
def target(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[History]:
    if request.param == "files":
        with History(tmp_path / "target.sqlite") as kept:
            yield kept
        return
    with request.getfixturevalue("shared_database")() as url, SharedHistory(url) as kept:
        yield kept


@pytest.fixture
def source(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "source.sqlite") as kept:
        story = factory.drill()
        kept.record(story.samples, replace(story.incident, drill=""))
        kept.record([sample(START + n * MINUTE, 0.01 * (n + 1)) for n in range(90)], run("well", "a"))
        Keeping(kept).say(
            "ack", environment="staging", incident="", at=START + 3 * MINUTE, author="ada", text="looking"
        )
        yield kept


def test_all_of_it_is_there_and_taking_it_twice_adds_nothing(source: History, target: History) -> None:
    first = merge(source, target)
    assert first.samples == len(list(source.db.execute("SELECT 1 FROM sample"))) > 90
    assert (first.runs, first.incidents) == (len(source.runs()), len(source.incidents()))
    assert read(target).services() == read(source).services() != ()
    assert read(target).chart_days() == read(source).chart_days()
    assert read(target).incidents == read(source).incidents
    assert target.minutes("staging", START, START + 90 * MINUTE) == source.minutes(
        "staging", START, START + 90 * MINUTE
    )
    assert Keeping(target).said("staging") == Keeping(source).said("staging") != ()
    assert merge(source, target) == Merged()
    assert read(target).services() == read(source).services()
    assert len(Keeping(target).said("staging")) == 1


def test_a_day_whose_samples_were_pruned_keeps_its_figures(source: History, target: History) -> None:
    before = read(source).services()
    assert source.prune(1, now=START + timedelta(days=2000)) > 0
    assert not source.db.execute("SELECT count(*) FROM sample").fetchone()[0]
    assert merge(source, target).samples == 0
    assert read(target).services() == before


def test_on_a_day_that_both_know_the_samples_of_both_count_once(source: History, target: History) -> None:
    target.record([sample(START + n * MINUTE, 0.5) for n in range(10)], run("well", "b"))
    merge(source, target)
    merge(source, target)
    (database,) = (one for one in read(target).services() if one.service == "database")
    (theirs,) = (one for one in read(source).services() if one.service == "database")
    assert database.samples == theirs.samples + 10


def test_the_same_outage_seen_by_two_hosts_is_one(tmp_path: Path, target: History) -> None:
    target.record([sample(START, None), sample(START + 9 * MINUTE, None)], run("look", "b"))
    with History(tmp_path / "other.sqlite") as other:
        other.record(
            [sample(START - 5 * MINUTE, None), sample(START + MINUTE, None)], run("look", "a", START - 5 * MINUTE)
        )
        other.record([sample(START + timedelta(days=9), None)], run("later", "a", START + timedelta(days=9)))
        assert merge(other, target).incidents == 1
    first, later = target.incidents("staging")
    assert (first.opened_at, first.runs) == (START - 5 * MINUTE, 2)
    assert (later.opened_at, later.runs) == (START + timedelta(days=9), 1)
    assert [past.host for past in target.incident_runs(first.id)] == ["a", "b"]


def test_a_shared_history_is_carried_away_as_a_file(source: History, shared_database, tmp_path: Path) -> None:
    with shared_database() as url, SharedHistory(url) as shared, History(tmp_path / "copy.sqlite") as copy:
        merge(source, shared)
        merge(shared, copy)
        assert read(copy).services() == read(source).services()
        assert copy.incidents() == source.incidents()
