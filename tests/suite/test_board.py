"""Each test stands once, whatever commands and rounds said of it."""

from __future__ import annotations

from pathlib import Path

from resilience.core.records import Outcome
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
