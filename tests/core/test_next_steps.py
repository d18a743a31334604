"""What to type next is never what was done already or cannot be done now."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from resilience.core.next_steps import RULES, Situation, in_one_line, next_steps
from resilience.core.records import ConnectivityStatus as S


def everything() -> Iterator[Situation]:
    """The whole domain of what decides."""
    for staging, fallback, elsewhere, killed, dead, configured, blocked, changes in product(
        (None, *S), ("", "unfinished", "applied"), ("", "far"), ("", "day/run"), ((), ("redis",)), *[(True, False)] * 3
    ):
        if (elsewhere or dead) and not fallback:
            continue  # only what is applied is applied elsewhere, or has stand-ins
        yield Situation(
            staging=staging, fallback=fallback, elsewhere=elsewhere, killed=killed, run="day/other", dead=dead,
            configured=configured, blocked=blocked, changes=changes,
        )  # fmt: skip
    yield Situation(left_behind=".env.test.active")


def commands(it: Situation) -> list[str]:
    return [step.command for step in next_steps(it)]


def test_something_is_proposed_whatever_is_so_and_each_rule_is_needed() -> None:
    used = set()
    for it in everything():
        assert next_steps(it)
        used.add(next(number for number, (holds, _, _) in enumerate(RULES) if holds(it)))
    assert used == set(range(len(RULES)))


def test_apply_is_proposed_only_where_it_would_change_something_and_has_not_yet() -> None:
    for it in everything():
        if "resilience apply" in commands(it):
            assert it.changes
            assert not it.blocked
            assert not it.fallback
            assert it.configured
            assert it.staging not in (None, S.AVAILABLE)


def test_restore_and_recover_are_proposed_only_for_what_is_applied_or_blocked() -> None:
    for it in everything():
        if "resilience restore" in commands(it):
            assert it.fallback
        if "resilience recover" in commands(it):
            assert it.fallback or it.blocked


def test_tests_are_proposed_only_where_they_can_run() -> None:
    for it in everything():
        if "resilience test" in commands(it):
            assert not (it.blocked and not it.fallback and it.staging is not S.AVAILABLE)
            assert not it.dead
            assert it.configured or it.fallback


@pytest.mark.parametrize(
    ("it", "typed"),
    [
        (Situation(), "resilience assess"),
        (Situation(staging=S.AVAILABLE), "resilience test"),
        (Situation(staging=S.UNAVAILABLE), "resilience plan, then resilience apply, then resilience test"),
        (Situation(staging=S.UNAVAILABLE, blocked=True), "resilience recover, then resilience doctor"),
        (Situation(staging=S.UNAVAILABLE, changes=False), "resilience test"),
        (Situation(staging=S.UNAVAILABLE, configured=False, changes=False), "resilience init"),
        (Situation(staging=S.UNKNOWN, changes=False), "resilience doctor"),
        (Situation(staging=S.UNKNOWN), "resilience doctor, then resilience plan"),
        (Situation(staging=S.UNAVAILABLE, fallback="applied"), "resilience test, then resilience recover"),
        (Situation(staging=S.AVAILABLE, fallback="applied"), "resilience recover"),
        (Situation(fallback="applied", dead=("redis",)), "resilience services up redis"),
        (Situation(fallback="unfinished", run="day/run"), "resilience resume day/run, then resilience restore"),
        (Situation(killed="day/run"), "resilience resume day/run"),
        (Situation(fallback="applied", elsewhere="far"), "resilience restore"),
    ],
)
def test_what_to_type(it: Situation, typed: str) -> None:
    assert in_one_line(next_steps(it)) == typed


def test_a_file_whose_undo_data_are_gone_is_put_back_by_hand_before_anything_else() -> None:
    it = Situation(staging=S.UNAVAILABLE, left_behind=".env.test.active", killed="day/run")
    assert commands(it) == ["git checkout -- .env.test.active", "resilience services down"]
