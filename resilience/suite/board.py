"""Turn several executions of several commands into where each test stands, and into what is to be run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from resilience.core.records import Evidence, Outcome, TestOutcome
from resilience.suite.again import Again, settle
from resilience.suite.events import Record, Test
from resilience.suite.evidence import Judged, Scene, judge_test

Key = tuple[str, str]
"""Rootdir and node id."""


@dataclass(slots=True)
class Standing:
    """Where one test stands after the rounds so far."""

    test: Test
    judged: Judged
    rounds: int = 0
    duration_s: float = 0.0
    previous: str | None = None
    command: int = 0
    root: str = ""
    planned: bool = False
    """Held back by the plan, before the run began."""
    first: Judged | None = None
    """What its first run came to, where that failed."""
    evidence: list[Evidence] = field(default_factory=list)
    answered: Mapping[str, int] = field(default_factory=dict)
    """How many answers stand-ins gave it in its last round, by from where they had them."""

    def keep(self, judged: Judged) -> None:
        """Take a judgement, and its evidence, for what stands."""
        self.judged = judged
        if judged.evidence is not None:
            self.evidence.append(judged.evidence)

    def outcome(self, name: str) -> TestOutcome:
        """Return the test's record. What pytest showed is that of the judgement which stands, so a test that passed has none."""
        judged, test = self.judged, self.test
        return TestOutcome(
            id=name,
            outcome=judged.outcome,
            rounds=self.rounds,
            duration_s=round(self.duration_s, 4),
            fault=judged.fault,
            service=judged.service,
            suspect=judged.suspect,
            message=judged.message or None,
            reason=judged.reason or None,
            markers=test.markers,
            command=self.command,
            previous=self.previous,
            failed_at=judged.failed_at or None,
            shown=judged.shown or None,
            output=judged.output or None,
            where=f"{test.file or test.id.partition('::')[0]}:{test.line}" if test.line else None,
            evidence=tuple(self.evidence),
            answered_by=self.answered,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Tests that are run again together, in a new process. `whole`: with their whole class or file."""

    standings: Mapping[Key, Standing]
    whole: bool = False


ALONE_AT_MOST = 8
"""So many tests get a process of their own; further ones share one."""


_RANK = (
    Outcome.DESELECTED, Outcome.NOT_RUN, Outcome.SKIPPED, Outcome.PASSED, Outcome.XPASSED, Outcome.XFAILED,
    Outcome.INFRASTRUCTURE_UNAVAILABLE, Outcome.STAND_IN_GAP, Outcome.UNDECIDED, Outcome.TIMEOUT, Outcome.ERROR, Outcome.FAILED,
)  # fmt: skip


_SAID = frozenset(
    {Outcome.PASSED, Outcome.XPASSED, Outcome.XFAILED, Outcome.FAILED, Outcome.ERROR, Outcome.STAND_IN_GAP}
)


def _with_why_not_run(judged: Judged, test: Test, why: str) -> Judged:
    """Give a test that said nothing the reason why the command ended before it; one that failed has its own."""
    if judged.outcome is not Outcome.NOT_RUN or not why or test.failures:
        return judged
    reason = why.replace("never reached", "began and never ended") if test.begun else why
    return Judged(outcome=Outcome.NOT_RUN, rule=2, reason=reason)


class Board:
    """Where every test stands: each once, by rootdir and node id; the worst of several commands, the last of several rounds."""

    def __init__(self) -> None:
        self.standings: dict[tuple[str, str], Standing] = {}

    def take(
        self, record: Record, scene: Scene, *, command: int, planned: Collection[str] = (), not_run: str = "",
        batch: Batch | None = None, more: bool = True,
    ) -> None:  # fmt: skip
        """Take one execution. From the second round on only tests that were asked for, or are newly seen, say something.

        `planned` are the reasons of the plan for holding tests back, `not_run` says why tests never ran, `more` whether
        another round is allowed.
        """
        collected_roots = {root for (root, _), test in record.tests.items() if not test.collector}
        for key, test in record.tests.items():
            judged = _with_why_not_run(judge_test(test, scene), test, not_run)
            held_by_plan = _held_by_plan(test, judged, planned)
            ran = (test.begun and test.held is None) or test.collector
            known = self.standings.get(key)
            if known is None:
                self._new(key, test, judged, command, ran=ran, planned=held_by_plan)
            elif scene.round > 1 and known.command == command:
                if batch is None or key in batch.standings:
                    self._again(known, test, judged, batch, planned=held_by_plan, more=more)
            else:
                self._elsewhere(known, judged, command, ran=ran, planned=held_by_plan)
                known.duration_s += test.duration_s
        for key, test in record.tests.items():
            if test.begun and (standing := self.standings.get(key)) is not None:
                standing.answered = Counter(answer.source for answer in scene.answers_to(test.id))
        if scene.round > 1:
            self._drop_collected(record, command, collected_roots)

    def _new(self, key: Key, test: Test, judged: Judged, command: int, *, ran: bool, planned: bool) -> None:
        standing = Standing(
            test, judged, 1 if ran else 0, test.duration_s, command=command, root=key[0], planned=planned
        )
        standing.keep(judged)
        if test.failures:
            standing.first = judged
        self.standings[key] = standing

    def _again(
        self, known: Standing, test: Test, judged: Judged, batch: Batch | None, *, planned: bool, more: bool
    ) -> None:  # fmt: skip
        """Settle a test that was run again; where it did not begin, or was held back, what stood before stands."""
        if not (test.begun or test.failures):
            return
        if test.held is not None and not test.failures:
            return
        if known.rounds:
            known.previous = known.judged.message or known.judged.reason or known.judged.outcome.value
        if known.first is not None:
            whole = batch is not None and batch.whole
            judged = settle(Again(first=known.first, now=judged, whole=whole, more=more))
        elif test.failures:
            known.first = judged
        known.test.markers = known.test.markers or test.markers
        known.keep(judged)
        known.planned = planned
        known.rounds += 1
        known.duration_s += test.duration_s

    def _elsewhere(self, known: Standing, judged: Judged, command: int, *, ran: bool, planned: bool) -> None:
        """Take what another command said of the same test: the worse of the two, but for an outage that the other did not meet."""
        lost = known.judged.outcome in (Outcome.INFRASTRUCTURE_UNAVAILABLE, Outcome.UNDECIDED)
        if lost and judged.outcome in _SAID:
            known.previous = known.judged.message or known.judged.reason or None
            known.keep(judged)
            known.planned, known.command = False, command
            known.rounds += 1
        elif _RANK.index(judged.outcome) > _RANK.index(known.judged.outcome):
            known.keep(judged)
            known.planned, known.command = planned, command
        known.rounds = max(known.rounds, 1 if ran else 0)

    def _drop_collected(self, record: Record, command: int, roots: Collection[str]) -> None:
        """Drop modules that could not be collected before and now could: their tests are listed instead."""
        for key in [key for key, s in self.standings.items() if s.test.collector and s.command == command]:
            root, name = key
            if root in roots and key not in record.tests and any(
                r == root and other.startswith(name + "::") for r, other in record.tests
            ):  # fmt: skip
                del self.standings[key]

    def give_up(self, command: int, judged: Judged) -> None:
        """Let what the session left unrun share the judgement of what ended it, where that may have been an outage."""
        if not judged.again:
            return
        lost = judged.outcome in (Outcome.INFRASTRUCTURE_UNAVAILABLE, Outcome.UNDECIDED)
        for standing in self.standings.values():
            if standing.command == command and standing.judged.outcome is Outcome.NOT_RUN and not standing.test.state:
                outcome = judged.outcome if lost else Outcome.NOT_RUN
                standing.keep(
                    replace(judged, outcome=outcome, rule=2, reason=f"never run: {judged.message}; {judged.reason}")
                )

    def drop_sessions(self, command: int) -> None:
        """Drop sessions that could not begin before and now did: their tests are listed instead."""
        gone = [key for key, s in self.standings.items() if s.test.id.startswith("(") and s.command == command]
        for key in gone:
            del self.standings[key]

    def again(self, command: int, well: Callable[[str], bool]) -> tuple[Batch, ...]:
        """Return what to run again, each batch in a process of its own: what a second run settles, its services being well.

        Where nothing but an outage ended the run early (-x, --maxfail), what it left is run with them.
        """
        mine = {key: standing for key, standing in self.standings.items() if standing.command == command}
        found = {
            key: one for key, one in mine.items() if one.judged.again and all(well(name) for name in one.judged.needs)
        }
        if not found:
            return ()
        whole = {key: one for key, one in found.items() if one.judged.rule == 17}
        alone = [key for key, one in found.items() if one.judged.alone][:ALONE_AT_MOST]
        left = {} if any(map(_is_the_products, mine.values())) else dict(filter(_was_left, mine.items()))
        together = {key: one for key, one in found.items() if key not in whole and key not in alone} | left
        batches = (
            Batch(standings=together),
            *(Batch(standings={key: found[key]}) for key in alone),
            Batch(standings=whole, whole=True),
        )
        return tuple(batch for batch in batches if batch.standings)

    def unsettled(self, command: int, well: Callable[[str], bool]) -> None:
        """Leave undecided what a second run would have settled, where a service it needs was not well when that run was due.

        It failed beside a look that found the service well; that the service is away now is the trace of an outage that the look
        lacked, and no proof that it was away then.
        """
        for standing in self.standings.values():
            judged = standing.judged
            away = sorted(name for name in judged.needs if not well(name))
            due = standing.command == command and judged.again and judged.suspect and away
            if due and judged.outcome in (Outcome.FAILED, Outcome.ERROR):
                reason = (
                    f"{judged.reason}; it could not be run again, as {', '.join(away)} was unwell when that was due"
                )
                evidence = judged.evidence
                if evidence is not None:
                    evidence = replace(evidence, judgement=Outcome.UNDECIDED, reason=reason)
                standing.keep(
                    replace(judged, outcome=Outcome.UNDECIDED, suspect=False, reason=reason, evidence=evidence)
                )

    def missed(self, command: int) -> frozenset[str]:
        """Return the services that have to be well before tests of this command can be run again."""
        return frozenset(
            name
            for standing in self.standings.values()
            if standing.command == command and standing.judged.again
            for name in standing.judged.needs
        )

    def outcomes(self) -> tuple[TestOutcome, ...]:
        """Return each test once. Where two rootdirs have the same node id, the rootdir's name stands before it."""
        several: dict[str, int] = {}
        for _, name in self.standings:
            several[name] = several.get(name, 0) + 1
        return tuple(
            standing.outcome(name if several[name] == 1 else f"{root.rstrip('/').rpartition('/')[2]}/{name}")
            for (root, name), standing in self.standings.items()
        )

    def blocked(self) -> bool:
        """Whether an outage took tests that the plan had not held back beforehand, or left nothing that ran."""
        outcomes = [standing.judged.outcome for standing in self.standings.values()]
        if any(
            standing.judged.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE and not standing.planned
            for standing in self.standings.values()
        ):
            return True
        return Outcome.INFRASTRUCTURE_UNAVAILABLE in outcomes and not any(
            outcome in (Outcome.PASSED, Outcome.XFAILED, Outcome.XPASSED) for outcome in outcomes
        )


def _is_the_products(standing: Standing) -> bool:
    """Whether this test's failure is surely the product's: no second run settles anything about it."""
    return standing.judged.outcome in (Outcome.FAILED, Outcome.ERROR) and not standing.judged.again


def _held_by_plan(test: Test, judged: Judged, planned: Collection[str]) -> bool:
    """Whether the plan holds this test back: it was, or it ran for its set-up alone and met no more than what is down."""
    if test.let is not None and judged.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE:
        return test.let.reason in planned
    return test.held is not None and test.held[0] in planned and not test.failures


def _was_left(entry: tuple[Key, Standing]) -> bool:
    """Whether an early end left this test: it did not run, and never began."""
    standing = entry[1]
    return standing.judged.outcome is Outcome.NOT_RUN and not standing.test.begun
