"""resilience.runs.history: nothing acknowledged is lost, importing twice counts once, one outage is one incident."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resilience.core import codec
from resilience.core.escalation import Suites
from resilience.core.records import (
    ConnectivityStatus,
    FaultCode,
    Incident,
    InfrastructureHealth,
    Sample,
    TestExecutionMode,
    Verdict,
)
from resilience.runs.history import History, HistoryError
from resilience.runs.shared import SharedHistory
from tests.kits import incident_factory as factory

START = datetime(2026, 11, 22, 3, 14, tzinfo=UTC)


def well(name: str = "run-well", *, at: datetime = START, host: str = "a") -> Incident:
    base = factory.green().incident
    return replace(
        base, run=name, started_at=at, finished_at=at + timedelta(seconds=9), vantage=replace(base.vantage, host=host)
    )


def looking(name: str, *, at: datetime) -> Incident:
    """A run that only looked: nothing was tested, so nothing was proved."""
    return replace(well(name, at=at), tests=None)


def sample(at: datetime, *, bad: bool = False, service: str = "database", seconds: float = 0.02) -> Sample:
    status = ConnectivityStatus.UNAVAILABLE if bad else ConnectivityStatus.AVAILABLE
    return Sample(
        at=at, service=service, status=status, response_time_s=seconds, fault=FaultCode.TCP_TIMEOUT if bad else None
    )


@pytest.fixture(params=["a file", "PostgreSQL"])
def kept(tmp_path: Path, request: pytest.FixtureRequest):
    """The history as one checkout has it, and as hosts share it: what holds of one holds of the other."""
    if request.param == "a file":
        with History(tmp_path / "history.sqlite") as found:
            yield found
        return
    with request.getfixturevalue("shared_database")() as url, SharedHistory(url) as found:
        yield found


def test_samples_come_back_as_they_went_in(kept: History) -> None:
    story = factory.drill()
    assert kept.record(story.samples, story.incident) == len(story.samples)
    name = kept.incident_of(story.incident)
    back = list(kept.incident_samples(name))
    assert [(s.at, s.service, s.status, s.fault, s.stage) for s in back] == [
        (s.at, s.service, s.status, s.fault, s.stage) for s in sorted(story.samples, key=lambda s: s.at)
    ]
    assert all(
        a.response_time_s == pytest.approx(b.response_time_s, abs=1e-6)
        for a, b in zip(back, sorted(story.samples, key=lambda s: s.at), strict=True)
    )
    assert not list(kept.incident_samples(name, except_run=story.incident.run))


def test_recording_the_same_twice_adds_nothing_not_even_to_the_minutes(kept: History) -> None:
    story = factory.drill()
    kept.record(story.samples, story.incident)
    before = kept.minutes("staging", START - timedelta(days=1), START + timedelta(days=1))
    assert kept.record(story.samples, story.incident) == 0
    assert kept.minutes("staging", START - timedelta(days=1), START + timedelta(days=1)) == before


def test_a_drill_among_imported_runs_is_no_history_of_staging(kept: History, tmp_path: Path) -> None:
    folder = tmp_path / "theirs" / "2026-11-22" / "204103Z-drill"
    folder.mkdir(parents=True)
    (folder / "incident.json").write_bytes(codec.to_json(factory.drill().incident))
    assert kept.import_folder(tmp_path / "theirs") == 0
    assert kept.runs() == ()


def test_runs_of_one_outage_belong_to_one_incident_until_a_recovery_is_confirmed(kept: History) -> None:
    down = replace(well("first"), outage_started_at=START)
    kept.record([sample(START, bad=True)], down)
    kept.record(
        [sample(START + timedelta(minutes=20), bad=True)], well("second", at=START + timedelta(minutes=20), host="b")
    )
    kept.record([sample(START + timedelta(minutes=40))], looking("lucky look", at=START + timedelta(minutes=40)))
    (row,) = kept.incidents("staging")
    assert (row.opened_at, row.closed_at, row.runs) == (START, None, 3)
    recovery = factory.night().incident.recovery
    assert recovery is not None
    back = START + timedelta(minutes=108)
    last = replace(
        well("recovering", at=START + timedelta(minutes=100)), recovery=replace(recovery, first_good_at=back)
    )
    kept.record([sample(back)], last)
    (row,) = kept.incidents("staging")
    assert (row.closed_at, row.runs) == (back, 4)
    assert [run.run for run in kept.incident_runs(row.id)] == ["first", "second", "lucky look", "recovering"]
    kept.record([sample(back + timedelta(hours=1))], well("after", at=back + timedelta(hours=1)))
    kept.record([sample(back + timedelta(hours=2), bad=True)], well("again", at=back + timedelta(hours=2)))
    assert [row.runs for row in kept.incidents("staging")] == [4, 1]


def test_a_full_pass_on_real_staging_ends_an_incident_and_less_does_not(kept: History) -> None:
    kept.record([sample(START, bad=True)], looking("down", at=START))
    full = well("full", at=START + timedelta(minutes=10))
    assert full.tests is not None
    assert full.latest or full.health
    for number, less in enumerate(
        (
            replace(full, tests=replace(full.tests, mode=TestExecutionMode.DEGRADED)),
            replace(full, verdict=Verdict.PASSED_ON_STAND_INS),
            replace(full, tests=None),
            replace(full, started_at=START - timedelta(minutes=1)),
        )
    ):
        kept.record((), replace(less, run=f"less {number}"))
        assert [row.closed_at for row in kept.incidents()] == [None]
    kept.record((), full)
    assert [row.closed_at for row in kept.incidents()] == [full.started_at]
    again = START + timedelta(minutes=20)
    kept.record([sample(again, bad=True)], looking("again", at=again))
    assert [(row.opened_at, row.closed_at) for row in kept.incidents()][1] == (again, None)


def test_every_drill_is_an_incident_of_its_own(kept: History) -> None:
    for number in range(2):
        at = START + timedelta(minutes=number)
        one = replace(looking(f"drill {number}", at=at), drill="database-unavailable", outage_started_at=at)
        kept.record([sample(at, bad=True)], one)
        kept.record([sample(at + timedelta(seconds=5), bad=True)], one)
        assert len(list(kept.incident_samples(kept.incident_of(one)))) == 2
    fine = replace(looking("fine", at=START + timedelta(minutes=2)), drill="all-well")
    kept.record([sample(START + timedelta(minutes=2))], fine)
    assert [(row.opened_at, row.runs) for row in kept.incidents()] == [(START, 1), (START + timedelta(minutes=1), 1)]
    assert kept.incident_of(fine) == "", "nothing was bad in it"


@pytest.mark.parametrize(
    ("looks", "since"),
    [("bbb", 0), ("bgb", 0), ("bggb", 0), ("bgggb", 4), ("bgggbggb", 4), ("bggg", None), ("bgg", 0), ("bggugb", 5)],
)
def test_down_since_begins_after_the_last_sustained_good(kept: History, looks: str, since: int | None) -> None:
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    samples = [sample(first + timedelta(minutes=n), bad=look == "b") for n, look in enumerate(looks)]
    samples = [
        replace(one, status=ConnectivityStatus.UNKNOWN) if look == "u" else one
        for one, look in zip(samples, looks, strict=True)
    ]
    for number, one in enumerate(samples):  # each in a run of its own
        kept.record([one], looking(f"run {number}", at=one.at))
    expected = None if since is None else first + timedelta(minutes=since)
    assert kept.down_since("staging", good=3) == expected
    assert kept.down_since("staging", good=3, services=["database"]) == expected


def test_down_since_is_that_of_the_services_asked_for(kept: History) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    early, late = now - timedelta(minutes=50), now - timedelta(minutes=5)
    kept.record([sample(early, bad=True, service="redis"), sample(late, bad=True)], looking("one", at=early))
    assert kept.down_since("staging") == early
    assert kept.down_since("staging", services=["database"]) == late


def test_an_outage_that_nobody_saw_end_is_another_one_the_day_after(kept: History) -> None:
    kept.record([sample(START, bad=True)], well("first"))
    later = START + timedelta(hours=30)
    kept.record([sample(later, bad=True)], well("second", at=later))
    assert len(kept.incidents("staging")) == 2


def test_down_since_is_known_while_it_lasts_only(kept: History) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    assert kept.down_since("staging") is None
    kept.record([sample(now - timedelta(minutes=5), bad=True)], looking("now", at=now))
    assert kept.down_since("staging") == now - timedelta(minutes=5)
    assert kept.down_since("production") is None


def test_suites_that_failed_or_were_blocked_are_counted_back_to_the_last_that_was_not(kept: History) -> None:
    lost = Verdict.INFRASTRUCTURE_UNAVAILABLE
    for number, verdict in enumerate((lost, Verdict.PASSED, lost, lost)):
        kept.record((), replace(well(f"run {number}", at=START + timedelta(minutes=number)), verdict=verdict))
    assert kept.suites_in_a_row("staging") == Suites(count=2, blocked=2)
    assert kept.suites_in_a_row("staging", except_run="run 3") == Suites(count=1, blocked=1)


def test_reached_knows_host_and_network(kept: History) -> None:
    kept.record([sample(START), sample(START, service="redis", bad=True)], well(host="laptop"))
    assert kept.reached("laptop") == {"database"}
    assert kept.reached("laptop", factory.VANTAGE.network) == {"database"}
    assert kept.reached("laptop", "elsewhere") == kept.reached("ci") == frozenset()


def test_minutes_give_percentiles_from_merged_counts(kept: History) -> None:
    for half in range(2):
        found = [
            sample(START + timedelta(milliseconds=n * 100 + half * 50), seconds=0.001 * (n + 1)) for n in range(100)
        ]
        kept.record([*found, sample(START + timedelta(seconds=30 + half), bad=True)], well())
    (row,) = kept.minutes("staging", START, START + timedelta(minutes=1))
    assert (row.samples, row.lost, row.max_s) == (202, 2, 0.1)
    assert row.p50_s == pytest.approx(0.050, rel=0.1)
    assert row.p95_s == pytest.approx(0.095, rel=0.1)
    (day,) = kept.days("staging", until=START + timedelta(hours=1))
    assert (day.day, day.samples, day.availability) == ("2026-11-22", 202, 1 - 2 / 202)


def test_import_of_another_hosts_runs_is_idempotent(kept: History, tmp_path: Path) -> None:
    story = factory.night()
    folder = tmp_path / "theirs" / "2026-11-22" / "024000Z-vpc"
    folder.mkdir(parents=True)
    (folder / "incident.json").write_bytes(codec.to_json(story.incident))
    lines = b"".join(codec.to_json(one, indent=0) + b"\n" for one in story.samples)
    (folder / "samples.jsonl").write_bytes(lines + b'{"at": "2026-11-')
    broken = folder.with_name("broken")
    broken.mkdir()
    (broken / "incident.json").write_text('{"schema": 1, "run"')
    assert kept.import_folder(tmp_path / "theirs") == len(story.samples)
    assert kept.import_folder(tmp_path / "theirs") == 0
    assert len(kept.runs()) == 1
    assert any("broken" in note for note in kept.notes)


def test_a_damaged_file_is_set_aside_and_nothing_is_raised(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with History(path) as kept:
        assert kept.record([sample(START)], well()) == 1
        assert "damaged" in kept.notes[0]
    assert len(list(tmp_path.glob("history.damaged-*.sqlite"))) == 1


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(HistoryError, match="newer version"):
        History(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_locked_file_costs_nothing_the_spool_is_taken_later(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    History(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with History(path, busy_timeout_s=0.05) as kept:
        assert kept.record([sample(START)], well("locked out")) == 0
        assert len(list(kept.spool.glob("*.jsonl"))) == 1
        other.execute("ROLLBACK")
        other.close()
        assert kept.record([sample(START + timedelta(seconds=1))], well("after")) == 1
        assert [run.run for run in kept.runs()] == ["after", "locked out"] or len(kept.runs()) == 2
        assert not kept.spool.exists()


def test_an_unwell_health_without_samples_opens_an_incident(kept: History) -> None:
    story = factory.drill()
    assert isinstance(story.incident.health, InfrastructureHealth)
    kept.record((), replace(story.incident, drill="", recovery=None, outage_started_at=None))
    assert len(kept.incidents("staging")) == 1


WRITER = """
import sys
from datetime import timedelta
from pathlib import Path
from tests.runs.test_history import START, sample, well
from resilience.runs.history import History

with History(Path(sys.argv[1])) as kept:
    number = int(sys.argv[2]) * 100_000
    while True:
        kept.record([sample(START + timedelta(milliseconds=number))], well("killed"))
        print(number, flush=True)
        number += 1
"""


def test_kill_9_while_recording_ten_times_loses_no_acknowledged_sample(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    acknowledged: list[int] = []
    for turn in range(10):
        command = [sys.executable, "-c", WRITER, str(path), str(turn)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(15 + turn)]
            os.kill(process.pid, signal.SIGKILL)
            told += process.stdout.readlines()
        acknowledged += [int(line) for line in told if line.endswith("\n")]
    with sqlite3.connect(path) as db:
        count = db.execute("SELECT count(*) FROM sample").fetchone()[0]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    assert len(acknowledged) <= count <= len(acknowledged) + 10
