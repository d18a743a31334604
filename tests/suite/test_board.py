"""Each test stands once, whatever commands and rounds said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.records import Outcome
from resilience.suite.board import Board, Standing
from resilience.suite.events import Test
from resilience.suite.evidence import Judged
from tests.kits.testrun_kit import (
    INFRA,
    PYTEST,
    LineServer,
    adds_up,
    by_id,
    run,
    write,
)


async def test_what_a_retry_plugin_of_the_teams_ran_again_counts_as_it_ended(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        conftest="""
        from _pytest.runner import runtestprotocol
        def pytest_runtest_protocol(item, nextitem):
            for attempt in range(2):
                item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
                reports = runtestprotocol(item, nextitem=nextitem, log=False)
                again = attempt == 0 and any(report.failed for report in reports)
                for report in reports:
                    if again and report.failed:
                        report.outcome = "rerun"
                    item.ihook.pytest_runtest_logreport(report=report)
                if not again:
                    break
            return True
        def pytest_report_teststatus(report):
            if report.outcome == "rerun":
                return "rerun", "R", ("RERUN", {"yellow": True})
        """,
        test_a="""
        from helpers import hello
        seen = []
        def test_flaky():
            seen.append(1)
            if len(seen) == 1: hello()
        def test_dead(): hello()
        """,
    )
    result = await run(root, out, {"database": database}, attempts=0)
    assert by_id(result) == {"test_flaky": Outcome.PASSED, "test_dead": INFRA}


async def test_the_same_test_in_two_commands_is_one_test(root: Path, out: Path, database: LineServer) -> None:
    write(
        root,
        test_a="""
        from helpers import hello
        def test_db(): hello()
        def test_pure(): pass
        """,
    )
    result = await run(
        root,
        out,
        {"database": database},
        PYTEST,
        PYTEST,
        attempts=1,
        hook=lambda n: (n >= 3 and database.up(), None)[1],
    )
    adds_up(result, 2)
    assert set(by_id(result).values()) == {Outcome.PASSED}
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("outcome", "suspect", "well", "right"),
    [
        (Outcome.FAILED, True, False, Outcome.UNDECIDED),
        (Outcome.ERROR, True, False, Outcome.UNDECIDED),
        (Outcome.FAILED, True, True, Outcome.FAILED),
        (Outcome.FAILED, False, False, Outcome.FAILED),
        (Outcome.INFRASTRUCTURE_UNAVAILABLE, True, False, Outcome.INFRASTRUCTURE_UNAVAILABLE),
    ],
    ids=["sign", "sign in a set-up", "well again", "no sign", "an outage"],
)
def test_a_sign_beside_a_green_look_is_undecided_where_the_service_was_away_when_it_was_to_run_again(
    outcome: Outcome, suspect: bool, well: bool, right: Outcome
) -> None:
    board = Board()
    judged = Judged(outcome=outcome, rule=13, suspect=suspect, again=True, needs=frozenset({"redis"}))
    board.standings["/p", "a::t"] = Standing(Test("a::t"), judged, 1)
    board.unsettled(0, lambda name: well)
    assert board.standings["/p", "a::t"].judged.outcome is right


def test_what_a_second_run_has_settled_stays() -> None:
    board = Board()
    judged = Judged(outcome=Outcome.FAILED, rule=13, suspect=True, needs=frozenset({"redis"}))
    board.standings["/p", "a::t"] = Standing(Test("a::t"), judged, 2)
    board.unsettled(0, lambda name: False)
    assert board.standings["/p", "a::t"].judged.outcome is Outcome.FAILED
