"""Turn several executions of several commands into where each test stands, and into what is to be run again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from resilience.core.records import Outcome, TestOutcome
from resilience.suite.endpoints import Endpoint
from resilience.suite.events import Record, Test
from resilience.suite.evidence import Judged, Look, judge_test


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

    def outcome(self, name: str) -> TestOutcome:
        judged = self.judged
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
            markers=self.test.markers,
            command=self.command,
            previous=self.previous,
        )


_RANK = (
    Outcome.DESELECTED, Outcome.NOT_RUN, Outcome.SKIPPED, Outcome.PASSED, Outcome.XPASSED, Outcome.XFAILED,
    Outcome.INFRASTRUCTURE_UNAVAILABLE, Outcome.STAND_IN_GAP, Outcome.UNDECIDED, Outcome.TIMEOUT, Outcome.ERROR, Outcome.FAILED,
)  # fmt: skip


_SAID = frozenset(
    {Outcome.PASSED, Outcome.XPASSED, Outcome.XFAILED, Outcome.FAILED, Outcome.ERROR, Outcome.STAND_IN_GAP}
)


class Board:
    """Where every test stands: each once, by rootdir and node id; the worst of several commands, the last of several rounds."""

    def __init__(self) -> None:
        self.standings: dict[tuple[str, str], Standing] = {}

    def take(
        self, record: Record, *, command: int, round: int, endpoints: Sequence[Endpoint], looks: Sequence[Look],
        planned: Collection[str] = (), not_run: str = "",
    ) -> None:  # fmt: skip
        """Take one execution. From the second round on only tests that ran, or are newly seen, say something."""
        collected_roots = {root for (root, _), test in record.tests.items() if not test.collector}
        for key, test in record.tests.items():
            judged = judge_test(test, endpoints=endpoints, looks=looks)
            if judged.outcome is Outcome.NOT_RUN and not_run:
                reason = not_run.replace("never reached", "began and never ended") if test.begun else not_run
                judged = Judged(Outcome.NOT_RUN, reason=reason)
            held_by_plan = test.held is not None and test.held[0] in planned and not test.failures
            ran = (test.begun and test.held is None) or test.collector
            known = self.standings.get(key)
            if known is None:
                self.standings[key] = Standing(
                    test, judged, 1 if ran else 0, test.duration_s, command=command, root=key[0], planned=held_by_plan
                )
                continue
            if round > 1 and known.command == command:
                if not (test.begun or test.failures):
                    continue
                if (
                    test.held is not None
                    and not test.failures
                    and known.judged.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE
                ):
                    continue
                if known.rounds:
                    known.previous = known.judged.message or known.judged.reason or known.judged.outcome.value
                known.test.markers = known.test.markers or test.markers
                known.judged, known.planned = judged, held_by_plan
                known.rounds += 1
                known.duration_s += test.duration_s
                continue
            if known.judged.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE and judged.outcome in _SAID:
                # A later command ran the same test after all.
                known.previous = known.judged.message or known.judged.reason or None
                known.judged, known.planned, known.command = judged, False, command
                known.rounds += 1
            elif _RANK.index(judged.outcome) > _RANK.index(known.judged.outcome):
                known.judged, known.planned, known.command = judged, held_by_plan, command
            known.rounds = max(known.rounds, 1 if ran else 0)
            known.duration_s += test.duration_s
        if round > 1:
            self._drop_collected(record, command, collected_roots)

    def _drop_collected(self, record: Record, command: int, roots: Collection[str]) -> None:
        """Drop modules that could not be collected before and now could: their tests are listed instead."""
        for key in [key for key, s in self.standings.items() if s.test.collector and s.command == command]:
            root, name = key
            if root in roots and key not in record.tests and any(
                r == root and other.startswith(name + "::") for r, other in record.tests
            ):  # fmt: skip
                del self.standings[key]

    def drop_sessions(self, command: int) -> None:
        """Drop sessions that could not begin before and now did: their tests are listed instead."""
        gone = [key for key, s in self.standings.items() if s.test.id.startswith("(") and s.command == command]
        for key in gone:
            del self.standings[key]

    def again(self, command: int, back: Collection[str]) -> dict[tuple[str, str], Standing]:
        """Return the tests to run again: failed from infrastructure or held back, and their service is back.

        Where nothing but an outage ended the run early (-x, --maxfail), what it left is run with them.
        """
        mine = {key: standing for key, standing in self.standings.items() if standing.command == command}
        found = {
            key: standing
            for key, standing in mine.items()
            if standing.judged.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE and standing.judged.service in back
        }
        if found and not any(standing.judged.outcome in (Outcome.FAILED, Outcome.ERROR) for standing in mine.values()):
            found |= {
                key: one for key, one in mine.items() if one.judged.outcome is Outcome.NOT_RUN and not one.test.begun
            }
        return found

    def missed(self, command: int) -> frozenset[str]:
        """Return the services that tests of this command missed."""
        return frozenset(
            standing.judged.service
            for standing in self.standings.values()
            if standing.command == command
            and standing.judged.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE
            and standing.judged.service is not None
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
