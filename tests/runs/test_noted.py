"""resilience.runs.noted: of a run that is over, each test that was anything but plainly passed is kept, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from resilience.core.records import Incident, Outcome, TestOutcome
from resilience.runs.history import History
from tests.kits import incident_factory as factory


def of(tests: tuple[TestOutcome, ...], *, over: bool = True) -> Incident:
    base = factory.green().incident
    assert base.tests is not None
    return replace(
        base, finished_at=base.finished_at if over else None, tests=replace(base.tests, tests=tests),
        critical_tests=None, full_tests=None,
    )  # fmt: skip


def kept_in(kept: History) -> set[tuple[str, str]]:
    with kept.reading() as database:
        return set(database.execute("SELECT text, what FROM noted JOIN word ON word.id = test"))


def test_each_outcome_is_kept_as_what_it_is_and_what_passed_or_was_left_out_is_not(tmp_path: Path) -> None:
    every = tuple(TestOutcome(id=f"t::{outcome.value}", outcome=outcome) for outcome in Outcome)
    late = TestOutcome(id="t::late", outcome=Outcome.PASSED, rounds=2)
    with History(tmp_path / "history.sqlite") as kept:
        kept.record([], of((*every, late)))
        assert kept_in(kept) == {
            ("t::failed", "failed"),
            ("t::error", "failed"),
            ("t::timeout", "failed"),
            ("t::infrastructure_unavailable", "held_back"),
            ("t::undecided", "undecided"),
            ("t::stand_in_gap", "stand_in_gap"),
            ("t::late", "passed_later"),
        }


def test_a_run_that_goes_on_is_not_kept_and_one_recorded_again_replaces_what_was_kept(tmp_path: Path) -> None:
    bad, mended = (TestOutcome(id="t::a", outcome=outcome) for outcome in (Outcome.FAILED, Outcome.UNDECIDED))
    with History(tmp_path / "history.sqlite") as kept:
        kept.record([], of((bad,), over=False))
        assert kept_in(kept) == set()
        kept.record([], of((bad,)))
        kept.record([], of((mended,)))
        assert kept_in(kept) == {("t::a", "undecided")}


def test_a_test_is_kept_as_several_things_where_its_suites_differ(tmp_path: Path) -> None:
    held = of((TestOutcome(id="t::a", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE),))
    assert held.tests is not None
    both = replace(held, full_tests=replace(held.tests, tests=(TestOutcome(id="t::a", outcome=Outcome.FAILED),)))
    with History(tmp_path / "history.sqlite") as kept:
        kept.record([], both)
        assert kept_in(kept) == {("t::a", "failed"), ("t::a", "held_back")}


def test_a_secret_in_the_id_of_a_test_does_not_reach_the_file(tmp_path: Path) -> None:
    secret = "planted-S3cret"
    with History(tmp_path / "history.sqlite", redact=lambda text: text.replace(secret, "***")) as kept:
        kept.record([], of(tuple(TestOutcome(id=f"t::a[{secret}{n}]", outcome=Outcome.FAILED) for n in ("", "", "b"))))
        assert kept_in(kept) == {("t::a[***]", "failed"), ("t::a[***b]", "failed")}
    assert not [path for path in tmp_path.iterdir() if secret.encode() in path.read_bytes()]
