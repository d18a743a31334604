"""A command is run again for what only an outage stopped, and for nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from resilience.core.records import Outcome, Verdict
from resilience.suite.testrun import TestRunInterrupted
from tests.kits.testrun_kit import (
    INFRA,
    PYTEST,
    LineServer,
    adds_up,
    by_id,
    run,
    write,
)


async def test_only_what_an_outage_stopped_runs_again_when_the_service_is_back(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_db="""
        import pytest
        from helpers import hello
        @pytest.fixture(scope="session")
        def db(): return hello()
        @pytest.mark.parametrize("n", range(5))
        def test_db(db, n): pass
        def test_once(tmp_path_factory):
            with open("ran-once", "a") as f: f.write("x")
        def test_hidden_bug(db): assert 0
        """,
    )
    result = await run(
        root,
        out,
        {"database": database},
        hook=lambda number: (number >= 2 and database.up(), None)[1],
        wait_for_services_s=20,
        skip=False,
    )
    adds_up(result, 7)
    assert (root / "ran-once").read_text() == "xx", "once more with the file of the test whose error was another one"
    assert (result.totals.passed, result.totals.failed) == (6, 1)
    assert (result.totals.retried, result.totals.passed_on_retry) == (6, 5)
    hidden = next(test for test in result.tests if "hidden" in test.id)
    assert [evidence.rule for evidence in hidden.evidence] == [11, 17, 17]
    assert "the outage had hidden this" in (hidden.reason or "")
    assert result.commands[0].rounds == 3


async def test_a_connection_while_modules_are_imported_takes_only_those_modules(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_import="from helpers import hello\nhello()\ndef test_a(): pass\ndef test_b(): pass\n",
        test_pure="def test_c(): pass\n",
    )
    result = await run(root, out, {"database": database}, attempts=0)
    assert by_id(result) == {"test_import.py": INFRA, "test_c": Outcome.PASSED}
    assert result.exit_code == 20
    again = await run(root, out, {"database": database}, hook=lambda n: (n >= 2 and database.up(), None)[1])
    assert by_id(again) == {"test_a": Outcome.PASSED, "test_b": Outcome.PASSED, "test_c": Outcome.PASSED}
    assert again.exit_code == 0


async def test_a_broken_module_stops_collection_as_it_does_in_plain_pytest(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_broken="import no_such_module\n", test_pure="def test_c(): pass\n")
    result = await run(root, out, {"database": database}, attempts=0)
    assert by_id(result) == {"test_broken.py": Outcome.ERROR, "test_c": Outcome.NOT_RUN}
    assert (result.exit_code, result.commands[0].exit_code) == (1, 2)


@pytest.mark.parametrize(
    "conftest",
    [
        "from helpers import hello\nhello()\n",
        "from helpers import hello\ndef pytest_sessionstart(session): hello()\n",
        "from helpers import hello\ndef pytest_configure(config): hello()\n",
    ],
    ids=["import", "session start", "configure"],
)
async def test_a_connection_at_the_start_of_a_session_is_named_and_run_again(
    root: Path, out: Path, database: LineServer, conftest: str
) -> None:
    write(root, conftest=conftest, test_pure="def test_c(): pass\n")
    result = await run(root, out, {"database": database}, PYTEST, attempts=0)
    assert [test.outcome for test in result.tests] == [INFRA]
    assert result.tests[0].service == "database"
    assert result.exit_code == 20
    again = await run(root, out, {"database": database}, PYTEST, hook=lambda n: (n >= 2 and database.up(), None)[1])
    assert by_id(again) == {"test_c": Outcome.PASSED}


@pytest.mark.parametrize("ends", ["pytest.exit(f'no database: {exc}')", "pytest.fail(str(exc))"], ids=["exit", "fail"])
async def test_a_fixture_that_ends_the_session_or_fails_it_in_an_outage_is_run_again(
    root: Path, out: Path, database: LineServer, ends: str
) -> None:
    write(
        root,
        test_db=f"""
        import pytest
        from helpers import hello
        @pytest.fixture(scope="session")
        def db():
            try: return hello()
            except OSError as exc: {ends}
        def test_first(): pass
        @pytest.mark.parametrize("n", range(3))
        def test_db(db, n): pass
        def test_last(): pass
        """,
    )
    away = await run(root, out / "away", {"database": database}, attempts=0)
    adds_up(away, 5)
    assert Outcome.FAILED not in by_id(away).values()
    assert away.exit_code == 20
    back = await run(
        root, out / "back", {"database": database}, wait_for_services_s=20,
        hook=lambda number: (number >= 3 and database.up(), None)[1],
    )  # fmt: skip
    assert set(by_id(back).values()) == {Outcome.PASSED}
    assert back.exit_code == 0


async def test_a_session_that_ends_itself_on_a_healthy_day_is_no_outage(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_db="import pytest\ndef test_a(): pytest.exit('enough')\ndef test_b(): pass\n")
    result = await run(root, out, {"database": database.up()})
    assert (result.exit_code, result.verdict) == (21, Verdict.UNKNOWN)
    assert set(by_id(result).values()) == {Outcome.NOT_RUN}


async def test_a_broken_conftest_is_the_products_error(root: Path, out: Path, database: LineServer) -> None:
    write(root, conftest="import no_such_module\n", test_pure="def test_c(): pass\n")
    result = await run(root, out, {"database": database}, attempts=0)
    assert [test.outcome for test in result.tests] == [Outcome.ERROR]
    assert result.exit_code == 1


async def test_a_process_that_ends_in_the_middle_is_no_success(root: Path, out: Path, database: LineServer) -> None:
    write(root, test_a="import os\ndef test_a(): pass\ndef test_b(): os._exit(0)\ndef test_c(): pass\n")
    result = await run(root, out, {"database": database})
    assert by_id(result) == {"test_a": Outcome.PASSED, "test_b": Outcome.ERROR, "test_c": Outcome.NOT_RUN}
    assert result.commands[0].exit_code == 0
    assert result.exit_code == 1


async def test_what_maxfail_left_is_not_run(root: Path, out: Path, database: LineServer) -> None:
    write(root, test_a="def test_a(): assert 0\ndef test_b(): pass\ndef test_c(): pass\n")
    result = await run(root, out, {"database": database}, f"{PYTEST} -x")
    adds_up(result, 3)
    assert (result.totals.failed, result.totals.not_run) == (1, 2)


async def test_what_an_outage_alone_left_unrun_is_run_when_it_is_over(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_a="from helpers import hello\ndef test_a(): hello()\ndef test_b(): pass\ndef test_c(): hello()\n")
    result = await run(
        root, out, {"database": database}, f"{PYTEST} -x", hook=lambda n: (n >= 2 and database.up(), None)[1]
    )
    assert set(by_id(result).values()) == {Outcome.PASSED}
    adds_up(result, 3)
    assert result.exit_code == 0


async def test_nothing_collected_and_usage_errors_are_unknown_never_passed(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_a="x = 1\n")
    nothing = await run(root, out, {"database": database})
    assert (nothing.exit_code, nothing.verdict) == (21, Verdict.UNKNOWN)
    assert "nothing was collected" in nothing.commands[0].evidence
    usage = await run(root, out, {"database": database}, "pytest --no-such-option")
    assert usage.exit_code == 21
    assert usage.commands[0].exit_code == 4


async def test_cancelling_while_waiting_for_a_service_keeps_the_first_round(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_a="from helpers import hello\ndef test_a(): hello()\ndef test_b(): pass\n")
    waiting = asyncio.Event()
    task = asyncio.create_task(
        run(
            root,
            out,
            {"database": database},
            wait_for_services_s=600,
            on_event=lambda event: waiting.set() if event.phase == "waiting" else None,
        )
    )
    await asyncio.wait_for(waiting.wait(), 30)
    task.cancel()
    with pytest.raises(TestRunInterrupted) as raised:
        await task
    partial = raised.value.partial
    assert by_id(partial) == {"test_a": INFRA, "test_b": Outcome.PASSED}
    assert (partial.exit_code, len(partial.commands)) == (130, 1)


async def test_a_chain_of_commands_goes_on_in_the_second_run(root: Path, out: Path, database: LineServer) -> None:
    write(
        root,
        one__test_one="from helpers import hello\ndef test_db(): hello()\n",
        two__test_two="def test_two(): pass\n",
        conftest="import sys, os\nsys.path.insert(0, os.path.dirname(__file__))\n",
    )
    result = await run(
        root,
        out,
        {"database": database},
        f"{PYTEST} one && {PYTEST} two",
        hook=lambda n: (n >= 2 and database.up(), None)[1],
    )
    assert by_id(result) == {"test_db": Outcome.PASSED, "test_two": Outcome.PASSED}
    assert result.exit_code == 0


async def test_a_command_that_fails_without_a_failing_test_has_failed(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_a="def test_a(): pass\n")
    result = await run(root, out, {"database": database}, f"{PYTEST} && exit 7")
    assert result.exit_code == 1
    assert result.commands[0].evidence == "exit code 7, although no test failed"
    original = await run(root, out, {"database": database}, f"{PYTEST} && exit 7", exit_code="original")
    assert original.exit_code == 7


async def test_a_first_run_can_be_restricted_to_some_tests(root: Path, out: Path, database: LineServer) -> None:
    write(root, test_a="def test_a(): assert 0\ndef test_b(): pass\n", test_c="def test_c(): pass\n")
    result = await run(root, out, {"database": database}, attempts=0, only=("test_a.py::test_a", "test_c.py::test_c"))
    ran = {name: outcome for name, outcome in by_id(result).items() if outcome is not Outcome.DESELECTED}
    assert ran == {"test_a": Outcome.FAILED, "test_c": Outcome.PASSED}
