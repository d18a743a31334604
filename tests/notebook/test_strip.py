"""The strip says staging, tests and what is applied in the words of the record, each with its own time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from resilience.core.marks import Tone
from resilience.core.next_steps import Situation
from resilience.notebook.banner import Banner
from resilience.notebook.strip import Fact, Strip, strip_of
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run
from tests.kits.small_staging import SmallStaging

ALL = frozenset({"assess", "apply", "tests", "recovery", "restore", "report", "undo", "go_on"})
NOW = datetime(2026, 11, 25, 3, 14, tzinfo=UTC)


def strip(run: Run, *, offered: frozenset[str] = ALL, applied: Banner | None = None) -> Strip:
    latest = run.incident.latest
    situation = Situation(staging=latest.overall_status if latest is not None else None)
    return strip_of(run.incident, applied or Banner(), situation, reported=False, offered=offered, now=NOW)


def fact(found: Strip, about: str) -> Fact:
    return next(one for one in found.facts if one.about == about)


async def test_the_facts_follow_the_record_and_each_keeps_its_own_time(team: Path, staging: SmallStaging) -> None:
    run = Run.create(load_settings(team / "resilience.toml"))
    fresh = strip(run)
    assert [(one.about, one.word) for one in fresh.facts] == [
        ("staging", "not looked at yet"), ("tests", "not run yet"), ("applied", "nothing"),
    ]  # fmt: skip
    assert fresh.step.action == "assess"
    staging.status = 503
    await run.assess()
    run.choose_mode()
    looked = strip(run)
    assert (fact(looked, "staging").word, fact(looked, "staging").tone) == ("DOWN", Tone.BAD)
    assert fact(looked, "staging").below.startswith("backend_api · ")
    assert fact(looked, "staging").below.endswith(" UTC")
    assert fact(looked, "tests").tone is Tone.BAD
    staging.status = 200
    await run.assess()
    run.choose_mode()
    await run.run_tests()
    tested = strip(run)
    assert fact(tested, "staging").below.startswith("1 service checked · ")
    assert fact(tested, "tests").word == "passed"
    assert fact(tested, "tests").below.startswith("2 passed · ")
    assert tested.step.action == "report"


def test_what_is_applied_is_said_as_the_journal_says_it(team: Path) -> None:
    run = Run.create(load_settings(team / "resilience.toml"))
    found = strip(run, applied=Banner(line="APPLIED by run x", word="applied", below="mode degraded", offered=True))
    assert (fact(found, "applied").word, fact(found, "applied").tone) == ("applied", Tone.PARTIAL)


def test_a_step_of_another_notebook_is_told_with_its_name(team: Path) -> None:
    run = Run.create(load_settings(team / "resilience.toml"))
    found = strip(run, offered=frozenset({"report"}))
    assert (found.step.action, found.step.notebook) == ("", "01_assess")
