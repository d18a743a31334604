"""resilience.core.tasks: each rule leaves its task, says how it was settled, and is ticked off by the next run only with proof."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from resilience.cli.group import VERBS
from resilience.core.records import (
    EventKind,
    Incident,
    Notice,
    Outcome,
    Restored,
    Stage,
    StageName,
    StageStatus,
    Task,
    TestExecutionMode,
    TestOutcome,
    TestSuiteResult,
    TestTotals,
    TimelineEvent,
    Verdict,
)
from resilience.core.tasks import EACH, OVERDUE_DAYS, RULES, left_to_do, note_of
from tests.kits import incident_factory as factory

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
BASE = replace(factory.green().incident, decision=None, tests=None, stages=())
NIGHT = replace(factory.night().incident, recovery=None, restored=None, full_tests=None, tests=None, notices=())
DONE_BY = {
    "recovered": {"recovery": factory.night().incident.recovery},
    "restored": {"restored": factory.night().incident.restored},
}


def suite(*tests: TestOutcome, mode: TestExecutionMode = TestExecutionMode.DEGRADED) -> TestSuiteResult:
    names = [test.outcome for test in tests]
    counts = TestTotals(**{one.value: names.count(one) for one in Outcome})
    return TestSuiteResult(
        mode=mode, started_at=AT, duration_s=1.0, exit_code=0, commands=(), totals=counts, tests=tests, verdict=Verdict.UNKNOWN
    )  # fmt: skip


def outcome_of(outcome: Outcome, name: str = "tests/test_a.py::test_x", **more: object) -> TestOutcome:
    return TestOutcome(id=name, outcome=outcome, **more)  # type: ignore[arg-type]


def noted(text: str) -> TimelineEvent:
    return TimelineEvent(at=AT, what="note", detail=f"{text} (by ana@laptop)", kind=EventKind.BY_HAND)


def stage(status: StageStatus) -> Stage:
    return Stage(
        name=StageName.REPORT, status=status, started_at=AT, finished_at=AT, error="OSError: full", hint="df -h"
    )


def with_test(outcome: Outcome, **more: object) -> dict[str, object]:
    return {"tests": suite(outcome_of(outcome, **more))}


FULL = TestExecutionMode.FULL
PASSED_THERE = {"full_tests": suite(outcome_of(Outcome.PASSED), mode=FULL)}
LOUD = Notice(at=AT, reason="down for 31 minutes", whom="@devops")
applied = factory.night().incident.applied
assert applied is not None
LAME = replace(applied, stand_ins=(replace(applied.stand_ins[0], ready=False, error="port taken"),))
COPIES = Restored(run="r", restored_at=AT, files=(), identical=False, kept_copies=("a.kept",))
SHELL = replace(COPIES, identical=True, shell_variables=("REDIS_URL",))

ROWS: list[tuple[str, Incident, dict[str, object], dict[str, object]]] = [
    ("stage:report", BASE, {"stages": (stage(StageStatus.FAILED),)}, {"stages": (stage(StageStatus.FINISHED),)}),
    ("outage", NIGHT, {"applied": None}, DONE_BY["recovered"]),
    ("tell", BASE, {"notices": (LOUD,)}, {"timeline": (TimelineEvent(at=AT, what="published"),)}),
    ("recovery", NIGHT, {"applied": None}, DONE_BY["recovered"]),
    ("restore", NIGHT, {}, DONE_BY["restored"]),
    ("copies", BASE, {"restored": COPIES}, {}),
    ("shell", BASE, {"restored": SHELL}, {}),
    ("fix:tests/test_a.py::test_x", BASE, with_test(Outcome.FAILED), with_test(Outcome.PASSED)),
    ("suspect:tests/test_a.py::test_x", BASE, with_test(Outcome.FAILED, suspect=True), PASSED_THERE),
    ("undecided:tests/test_a.py::test_x", BASE, with_test(Outcome.UNDECIDED), PASSED_THERE),
    ("timeout:tests/test_a.py::test_x", BASE, with_test(Outcome.TIMEOUT), PASSED_THERE),
    ("staging", BASE, with_test(Outcome.INFRASTRUCTURE_UNAVAILABLE, rounds=0), PASSED_THERE),
    ("gap:database", BASE, with_test(Outcome.STAND_IN_GAP, service="database"), {}),
    (f"stand-in:{LAME.stand_ins[0].service}", BASE, {"applied": LAME}, {"applied": applied}),
    ("action:page the owner", BASE, {"timeline": (noted("action: page the owner"),)},
     {"timeline": (noted("done: Page the owner"),)}),
]  # fmt: skip


@pytest.mark.parametrize(("key", "base", "leaves", "settles"), ROWS, ids=[row[0] for row in ROWS])
def test_each_rule_leaves_its_task_and_the_next_run_ticks_it_off_with_proof_alone(
    key: str, base: Incident, leaves: dict[str, object], settles: dict[str, object]
) -> None:
    first = replace(base, run="first", **leaves)  # type: ignore[arg-type]
    task = {one.key: one for one in left_to_do(first)}[key]
    assert not task.done
    assert task.run == "first"
    silent = replace(BASE, run="second", health=None, latest=None)
    still = {one.key: one for one in left_to_do(silent, before=(task,))}[key]
    assert still == task, "a run that says nothing of it settles nothing"
    if settles:
        proof = replace(silent, **settles)  # type: ignore[arg-type]
        after = {one.key: one for one in left_to_do(proof, before=(task,))}[key]
        assert after.done
        assert after.run == "first"


def test_what_is_proposed_is_a_verb_that_is_there() -> None:
    said = [
        one.command
        for _, base, leaves, _ in ROWS
        for one in left_to_do(replace(base, run="first", **leaves))  # type: ignore[arg-type]
        if one.command.startswith("resilience ")
    ]
    assert said
    assert {one.split()[1] for one in said} <= {*VERBS}


def test_the_passed_tests_on_stand_ins_are_counted_as_in_the_headline() -> None:
    tests = (outcome_of(Outcome.PASSED), outcome_of(Outcome.PASSED, "t::b"), outcome_of(Outcome.XFAILED, "t::c"))
    (task,) = [one for one in left_to_do(replace(BASE, tests=suite(*tests))) if one.key == "staging"]
    assert task.what.endswith("2 passed and 1 xfailed on stand-ins or a reduced selection")
    assert len(task.tests) == 3


def test_each_rule_has_a_row_here() -> None:
    assert {row[0].partition(":")[0] for row in ROWS} | {"drill"} == {rule.key for rule in RULES}
    assert all(rule.reason for rule in RULES)


def test_what_is_settled_within_the_run_stands_ticked_behind_what_is_open() -> None:
    tasks = left_to_do(factory.drill().incident)
    keys = [task.key for task in tasks if task.done]
    assert {"outage", "recovery", "restore"} <= set(keys)
    assert [bool(task.done) for task in tasks] == sorted(bool(task.done) for task in tasks)


def test_a_pass_on_a_stand_in_settles_a_bug_and_nothing_that_an_outage_left_open() -> None:
    before = (
        Task(key="fix:a", what="", tests=("tests/test_a.py::test_x",)),
        Task(key="undecided:a", what="", tests=("tests/test_a.py::test_x",)),
        Task(key="suspect:a", what="", tests=("tests/test_a.py::test_x",)),
    )
    tasks = {task.key: task.done for task in left_to_do(replace(BASE, **with_test(Outcome.PASSED)), before=before)}  # type: ignore[arg-type]
    assert tasks["fix:a"] == "passed on stand-ins"
    assert not tasks["undecided:a"]
    assert not tasks["suspect:a"]


def test_what_comes_again_is_open_again_and_of_this_run() -> None:
    before = (Task(key="fix:tests/test_a.py::test_x", what="", run="old", done="passed on real staging"),)
    task = left_to_do(replace(BASE, run="new", **with_test(Outcome.FAILED)), before=before)[0]  # type: ignore[arg-type]
    assert (task.done, task.run) == ("", "new")


def test_many_failures_share_a_task_a_file_and_replace_those_that_stood_one_by_one() -> None:
    failing = [outcome_of(Outcome.FAILED, f"tests/test_{n % 2}.py::test_{n}") for n in range(EACH + 1)]
    incident = replace(BASE, tests=suite(*failing))
    one_by_one = left_to_do(replace(BASE, tests=suite(*failing[:3])))
    assert [task.key for task in one_by_one if task.key.startswith("fix")] == [f"fix:{one.id}" for one in failing[:3]]
    tasks = [task for task in left_to_do(incident, before=one_by_one) if task.key.startswith("fix")]
    assert [task.what for task in tasks] == ["Fix 7 tests in tests/test_0.py", "Fix 6 tests in tests/test_1.py"]
    assert sum(len(task.tests) for task in tasks) == len(failing)


def test_the_owner_is_that_of_where_it_failed_else_that_of_the_test() -> None:
    owners: Callable[[str], str] = {"shop/orders.py": "@shop", "tests/test_a.py": "@qa"}.get  # type: ignore[assignment]
    deep = replace(BASE, **with_test(Outcome.FAILED, failed_at="shop/orders.py:17"))  # type: ignore[arg-type]
    task = left_to_do(deep, owners=lambda path: owners(path) or "")[0]
    assert (task.owner, task.where) == ("@shop", "shop/orders.py:17")
    flat = replace(BASE, **with_test(Outcome.FAILED))  # type: ignore[arg-type]
    assert left_to_do(flat, owners=lambda path: owners(path) or "")[0].owner == "@qa"


def test_a_service_that_is_down_names_the_owner_of_the_configuration() -> None:
    assert NIGHT.health is not None
    services = tuple(replace(one, owner="team-db" if one.name == "database" else "") for one in NIGHT.health.services)
    incident = replace(NIGHT, health=replace(NIGHT.health, services=services))
    assert {task.key: task.owner for task in left_to_do(incident)}["outage"] == "team-db"


@pytest.mark.parametrize(
    ("days", "drill", "asked"),
    [(-1.0, "", True), (OVERDUE_DAYS + 1.0, "", True), (3.0, "", False), (None, "", False), (-1.0, "flapping", False)],
)
def test_a_drill_is_asked_for_where_there_was_none_for_a_quarter(days: float | None, drill: str, asked: bool) -> None:
    keys = [task.key for task in left_to_do(replace(BASE, drill=drill), drilled_days=days)]
    assert ("drill" in keys) is asked


def test_a_drill_settles_that_it_was_overdue() -> None:
    task = Task(key="drill", what="Drill it")
    assert left_to_do(BASE, before=(task,), drilled_days=1.0)[0].done == "drilled"


def test_a_run_in_which_all_was_well_leaves_nothing() -> None:
    assert left_to_do(factory.green().incident) == ()


@pytest.mark.parametrize(
    ("detail", "sort", "text"),
    [
        ("lesson: ask earlier (by ana@laptop)", "lesson", "ask earlier"),
        ("Lesson:  ask (really) (by ana@laptop)", "lesson", "ask (really)"),
        ("restarted it (by ana@laptop)", "lesson", ""),
        ("http://x: lesson", "lesson", ""),
        ("lesson: no name", "lesson", "no name"),
    ],
)
def test_a_note_of_a_sort_is_read_without_its_author(detail: str, sort: str, text: str) -> None:
    assert note_of(detail, sort) == text


def test_the_list_is_the_same_when_it_is_made_again_from_what_it_left() -> None:
    incident = factory.drill().incident
    tasks = left_to_do(incident)
    assert left_to_do(replace(incident, started_at=incident.started_at + timedelta(0)), before=tasks) == tasks
