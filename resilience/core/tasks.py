"""Turn the records of an incident into what is left to do after it, and tick off what a later run has settled."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from resilience.core.marks import BLAME, BROKEN, Blame
from resilience.core.records import (
    ConnectivityStatus,
    EventKind,
    Incident,
    Outcome,
    Task,
    TestExecutionMode,
    TestOutcome,
    TestSuiteResult,
)
from resilience.core.words import cause_title, gist, listing, plural

Owners = Callable[[str], str]
"""Who answers for a path of the repository, by CODEOWNERS; empty for nobody."""
ACKNOWLEDGED, PUBLISHED = "acknowledged", "published"
"""What the timeline says where somebody took an incident, and where something was sent."""
EACH = 12
"""So many tests of a sort get a task each; where there are more, they share one a file, so that the list is read."""
OVERDUE_DAYS = 90
_UNWELL = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED, ConnectivityStatus.UNKNOWN)
_PASSES = (Outcome.PASSED, Outcome.XFAILED, Outcome.XPASSED)
_SAYS_NOTHING = (Outcome.NOT_RUN, Outcome.DESELECTED, Outcome.INFRASTRUCTURE_UNAVAILABLE)


def nobody(_: str) -> str:
    """Return no owner: for who has no CODEOWNERS."""
    return ""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What the rules ask of an incident. `drilled_days`: since the last drill here, None where that is not known.

    `drilled_days` below zero means that there never was one.
    """

    incident: Incident
    owners: Owners = nobody
    drilled_days: float | None = None

    def owner_of(self, test: TestOutcome) -> str:
        """Return who answers for where a test failed, else for the test; who last touched either is nobody's business."""
        places = (test.failed_at or "", test.where or "", test.id.partition("::")[0])
        owners = (self.owners(place.rpartition(":")[0] if ":" in place else place) for place in places if place)
        return next(filter(None, owners), "")

    @cached_property
    def was_unwell(self) -> bool:
        health = self.incident.health
        return health is not None and any(one.status in _UNWELL for one in health.services)

    @cached_property
    def full_pass(self) -> bool:
        """Whether all tests of the full suite could speak on real staging, none of them blocked."""
        full = self.incident.full_tests or self.incident.tests
        return (
            full is not None
            and full.mode is TestExecutionMode.FULL
            and not (full.totals.infrastructure_unavailable + full.totals.undecided + full.totals.not_run)
            and full.totals.passed > 0
        )

    @cached_property
    def suites(self) -> tuple[TestSuiteResult, ...]:
        one = self.incident
        return tuple(suite for suite in (one.tests, one.critical_tests, one.full_tests) if suite is not None)

    @cached_property
    def last(self) -> Mapping[str, TestOutcome]:
        """What each test came to in the last run of it that says anything, by id."""
        found: dict[str, TestOutcome] = {}
        for suite in self.suites:
            for test in suite.tests:
                if test.id not in found or test.outcome not in _SAYS_NOTHING:
                    found[test.id] = test
        return found

    @cached_property
    def on_staging(self) -> frozenset[str]:
        """The tests that ran on real staging and said something there."""
        return frozenset(
            test.id
            for suite in self.suites
            if suite.mode is TestExecutionMode.FULL or suite is not self.incident.tests
            for test in suite.tests
            if test.outcome not in _SAYS_NOTHING
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRule:
    """One sort of task: when a run leaves it, when it is settled, and why it is asked for.

    `find` returns all that came up in the run, settled or not. `settled` says how it was, also for a task of an earlier run;
    empty while it is open.
    """

    key: str
    find: Callable[[Scene], Iterator[Task]]
    settled: Callable[[Scene, Task], str]
    reason: str


def _broken(scene: Scene) -> Iterator[Task]:
    for stage in scene.incident.stages:
        if stage.status in BROKEN:
            text = f"Finish the stage {stage.name.value}, which broke off" + (f": {stage.error}" if stage.error else "")
            yield Task(key=f"stage:{stage.name.value}", what=text, command=stage.hint)


def _finished(scene: Scene, task: Task) -> str:
    name = task.key.partition(":")[2]
    stage = next((one for one in reversed(scene.incident.stages) if one.name.value == name), None)
    done = stage is not None and stage.status not in BROKEN and stage.finished_at is not None
    return "the stage was finished later" if done else ""


def _outage(scene: Scene) -> Iterator[Task]:
    """The likely cause with its next step, or, where none was named, the services themselves."""
    health = scene.incident.health
    if health is None or not scene.was_unwell:
        return
    unwell = [one for one in health.services if one.status in _UNWELL]
    cause = health.causes[0] if health.causes else None
    names = cause.services if cause is not None and cause.services else tuple(one.name for one in unwell)
    owner = next((one.owner for one in unwell if one.name in names and one.owner), "")
    about = f": the likely cause is {cause_title(cause.cause)}" if cause is not None else ""
    yield Task(
        key="outage",
        what=f"Bring back {listing(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''}{about}",
        command=cause.next if cause is not None else next((one.hint for one in unwell if one.hint), ""),
        owner=owner,
    )


def _recovery(scene: Scene) -> Iterator[Task]:
    if scene.was_unwell:
        yield Task(
            key="recovery",
            what="Confirm that staging is back: good checks in a row",
            command="resilience recover",
        )


def _back(scene: Scene, _: Task) -> str:
    recovery = scene.incident.recovery
    if recovery is not None and recovery.recovered:
        return f"{recovery.in_a_row} good checks in a row"
    return "the full suite could speak on real staging" if scene.full_pass and not scene.was_unwell else ""


def _applied(scene: Scene) -> Iterator[Task]:
    applied = scene.incident.applied
    if applied is not None and applied.env_file:
        yield Task(
            key="restore",
            what=f"Put {applied.env_file} back, which sends tests to stand-ins on {applied.host}",
            command="resilience restore",
        )


def _restored(scene: Scene, _: Task) -> str:
    restored = scene.incident.restored
    return "restored" if restored is not None else ""


def _differs(scene: Scene) -> Iterator[Task]:
    restored = scene.incident.restored
    if restored is not None and not restored.identical and not restored.nothing_to_do:
        kept = listing(restored.kept_copies) if restored.kept_copies else "what was kept"
        yield Task(key="copies", what=f"Compare {kept} with what was put back: somebody had edited it")


def _shell(scene: Scene) -> Iterator[Task]:
    restored = scene.incident.restored
    if restored is not None and restored.shell_variables:
        names = listing(restored.shell_variables)
        yield Task(
            key="shell",
            what=f"Unset in shells that took them over: {names}",
            command='eval "$(resilience env --unset)"',
        )


def _by_hand(_: Scene, __: Task) -> str:
    """Nothing that we see settles it: a person does, and the incident's end takes it from the list of the next."""
    return ""


def _of_tests(
    scene: Scene, key: str, verb: str, belongs: Callable[[TestOutcome], bool], command: str = ""
) -> Iterator[Task]:
    """Yield a task a test, with what it said and where; where there are more than `EACH`, one a file."""
    found: dict[str, TestOutcome] = {}
    for suite in scene.suites:
        found |= {test.id: test for test in suite.tests if belongs(test)}
    if len(found) <= EACH:
        for test in found.values():
            yield Task(
                key=f"{key}:{test.id}",
                what=f"{verb} {test.id}",
                said=_first_line(test)[:200],
                command=command.replace("TEST", test.id),
                where=test.failed_at or test.where or "",
                owner=scene.owner_of(test),
                tests=(test.id,),
            )
        return
    files: dict[str, list[TestOutcome]] = {}
    for test in found.values():
        files.setdefault(test.id.partition("::")[0], []).append(test)
    for file, tests in sorted(files.items(), key=lambda item: -len(item[1])):
        yield Task(
            key=f"{key}:{file}",
            what=f"{verb} {plural(len(tests), 'test')} in {file}",
            said=_first_line(tests[0])[:200],
            where=tests[0].failed_at or tests[0].where or "",
            owner=scene.owner_of(tests[0]),
            tests=tuple(test.id for test in tests),
        )


def _first_line(test: TestOutcome) -> str:
    return gist(test.message or test.reason or "")


def _product(scene: Scene) -> Iterator[Task]:
    yield from _of_tests(scene, "fix", "Fix", lambda test: BLAME[test.outcome] is Blame.PRODUCT and not test.suspect)


def _suspect(scene: Scene) -> Iterator[Task]:
    yield from _of_tests(
        scene,
        "suspect",
        "Look at",
        lambda test: test.suspect and (BLAME[test.outcome] is Blame.PRODUCT or test.outcome is Outcome.PASSED),
        "resilience why TEST",
    )


def _undecided(scene: Scene) -> Iterator[Task]:
    yield from _of_tests(
        scene, "undecided", "Settle", lambda test: test.outcome is Outcome.UNDECIDED, "resilience why TEST"
    )


def _timed_out(scene: Scene) -> Iterator[Task]:
    yield from _of_tests(
        scene, "timeout", "Find out why this hung:", lambda test: test.outcome is Outcome.TIMEOUT, "resilience why TEST"
    )


def _passed(scene: Scene, task: Task) -> str:
    """All its tests passed in the last run that says anything of them."""
    outcomes = [test.outcome if (test := scene.last.get(name)) else None for name in task.tests]
    if not outcomes or not all(outcome in _PASSES for outcome in outcomes):
        return ""
    suspects = any(scene.last[name].suspect for name in task.tests)
    if suspects:
        return ""
    there = all(name in scene.on_staging for name in task.tests)
    return "passed on real staging" if there else "passed on stand-ins"


def _settled_there(scene: Scene, task: Task) -> str:
    """A pass on a stand-in settles nothing that an outage left open, only one on real staging does."""
    return _passed(scene, task) if all(name in scene.on_staging for name in task.tests) else ""


def _judged(scene: Scene, task: Task) -> str:
    """An undecided test is settled by whatever decides it: a pass there, or a failure that is then a task of its own."""
    if not task.tests or not all(name in scene.on_staging for name in task.tests):
        return ""
    outcomes = {scene.last[name].outcome for name in task.tests}
    if Outcome.UNDECIDED in outcomes:
        return ""
    return "decided on real staging: " + listing(sorted(outcome.value for outcome in outcomes))


def _gaps(scene: Scene) -> Iterator[Task]:
    """One task a service: what a stand-in lacks is mended in its `prepare`, or by teaching it, for all tests at once."""
    by_service: dict[str, list[TestOutcome]] = {}
    for suite in scene.suites:
        for test in suite.tests:
            if test.outcome is Outcome.STAND_IN_GAP:
                by_service.setdefault(test.service or "", []).append(test)
    for service, tests in by_service.items():
        why = next((test.reason or test.message or "" for test in tests), "")
        yield Task(
            key=f"gap:{service}",
            what=f"Close the gap of the stand-in{f' for {service}' if service else ''}: {plural(len(tests), 'test')} "
            f"met it ({why[:160]})",
            command=f"resilience why {shlex.quote(tests[0].id)}",
            tests=tuple(test.id for test in tests),
        )


def _never(scene: Scene) -> Iterator[Task]:
    """Tests that said nothing on real staging: held back, lost, left out by the mode, or passed on stand-ins alone."""
    tests = scene.incident.tests
    if tests is None:
        return
    totals = tests.totals
    lost = totals.infrastructure_unavailable + totals.not_run
    parts = [f"{lost:,} held back or lost"] if lost else []
    names = [test.id for test in tests.tests if test.outcome in (Outcome.INFRASTRUCTURE_UNAVAILABLE, Outcome.NOT_RUN)]
    if tests.mode is not TestExecutionMode.FULL:
        here = [test for test in tests.tests if test.outcome in _PASSES]
        names += [test.id for test in here]
        # Said apart, so that the number of passed tests is the headline's.
        passed = sum(test.outcome is Outcome.PASSED for test in here)
        marked = f"{len(here) - passed:,} xfailed" if len(here) > passed else ""
        counts = " and ".join(filter(None, (f"{passed:,} passed" if passed else "", marked)))
        parts += [f"{counts} on stand-ins or a reduced selection"] if here else []
        parts += [f"{totals.deselected:,} left out by the selection"] if totals.deselected else []
    if parts:
        yield Task(
            key="staging",
            what=f"Run on real staging what has not run there: {listing(parts)}",
            command="resilience recover",
            tests=tuple(names),
        )


def _ran_there(scene: Scene, task: Task) -> str:
    if scene.full_pass:
        return "the full suite ran on real staging"
    there = task.tests and all(name in scene.on_staging for name in task.tests)
    return "all of them ran on real staging" if there else ""


def _stand_ins(scene: Scene) -> Iterator[Task]:
    applied = scene.incident.applied
    for one in applied.stand_ins if applied is not None else ():
        if not one.ready:
            yield Task(
                key=f"stand-in:{one.service}",
                what=f"Make the stand-in for {one.service} come up" + (f": {one.error}" if one.error else ""),
                command=f"resilience services up {one.service}",
            )


def _comes_up(scene: Scene, task: Task) -> str:
    name, applied = task.key.partition(":")[2], scene.incident.applied
    up = applied is not None and any(one.service == name and one.ready for one in applied.stand_ins)
    return "it came up" if up else ""


def _tell(scene: Scene) -> Iterator[Task]:
    loud = [one for one in scene.incident.notices if not one.quiet]
    if loud:
        whom = listing(list(dict.fromkeys(one.whom or "whom it concerns" for one in loud)))
        yield Task(key="tell", what=f"Tell {whom}: {loud[0].reason}", command="resilience publish")


def _told(scene: Scene, _: Task) -> str:
    said = {event.what for event in scene.incident.timeline}
    return "sent" if PUBLISHED in said else "somebody took it" if ACKNOWLEDGED in said else ""


def _drill(scene: Scene) -> Iterator[Task]:
    days = scene.drilled_days
    if days is None or scene.incident.drill or 0 <= days <= OVERDUE_DAYS:
        return
    ago = "there never was one here" if days < 0 else f"the last one is {days:.0f} days old"
    yield Task(key="drill", what=f"Drill it: {ago}", command="resilience drill")


def _drilled(scene: Scene, _: Task) -> str:
    days = scene.drilled_days
    return "drilled" if days is not None and 0 <= days <= OVERDUE_DAYS else ""


def _noted(scene: Scene) -> Iterator[Task]:
    """What people noted as `action: …` is theirs; a note `done: …` with the same words ticks it off."""
    for event in scene.incident.timeline:
        if event.kind is EventKind.BY_HAND and (text := note_of(event.detail, "action")):
            yield Task(key=f"action:{text}", what=text, command=f'resilience note "done: {text}"')


def _done_by_note(scene: Scene, task: Task) -> str:
    wanted = task.key.partition(":")[2].casefold()
    done = any(
        event.kind is EventKind.BY_HAND and note_of(event.detail, "done").casefold() == wanted
        for event in scene.incident.timeline
    )
    return "noted as done" if done else ""


def note_of(detail: str, sort: str) -> str:
    """Return what a person noted as `sort: text`, without the name behind it; empty where it is no note of this sort."""
    head, colon, text = detail.partition(":")
    if not colon or head.strip().casefold() != sort:
        return ""
    return text.rpartition(" (by ")[0].strip() or text.strip()


RULES: tuple[TaskRule, ...] = (
    TaskRule(key="stage", find=_broken, settled=_finished, reason="a runbook that broke off leaves its steps undone"),
    TaskRule(key="outage", find=_outage, settled=_back, reason="as long as staging is ill, all else is a work-around"),
    TaskRule(key="tell", find=_tell, settled=_told, reason="a limit was passed, and nobody knows of it"),
    TaskRule(key="recovery", find=_recovery, settled=_back, reason="one good answer is no recovery"),
    TaskRule(
        key="restore", find=_applied, settled=_restored, reason="tests that go on with stand-ins say nothing of staging"
    ),
    TaskRule(key="copies", find=_differs, settled=_by_hand, reason="an edit of a person must not be lost"),
    TaskRule(key="shell", find=_shell, settled=_by_hand, reason="an open shell still points to stand-ins"),
    TaskRule(key="fix", find=_product, settled=_passed, reason="these are bugs, whatever staging did"),
    TaskRule(
        key="suspect", find=_suspect, settled=_settled_there, reason="a bug that comes and goes, or a look too late"
    ),
    TaskRule(key="undecided", find=_undecided, settled=_judged, reason="only a run on a well staging decides them"),
    TaskRule(
        key="timeout", find=_timed_out, settled=_settled_there, reason="nothing is known of a test that was ended"
    ),
    TaskRule(key="staging", find=_never, settled=_ran_there, reason="a pass on a stand-in is not a full pass"),
    TaskRule(key="gap", find=_gaps, settled=_by_hand, reason="the next outage meets the same gap"),
    TaskRule(key="stand-in", find=_stand_ins, settled=_comes_up, reason="the next outage needs it"),
    TaskRule(key="drill", find=_drill, settled=_drilled, reason="what was never drilled does not work at three"),
    TaskRule(key="action", find=_noted, settled=_done_by_note, reason="what people agreed on"),
)
"""In the order in which they are read: what hurts now, what was left in a mess, the product's bugs, then the next time."""
_BY_KEY = {rule.key: rule for rule in RULES}
_PLACE = {rule.key: place for place, rule in enumerate(RULES)}


def left_to_do(
    incident: Incident, *, before: Sequence[Task] = (), owners: Owners = nobody, drilled_days: float | None = None
) -> tuple[Task, ...]:
    """Return what is left to do, what is open first; `before` are the tasks that earlier runs of the same incident left.

    A task of an earlier run stays until its rule says that it is settled: that this run did not meet it is no proof. What
    this run leaves open is open, though an earlier run had settled it.
    """
    scene = Scene(incident=incident, owners=owners, drilled_days=drilled_days)
    tasks = {task.key: task for task in before}
    for rule in RULES:
        found = list(rule.find(scene))
        _make_room(tasks, found, rule.key)
        for task in found:
            known = tasks.get(task.key)
            keep = known is not None and not known.done
            tasks[task.key] = replace(
                task,
                run=known.run if known is not None and keep else incident.run,
                owner=task.owner or (known.owner if known is not None else ""),
                where=task.where or (known.where if known is not None else ""),
                done=rule.settled(scene, task),
            )
    for key, task in tasks.items():
        kind = _BY_KEY.get(key.partition(":")[0])
        if kind is not None and not task.done and (how := kind.settled(scene, task)):
            tasks[key] = replace(task, done=how)
    order = sorted(tasks.values(), key=lambda task: (bool(task.done), _PLACE.get(task.key.partition(":")[0], 99)))
    return tuple(order)


def _make_room(tasks: dict[str, Task], found: Sequence[Task], sort: str) -> None:
    """Drop earlier tasks whose tests this run asks for in another division: by file in place of one by one, or so."""
    asked = {name for task in found for name in task.tests}
    keys = {task.key for task in found}
    for key, task in list(tasks.items()):
        if key not in keys and key.partition(":")[0] == sort and not task.done and asked.intersection(task.tests):
            left = tuple(name for name in task.tests if name not in asked)
            if left:
                tasks[key] = replace(task, tests=left)
            else:
                del tasks[key]
