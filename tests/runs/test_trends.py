"""resilience.runs.trends: figures are those of the samples themselves; times are counted as the report counts them."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings as hypothesis, strategies as st

from resilience.core.period import Period, period_of
from resilience.core.records import ConnectivityStatus, FaultCode, Incident, Outcome, Sample, TestOutcome
from resilience.runs.history import History
from resilience.runs.trends import Trends, read_trends, trends_of
from tests.kits import incident_factory as factory
from tests.kits.run_kit import settings_of
from tests.kits.small_staging import project

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ALL = period_of("all", "", today=date(2026, 12, 31))


def run(name: str, at: datetime = NOON, *, commit: str = "", tests: tuple[TestOutcome, ...] = ()) -> Incident:
    base = factory.green().incident
    assert base.tests is not None
    return replace(
        base, run=name, started_at=at, finished_at=at + timedelta(seconds=9), commit=commit, critical_tests=None,
        full_tests=None, tests=replace(base.tests, tests=tests),
    )  # fmt: skip


def sample(at: datetime, seconds: float | None, service: str = "database") -> Sample:
    bad = seconds is None
    return Sample(
        at=at, service=service, response_time_s=5.0 if seconds is None else seconds,
        status=ConnectivityStatus.UNAVAILABLE if bad else ConnectivityStatus.AVAILABLE,
        fault=FaultCode.TCP_TIMEOUT if bad else None,
    )  # fmt: skip


def exact(values: list[float], share: float) -> float:
    return sorted(values)[max(math.ceil(share * len(values) - 1e-9), 1) - 1]


def read(kept: History, period: Period = ALL) -> Trends:
    return read_trends(kept, "staging", period)


LATENCIES = st.none() | st.floats(0.0001, 60)


@hypothesis(max_examples=25, deadline=None)
@given(looks=st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc"), LATENCIES), min_size=1, max_size=60))
def test_availability_and_percentiles_are_those_of_the_samples_for_a_day_and_for_all_days(
    looks: list[tuple[int, str, float | None]],
) -> None:
    """A percentile is at most 9 % above that of the samples: of the period as well, whatever the single days were."""
    with History(":memory:") as kept:
        kept.record(
            [sample(NOON + timedelta(days=day, seconds=n), took, name) for n, (day, name, took) in enumerate(looks)],
            run("one"),
        )
        found = read(kept)
    for table, by_day in ((found.days, True), (found.whole, False)):
        for place, number in enumerate(table.service.tolist()):
            day = int(table.day[place]) - (NOON.date() - date(1970, 1, 1)).days
            mine = [took for at, name, took in looks if name == table.services[number] and (at == day or not by_day)]
            answered = [took for took in mine if took is not None]
            assert (table.samples[place], table.lost[place]) == (len(mine), len(mine) - len(answered))
            assert table.availability[place] == pytest.approx(len(answered) / len(mine))
            for share, column in ((0.5, table.p50_s), (0.95, table.p95_s), (1.0, table.max_s)):
                if not answered:
                    assert math.isnan(column[place])
                else:
                    true = exact(answered, share)
                    assert true - 2e-6 <= column[place] <= true * 1.0906 + 2e-6


def test_the_median_of_a_period_is_not_one_of_its_days_medians(tmp_path: Path) -> None:
    """A day of 99 fast answers and one of a single slow one: the median is fast, a mean of medians would not be."""
    fast = [sample(NOON + timedelta(seconds=n), 0.01) for n in range(99)]
    with History(tmp_path / "history.sqlite") as kept:
        kept.record([*fast, sample(NOON + timedelta(days=1), 9.0)], run("one"))
        (whole,) = read(kept).services()
    assert whole.p50_s == pytest.approx(0.01, rel=0.091)
    assert whole.max_s == 9.0


def test_a_period_holds_its_days_and_no_others_and_another_environment_is_not_in_it(tmp_path: Path) -> None:
    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    with History(tmp_path / "history.sqlite") as kept:
        kept.record([sample(midnight - timedelta(microseconds=1), 0.1), sample(midnight, 0.1)], run("one"))
        kept.record([sample(midnight, None)], replace(run("two"), environment="other"))
        days = [
            read(kept, period_of(day, day, today=date(2026, 12, 1))).chart_days()
            for day in ("2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24")
        ]
    assert [[(day.day, day.samples) for day in found] for found in days] == [
        [], [("2026-11-22", 1)], [("2026-11-23", 1)], [],
    ]  # fmt: skip


def test_a_file_from_before_there_were_days_has_them_from_its_minutes(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    with History(path) as kept:
        kept.record([sample(NOON + timedelta(hours=n), 0.1 * n or None) for n in range(30)], run("one"))
        before = read(kept)
        with kept.writing():
            for text in (
                "DROP TABLE day", "DROP TABLE noted", "ALTER TABLE run DROP COLUMN revision",
                "ALTER TABLE incident DROP COLUMN detected_us", "ALTER TABLE incident DROP COLUMN applied_us",
                "PRAGMA user_version = 2",
            ):  # fmt: skip
                kept.db.execute(text)
    with History(path) as kept:
        after = read(kept)
    assert after.chart_days() == before.chart_days() != ()
    assert after.services() == before.services()


def test_an_outage_has_the_times_of_its_first_look_its_fallback_and_its_recovery(tmp_path: Path) -> None:
    story = factory.drill()
    with History(tmp_path / "history.sqlite") as kept:
        kept.record(story.samples, story.incident)
        (row,) = kept.incidents("staging")
        (found,) = read(kept).incidents
        assert read(kept, period_of("7 days", "2026-01-07", today=date(2026, 12, 1))).incidents == ()
    health, applied = story.incident.health, story.incident.applied
    assert health is not None
    assert applied is not None
    assert (found.opened_at, found.closed_at) == (row.opened_at, row.closed_at)
    looked = health.started_at + timedelta(seconds=health.duration_s)
    assert found.detect_s == pytest.approx((looked - row.opened_at).total_seconds(), abs=1e-5)
    assert found.mitigate_s == pytest.approx((applied.applied_at - row.opened_at).total_seconds(), abs=1e-5)
    assert row.closed_at is not None
    assert found.recover_s == pytest.approx((row.closed_at - row.opened_at).total_seconds(), abs=1e-5)
    assert found.services
    assert found.acknowledge_s is None


def test_an_outage_that_lasts_has_no_time_to_recover(tmp_path: Path) -> None:
    with History(tmp_path / "history.sqlite") as kept:
        kept.record([sample(NOON, None)], run("one"))
        (found,) = read(kept).incidents
    assert (found.closed_at, found.recover_s, found.mitigate_s) == (None, None, None)
    assert found.services == ("database",)


def outcome(name: str, what: Outcome, rounds: int = 1) -> TestOutcome:
    return TestOutcome(id=name, outcome=what, rounds=rounds)


def test_a_test_is_flaky_where_it_passed_on_a_later_round_or_changed_at_one_commit(tmp_path: Path) -> None:
    """Failing at each run of a commit is a bug, and failing at one commit and passing at the next a change: not flaky."""
    red, green, held = Outcome.FAILED, Outcome.PASSED, Outcome.INFRASTRUCTURE_UNAVAILABLE
    suites = (
        ("c1", (outcome("changes", red), outcome("broken", red), outcome("later", green, 2), outcome("held", held))),
        ("c1", (outcome("changes", green), outcome("broken", red), outcome("later", green), outcome("held", held))),
        ("c2", (outcome("changes", green), outcome("broken", green), outcome("later", green))),
        ("", (outcome("unknown", red),)),
        ("", (outcome("unknown", green),)),
    )
    with History(tmp_path / "history.sqlite") as kept:
        for number, (commit, tests) in enumerate(suites):
            kept.record([], run(f"run-{number}", NOON + timedelta(hours=number), commit=commit, tests=tests))
        found = read(kept)
    table = {test.test: test for test in found.tests}
    assert found.runs == 5
    assert [test.test for test in found.tests] == ["changes", "later", "held", "broken", "unknown"]
    assert (table["changes"].changed, table["changes"].failed, table["changes"].flaky) == (1, 1, 1)
    assert (table["later"].passed_later, table["later"].flaky) == (1, 1)
    assert (table["broken"].failed, table["broken"].flaky) == (2, 0)
    assert (table["held"].held_back, table["held"].flaky) == (2, 0)
    assert table["held"].last_at == NOON + timedelta(hours=1)
    assert table["unknown"].flaky == 0


def test_where_there_is_no_history_the_trends_say_so_and_make_no_file(tmp_path: Path) -> None:
    found = trends_of(settings_of(project(tmp_path / "team", 1)), "7 days", "")
    assert found.is_empty
    (line,) = found.lines
    assert "nobody looked" in line
    assert "Hint: resilience assess" in line
    assert not list(tmp_path.rglob("*.sqlite"))
