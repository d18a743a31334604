"""The test run: an outage never looks like a bug, a bug never looks like an outage."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from resilience.core.errors import UsageError
from resilience.core.records import FaultCode, Outcome, StandIn, TestExecutionMode, TestSuiteResult, Verdict
from resilience.core.secret import Secret
from resilience.core.words import result_lines
from resilience.suite.records import Instruments, Place, Progress, Request
from resilience.suite.testrun import TestRunInterrupted, run_suite
from tests.kits.kinds import ServiceType
from tests.kits.testrun_kit import ALONE, PYTEST, LineServer, Probe, by_id, run, settings, wait_until, write

NO_XDIST = "-p no:xdist -p no:xdist.looponfail"
INFRA = Outcome.INFRASTRUCTURE_UNAVAILABLE


@pytest.fixture
def database() -> Iterator[LineServer]:
    server = LineServer()
    yield server
    server.down()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "project"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


def adds_up(result: TestSuiteResult, collected: int) -> None:
    assert result.total_tests == collected == len(result.tests), [t.id for t in result.tests]


async def test_each_kind_of_test_is_counted_once_and_judged_by_its_cause(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_all='''
        import os, socket, unittest, warnings, pytest
        from helpers import hello

        @pytest.fixture(scope="session")
        def db(): return hello()

        @pytest.fixture(scope="class")
        def for_class(): return hello()

        @pytest.fixture
        def closes():
            yield
            hello()

        def test_passes(): pass
        def test_needs_db(db): pass
        def test_needs_db_again(db): pass
        def test_teardown(closes): pass
        @pytest.mark.xfail
        def test_xfail(): assert 0
        @pytest.mark.xfail
        def test_xpass(): pass
        @pytest.mark.xfail(strict=True)
        def test_strict(): pass
        @pytest.mark.skip(reason="later")
        def test_skipped(): pass
        def test_bug(): assert 1 == 2
        def test_bug_with_network_behind_it():
            try:
                hello()
            except OSError:
                assert False, "connection refused"
        def test_fail_with_network_behind_it():
            try:
                hello()
            except OSError as exc:
                pytest.fail(str(exc))
        def test_elsewhere():
            socket.create_connection(("127.0.0.1", int(os.environ["OTHER_PORT"])), timeout=1)
        def test_wrapped():
            try:
                hello()
            except OSError as exc:
                raise RuntimeError("could not start") from exc
        def test_file_is_missing(): open("no-such-file")
        @pytest.mark.parametrize("x", ["a b", "[1]", "ü::x", "a/b.py::c", "", "%s{}"])
        def test_odd(x): pass
        def test_subtests(subtests):
            with subtests.test("network"): hello()
            with subtests.test("fine"): pass
        def test_subtests_with_a_bug(subtests):
            with subtests.test("network"): hello()
            with subtests.test("bug"): assert 0
        class TestClass:
            def test_one(self, for_class): pass
            def test_two(self, for_class): pass
        class Old(unittest.TestCase):
            def setUp(self): hello()
            def test_old(self): pass
        async def test_async():
            import asyncio
            await asyncio.open_connection("127.0.0.1", int(os.environ["DB_PORT"]))
        def documented():
            """
            >>> 1 + 1
            2
            """
        def test_group():
            raise ExceptionGroup("several", [ConnectionRefusedError(111, "x"), AssertionError("bug")])
        ''',
    )
    other = LineServer()
    result = await run(
        root,
        out,
        {"database": database},
        "pytest -q -p no:cacheprovider --doctest-modules -o asyncio_mode=auto test_all.py",
        env={"OTHER_PORT": str(other.port)},
        attempts=0,
    )
    adds_up(result, 28)
    found = by_id(result)
    for name in ("needs_db", "needs_db_again", "teardown", "wrapped", "subtests", "one", "two", "old", "async"):
        assert found[f"test_{name}"] is INFRA, name
    for name in (
        "strict",
        "bug",
        "file_is_missing",
        "group",
    ):
        assert found[f"test_{name}"] is Outcome.FAILED, name
    for name in ("bug_with_network_behind_it", "fail_with_network_behind_it", "subtests_with_a_bug", "elsewhere"):
        assert found[f"test_{name}"] is Outcome.UNDECIDED, name
    assert found["test_xfail"] is Outcome.XFAILED
    assert found["test_xpass"] is Outcome.XPASSED
    assert found["test_skipped"] is Outcome.SKIPPED
    tests = {test.id.rpartition("::")[2]: test for test in result.tests}
    assert tests["test_needs_db"].service == "database"
    assert tests["test_needs_db"].fault is FaultCode.TCP_REFUSED
    assert "no configured service" in (tests["test_elsewhere"].reason or "")
    assert [evidence.rule for evidence in tests["test_bug_with_network_behind_it"].evidence] == [15]
    assert tests["test_needs_db"].where == "test_all.py:17"
    assert (result.exit_code, result.verdict) == (1, Verdict.PRODUCT_FAILURES)


async def test_what_the_suite_prints_and_its_folder_are_as_with_plain_pytest(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_one="def test_a(): print('ü')\ndef test_b(): assert 0\n",
        **{"pytest.ini": "[pytest]\naddopts = --strict-markers\n"},
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *ALONE.split(), "--durations=0", "-vv"]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    plain = await asyncio.to_thread(
        subprocess.run, command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, check=False
    )
    before = sorted(path.name for path in root.rglob("*"))
    printed: list[bytes] = []
    result = await run(root, out, {"database": database}, " ".join(command), printed=printed)

    def timeless(text: bytes) -> list[str]:
        return [
            line
            for line in text.decode().splitlines()
            if not any(phase in line for phase in ("s call", "s setup", "s teardown"))
            and "failed, 1 passed in" not in line
        ]

    assert timeless(b"".join(printed)) == timeless(plain.stdout)
    assert sorted(path.name for path in root.rglob("*")) == before
    assert result.commands[0].exit_code == plain.returncode == 1


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


async def test_nobody_waits_for_a_service_that_was_known_to_be_down(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_db="""
        import pytest
        from helpers import hello
        @pytest.mark.real_database
        def test_held(): raise SystemExit("must not run")
        def test_unmarked(): hello()
        def test_pure(): pass
        """,
    )
    seen: list[Progress] = []
    result = await run(
        root,
        out,
        {"database": database},
        dead={"database": "database is down"},
        on_event=seen.append,
        wait_for_services_s=60,
    )
    adds_up(result, 3)
    assert by_id(result) == {"test_held": INFRA, "test_unmarked": INFRA, "test_pure": Outcome.PASSED}
    assert not any(event.phase == "waiting" for event in seen)
    held = next(test for test in result.tests if "held" in test.id)
    assert (held.reason, held.service, held.rounds) == ("database is down", "database", 0)
    assert result.exit_code == 20


async def test_tests_held_at_the_start_run_after_all_when_the_service_returned(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root, test_db="import pytest\nfrom helpers import hello\n@pytest.mark.real_database\ndef test_held(): hello()\n"
    )
    result = await run(
        root,
        out,
        {"database": database},
        dead={"database": "database is down"},
        hook=lambda number: (database.up(), None)[1],
    )
    assert by_id(result) == {"test_held": Outcome.PASSED}
    assert result.exit_code == 0


async def test_tests_held_by_the_plan_alone_are_a_reduced_selection(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_a="import pytest\n@pytest.mark.staging\ndef test_s(): 1/0\ndef test_a(): pass\n")
    result = await run(
        root, out, {"database": database.up()}, held={"staging": "staging is down"}, mode=TestExecutionMode.DEGRADED
    )
    assert by_id(result) == {"test_s": INFRA, "test_a": Outcome.PASSED}
    assert (result.exit_code, result.verdict) == (10, Verdict.PASSED_ON_STAND_INS)


async def test_the_breaker_holds_what_needs_a_dead_service_and_lets_the_rest_go_on(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_db="""
        import time, pytest
        from helpers import hello
        @pytest.fixture
        def connection(): return hello()
        @pytest.fixture
        def other_connection(): return 1
        @pytest.mark.parametrize("n", range(4))
        def test_by_fixture(connection, n): pass
        @pytest.mark.parametrize("n", range(40))
        def test_pure(other_connection, n): time.sleep(0.03)
        @pytest.mark.parametrize("n", range(10))
        def test_later_by_fixture(connection, n): pass
        @pytest.mark.real_database
        @pytest.mark.parametrize("n", range(10))
        def test_later_by_marker(n): hello()
        """,
    )
    result = await run(root, out, {"database": database}, attempts=1, delay_s=0.1)
    adds_up(result, 64)
    assert result.totals.passed == 40
    assert result.totals.infrastructure_unavailable == 24
    held = [test for test in result.tests if test.rounds == 0]
    assert len(held) == 20, "the breaker opened while the pure tests ran"
    assert all("database is down" in (test.reason or "") for test in held)
    assert result.exit_code == 20


async def test_a_dead_service_holds_back_what_earlier_runs_saw_use_it_and_nothing_else(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_db="""
        import time, pytest
        from helpers import hello
        @pytest.mark.parametrize("n", range(12))
        def test_body(n):
            time.sleep(0.1)
            hello()
        @pytest.mark.parametrize("n", range(3))
        def test_pure(n): pass
        """,
    )
    known = out / "uses.json"
    first = await run(root, out / "up", {"database": database.up()}, uses=known)
    assert first.exit_code == 0
    database.down()
    second = await run(root, out / "down", {"database": database}, uses=known, attempts=0)
    bodies = [test for test in second.tests if "test_body" in test.id]
    assert {test.outcome for test in bodies} == {INFRA}
    assert 1 <= sum(test.rounds == 0 for test in bodies) <= 9, "after three in a row the others are not tried"
    assert all(test.outcome is Outcome.PASSED for test in second.tests if "test_pure" in test.id)


async def test_holding_back_can_be_switched_off(root: Path, out: Path, database: LineServer) -> None:
    write(
        root,
        test_db="""
        import time, pytest
        from helpers import hello
        @pytest.mark.real_database
        @pytest.mark.parametrize("n", range(8))
        def test_db(n):
            time.sleep(0.05)
            hello()
        """,
    )
    result = await run(root, out, {"database": database}, skip=False, attempts=0, dead={"database": "down"})
    assert all(test.outcome is INFRA and test.rounds == 1 for test in result.tests)
    assert not result.held


async def test_a_time_out_is_an_outage_only_beside_a_red_probe(root: Path, out: Path, database: LineServer) -> None:
    write(
        root,
        test_db="""
        import pytest, socket, os
        from helpers import hello
        def test_slow(): hello(timeout=0.2)
        def test_empty():
            with socket.create_connection(("127.0.0.1", int(os.environ["DB_PORT"]))): raise TimeoutError
        """,
    )
    database.up(silent=True)
    well = LineServer()
    red = await run(root, out / "red", {"database": database}, attempts=0)
    assert set(by_id(red).values()) == {Outcome.UNDECIDED}, "a time-out that names nobody"

    green = await run(
        root,
        out / "green",
        {"database": database},
        attempts=0,
        probe=Probe({"database": well.up()}),
    )
    well.down()
    assert set(by_id(green).values()) == {Outcome.FAILED}
    assert all(test.suspect and test.fault for test in green.tests)
    assert green.exit_code == 1


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


async def test_a_dead_server_that_only_the_environment_names_is_undecided_and_a_slip_is_the_products(
    root: Path, out: Path, database: LineServer
) -> None:
    mail = LineServer()
    write(
        root,
        test_mail="""
        import os, socket
        def test_mail(): socket.create_connection(("127.0.0.1", int(os.environ["MAIL_PORT"])), timeout=1).close()
        def test_slip(): socket.create_connection(("127.0.0.1", 1), timeout=1).close()
        """,
    )
    env = {"MAIL_PORT": str(mail.port)}
    result = await run(root, out, {"database": database.up()}, env=env, attempts=0)
    assert by_id(result) == {"test_mail": Outcome.UNDECIDED, "test_slip": Outcome.FAILED}
    told = next(test for test in result.tests if test.id.endswith("test_mail"))
    assert "MAIL_PORT" in (told.reason or "")
    assert "declare it" in (told.reason or "")


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


async def test_selection_by_mode_joins_the_users_own_and_markers_are_known(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_a="""
        import pytest
        @pytest.mark.critical
        def test_critical(): pass
        @pytest.mark.critical
        @pytest.mark.slow
        def test_critical_slow(): pass
        @pytest.mark.golden_path
        @pytest.mark.real_database
        def test_golden(): pass
        def test_plain(): pass
        """,
        **{"pytest.ini": "[pytest]\naddopts = --strict-markers -W error\n"},
    )
    result = await run(
        root,
        out,
        {"database": database},
        f'{PYTEST} -m "not slow"',
        select="critical or mission_critical or golden_path",
        held={"real_database": "database is down"},
        mode=TestExecutionMode.CRITICAL_ONLY,
    )
    assert by_id(result) == {
        "test_critical": Outcome.PASSED,
        "test_critical_slow": Outcome.DESELECTED,
        "test_golden": INFRA,
        "test_plain": Outcome.DESELECTED,
    }
    reasons = {test.id.rpartition("::")[2]: test.reason or "" for test in result.tests}
    assert "command's own" in reasons["test_critical_slow"]
    assert "critical_only" in reasons["test_plain"]
    assert result.exit_code == 10
    with pytest.raises(UsageError, match="marker expression"):
        await run(root, out, {"database": database}, select="critical or (")


async def test_a_hanging_test_is_ended_named_and_leaves_nothing_behind(
    root: Path, out: Path, database: LineServer, tmp_path: Path
) -> None:
    write(
        root,
        test_a=f"""
        import subprocess, sys, time
        def test_a(): pass
        def test_hangs():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
            open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
            time.sleep(600)
        def test_c(): pass
        """,
    )
    result = await run(root, out, {"database": database}, timeout_s=6.0)
    assert by_id(result) == {"test_a": Outcome.PASSED, "test_hangs": Outcome.TIMEOUT, "test_c": Outcome.NOT_RUN}
    assert (result.exit_code, result.verdict) == (124, Verdict.TIMED_OUT)
    message = next(test.message or "" for test in result.tests if test.outcome is Outcome.TIMEOUT)
    assert "test_hangs" in message
    assert "test_a.py:" in message
    pid = int((tmp_path / "pid").read_text())
    assert wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


MUTE = """
import pytest, socket, os
from helpers import hello

@pytest.fixture(scope="session")
def db(): return hello(timeout=None)

def test_first(): pass
@pytest.mark.parametrize("n", range(3))
def test_db(db, n): pass
def test_raw():
    try: hello(timeout=None)
    except BaseException: hello(timeout=None)
def test_pure(): pass
"""


async def test_a_test_that_waits_for_a_mute_service_is_ended_with_its_process_and_the_rest_goes_on(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_db=MUTE)
    database.up(silent=True)
    result = await run(root, out, {"database": database}, attempts=0, stall_s=1.5)
    adds_up(result, 6)
    found = by_id(result)
    assert (found["test_first"], found["test_pure"]) == (Outcome.PASSED, Outcome.PASSED)
    assert {found[name] for name in ("test_db[0]", "test_db[1]", "test_db[2]", "test_raw")} == {INFRA}
    waited = next(test for test in result.tests if test.id.endswith("test_db[0]"))
    assert waited.service == "database"
    assert "made no progress" in (waited.reason or "")
    held = next(test for test in result.tests if test.id.endswith("test_db[2]"))
    assert held.rounds == 0, "the fixture that waited is not tried again"
    assert (result.exit_code, result.verdict) == (20, Verdict.INFRASTRUCTURE_UNAVAILABLE)
    assert sum("went on in a new process" in note for note in result.notes) == 2


async def test_a_slow_test_beside_a_well_service_is_left_alone(root: Path, out: Path, database: LineServer) -> None:
    write(root, test_db="import time\nfrom helpers import hello\ndef test_slow():\n    hello()\n    time.sleep(1.5)\n")
    result = await run(root, out, {"database": database.up()}, attempts=0, stall_s=0.5)
    assert by_id(result) == {"test_slow": Outcome.PASSED}


async def test_a_collection_that_waits_for_a_mute_service_is_ended(root: Path, out: Path, database: LineServer) -> None:
    write(root, test_db="from helpers import hello\nhello(timeout=None)\ndef test_a(): pass\n")
    database.up(silent=True)
    result = await run(root, out, {"database": database}, attempts=0, stall_s=1.0)
    assert result.exit_code == 20
    assert by_id(result) == {"(session)": INFRA}


async def test_a_test_that_writes_into_our_events_makes_the_run_unknown_and_nothing_the_products(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_a="""
        import os
        def test_good(): pass
        def test_hostile():
            for name in os.listdir("/proc/self/fd"):
                try: target = os.readlink("/proc/self/fd/" + name)
                except OSError: continue
                if target.endswith(".events.jsonl"):
                    with open(target, "ab") as file:
                        file.write(b'{"k":"t","s":"1.x","i":0,"o":"failed","d":0.1}\\nrubbish')
        def test_after(): pass
        """,
    )
    result = await run(root, out, {"database": database}, attempts=0)
    assert by_id(result) == {"test_good": Outcome.PASSED, "test_hostile": Outcome.PASSED, "test_after": Outcome.PASSED}
    assert (result.exit_code, result.verdict) == (21, Verdict.UNKNOWN)
    assert any("not our plug-in's" in note for note in result.notes)


async def test_cancelling_ends_the_tests_and_gives_what_was_known(
    root: Path, out: Path, database: LineServer, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    write(
        root,
        test_a=f"""
        import os, time
        def test_a(): pass
        def test_b():
            open({str(mark)!r}, "w").write(str(os.getpid()))
            time.sleep(600)
        """,
    )
    task = asyncio.create_task(run(root, out, {"database": database}))
    for _ in range(500):
        if mark.exists() and mark.read_text():
            break
        await asyncio.sleep(0.02)
    pid = int(mark.read_text())
    task.cancel()
    with pytest.raises(TestRunInterrupted) as raised:
        await task
    partial = raised.value.partial
    assert (partial.exit_code, partial.verdict) == (130, Verdict.INTERRUPTED)
    assert by_id(partial)["test_a"] is Outcome.PASSED
    assert partial.total_tests == 2
    assert not psutil.pid_exists(pid)


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


async def test_the_total_deadline_leaves_commands_unstarted_and_says_so(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_a="def test_a(): pass\n")
    result = await run(root, out, {"database": database}, "sleep 600", "echo never", total_timeout_s=0.5)
    assert (result.exit_code, len(result.commands)) == (124, 1)
    assert any("1 commands were not started" in note for note in result.notes)


async def test_pytest_xdist_workers_tell_the_same(root: Path, out: Path, database: LineServer) -> None:
    write(
        root,
        test_a="""
        import pytest
        from helpers import hello
        @pytest.fixture(scope="session")
        def db(): return hello()
        @pytest.mark.parametrize("n", range(20))
        def test_db(db, n): pass
        @pytest.mark.parametrize("n", range(20))
        def test_pure(n): pass
        @pytest.mark.xdist_group("g")
        def test_grouped(db): pass
        @pytest.mark.staging
        def test_staging(): 1/0
        def test_bug(): assert 0
        """,
    )
    result = await run(
        root,
        out,
        {"database": database},
        f"pytest -q -p no:cacheprovider {ALONE.replace(NO_XDIST, '')} -n 2 --dist loadgroup",
        held={"staging": "staging is down"},
        hook=lambda n: (n >= 2 and database.up(), None)[1],
        wait_for_services_s=20,
    )
    adds_up(result, 43)
    assert (result.totals.passed, result.totals.failed, result.totals.infrastructure_unavailable) == (41, 1, 1)
    assert result.totals.passed_on_retry == result.totals.retried >= 1


@pytest.mark.slow
async def test_a_worker_that_ends_itself_for_an_outage_is_no_crash_of_the_products(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_a="""
        import pytest
        from helpers import hello
        @pytest.fixture
        def db():
            try: hello()
            except OSError as exc: pytest.exit(f"no database: {exc}")
        def test_pure(): pass
        def test_db(db): pass
        def test_after(): pass
        """,
    )
    result = await run(root, out, {"database": database}, "pytest -q -p no:cacheprovider -n 2", attempts=0)
    adds_up(result, 3)
    assert by_id(result)["test_db"] is INFRA
    assert result.exit_code == 20, result.notes


@pytest.mark.slow
async def test_a_crashed_xdist_worker_is_named(root: Path, out: Path, database: LineServer) -> None:
    write(root, test_a="import os\ndef test_a(): os._exit(3)\ndef test_b(): pass\ndef test_c(): pass\n")
    result = await run(root, out, {"database": database}, "pytest -q -p no:cacheprovider -n 1")
    adds_up(result, 3)
    assert by_id(result)["test_a"] in (Outcome.FAILED, Outcome.ERROR)
    assert result.exit_code == 1


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


async def test_a_run_that_is_killed_leaves_no_secret_in_its_folder(root: Path, out: Path, tmp_path: Path) -> None:
    write(
        root,
        test_a="""
        import pathlib, time
        SECRET = "s3kr3t-" + "pass"
        def test_a(): raise RuntimeError("refused for " + SECRET)
        def test_b():
            print(SECRET, flush=True)
            pathlib.Path("reached").touch()
            time.sleep(60)
        """,
    )
    script = tmp_path / "killed.py"
    script.write_text(
        f"""
import asyncio, sys
sys.path[:0] = {[str(Path(__file__).parents[2])]!r}
from dataclasses import replace
from pathlib import Path
from resilience.core.secret import Secret
from tests.kits.testrun_kit import PYTEST, run, settings
root, out = Path({str(root)!r}), Path({str(out)!r})
made = replace(settings(root, {{}}), secrets=(Secret("s3kr3t-pass"),))
asyncio.run(run(root, out, {{}}, "echo $$ > shell; exec " + PYTEST + " -s", made=made))
"""
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    runner = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "TMPDIR": str(scratch)})
    try:
        reached = await asyncio.to_thread(wait_until, (root / "reached").exists, 30.0)
        said = await asyncio.to_thread(
            wait_until, lambda: any(b"***" in one.read_bytes() for one in out.rglob("*.log"))
        )
    finally:
        runner.kill()
        runner.wait()
        with contextlib.suppress(OSError, ValueError):
            os.killpg(int((root / "shell").read_text()), signal.SIGKILL)
    assert reached
    assert said
    left = [path for path in out.rglob("*") if path.is_file()]
    assert left
    assert not [path for path in left if b"s3kr3t-pass" in path.read_bytes()]
    raw = [path for path in scratch.rglob("*.events.jsonl") if b"s3kr3t-pass" in path.read_bytes()]
    assert raw, "the secret was told, or nothing was proved"
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in scratch.glob("resilience-tests-*"))


async def test_on_a_terminal_the_command_has_one_too(root: Path, out: Path, tmp_path: Path) -> None:
    write(root, test_a="def test_a(): pass\n")
    script = tmp_path / "typed.py"
    script.write_text(
        f"""
import asyncio, sys
sys.path[:0] = {[str(Path(__file__).parents[2])]!r}
from pathlib import Path
from resilience.suite.records import Instruments, Place, Request
from resilience.suite.testrun import run_suite
from resilience.core.records import PlannedCommand, TestExecutionMode
from tests.kits.testrun_kit import PYTEST, Probe, environ
root, out = Path({str(root)!r}), Path({str(out)!r})
command = PlannedCommand(command="test -t 1 && " + PYTEST)
result = asyncio.run(run_suite(
    Request(commands=(command,), mode=TestExecutionMode.FULL),
    Place(root=root, folder=out, environ=environ({{}}, TERM="xterm")),
    Instruments(probe=Probe({{}})),
))
print("exit", result.exit_code)
"""
    )
    import pty

    printed = bytearray()

    def typed() -> int:
        pid, ours = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, str(script)])
        with contextlib.suppress(OSError):
            while data := os.read(ours, 4096):
                printed.extend(data)
        os.close(ours)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    code = await asyncio.to_thread(typed)
    assert code == 0, bytes(printed)
    assert b"exit 0" in printed, bytes(printed)
    assert b"\x1b[32m" in printed, "green, as pytest shows on a terminal"
    assert b"\x1b" not in (out / "logs/01-round1.log").read_bytes()


async def test_a_project_that_cannot_be_written_to_is_no_hindrance(root: Path, out: Path, database: LineServer) -> None:
    write(root, test_a="from helpers import hello\ndef test_a(): hello()\ndef test_b(tmp_path): pass\n")
    unshare = shutil.which("unshare")
    as_nobody = f"{unshare} --user --map-user=65534"
    if unshare is None or subprocess.call([*as_nobody.split(), "true"], stderr=subprocess.DEVNULL):
        pytest.skip("no user namespaces here")
    root.chmod(0o555)
    try:
        result = await run(
            root,
            out,
            {"database": database},
            f"{as_nobody} sh -c '! touch x 2>/dev/null && {PYTEST}'",
            env={"PYTHONDONTWRITEBYTECODE": ""},
            attempts=0,
        )
    finally:
        root.chmod(0o755)
    assert by_id(result) == {"test_a": INFRA, "test_b": Outcome.PASSED}
    assert sorted(path.name for path in root.iterdir()) == ["helpers.py", "test_a.py"]


async def test_a_pytest_inside_a_test_writes_nothing_of_its_own(root: Path, out: Path, database: LineServer) -> None:
    write(
        root,
        inner__test_inner="def test_inner(): assert 0\n",
        test_outer="""
        import subprocess, sys
        def test_outer():
            assert subprocess.run([sys.executable, '-m', 'pytest', 'inner']).returncode == 1
        """,
    )
    result = await run(root, out, {"database": database}, f"{PYTEST} test_outer.py")
    assert by_id(result) == {"test_outer": Outcome.PASSED}


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


async def test_a_command_that_fails_without_a_failing_test_has_failed(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_a="def test_a(): pass\n")
    result = await run(root, out, {"database": database}, f"{PYTEST} && exit 7")
    assert result.exit_code == 1
    assert result.commands[0].evidence == "exit code 7, although no test failed"
    original = await run(root, out, {"database": database}, f"{PYTEST} && exit 7", exit_code="original")
    assert original.exit_code == 7


async def test_commands_without_our_plugin_are_judged_by_what_there_is(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_a="def test_a(): pass\ndef test_b(): assert 0\n")
    junit = await run(
        root, out, {"database": database}, "python -I -m pytest -q -p no:cacheprovider --junit-xml=report.xml"
    )
    assert junit.commands[0].kind == "junit"
    assert sorted(test.outcome for test in junit.tests) == [Outcome.FAILED, Outcome.PASSED]
    (root / "report.xml").unlink()
    (root / "test_refused.py").write_text("from helpers import hello\ndef test_db(): hello()\n")
    closed = await run(root, out, {"database": database}, "python -I -m pytest -q -p no:cacheprovider")
    assert (closed.commands[0].kind, closed.exit_code) == ("other", 1), "its bug must not hide behind a phrase"
    assert "our plug-in did not enter" in closed.commands[0].evidence
    other = await run(root, out, {"database": database}, "echo 'Connection Refused'; exit 3", "echo fine")
    assert [command.kind for command in other.commands] == ["other", "other"]
    assert other.commands[0].outcome is INFRA, "the phrase, and a probe that finds a service down"
    assert other.exit_code == 20
    green = await run(root, out, {"database": database.up()}, "echo 'Connection Refused'; exit 3")
    assert green.commands[0].outcome is Outcome.FAILED


UNITTEST = """
import os, socket, unittest
class Cart(unittest.TestCase):
    def test_cart(self):
        port = int(os.environ["DB_PORT"])
        try: socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError as exc: raise ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', %d)" % port) from exc
    def test_fine(self): pass
    def test_vat(self): assert 119 == VAT
"""


@pytest.mark.parametrize("vat", [119, 121])
async def test_unittest_is_judged_test_by_test_and_run_again_when_the_service_is_back(
    root: Path, out: Path, database: LineServer, vat: int
) -> None:
    write(root, test_cart=UNITTEST.replace("VAT", str(vat)))
    away = await run(root, out / "away", {"database": database}, "python -m unittest", attempts=0)
    names = {test.id: test.outcome for test in away.tests}
    assert names["test_cart.Cart.test_cart"] is INFRA
    assert names.get("test_cart.Cart.test_vat") is (Outcome.FAILED if vat == 121 else None)
    assert away.exit_code == (1 if vat == 121 else 20)
    assert away.commands[0].service == (None if vat == 121 else "database")

    back = await run(
        root, out / "back", {"database": database}, "python -m unittest", wait_for_services_s=20,
        hook=lambda number: (number >= 3 and database.up(), None)[1],
    )  # fmt: skip
    assert (back.exit_code, back.commands[0].rounds) == (1 if vat == 121 else 0, 2)


async def test_a_script_beside_a_dead_service_proves_nothing_and_on_a_healthy_day_it_is_the_products(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root)
    dead = await run(root, out / "dead", {"database": database}, "echo checking; exit 1", attempts=0)
    assert (dead.exit_code, dead.verdict) == (21, Verdict.UNKNOWN)
    assert "database was down" in dead.commands[0].evidence
    own = await run(root, out / "own", {"database": database}, "echo 'not ok 1 - adds VAT'; exit 1", attempts=0)
    assert own.exit_code == 1, "a failure of its own, without a sign"
    well = await run(root, out / "well", {"database": database.up()}, "echo checking; exit 1", attempts=0)
    assert well.exit_code == 1


async def test_the_blamed_service_is_the_one_whose_address_was_refused(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root)
    other = LineServer()
    servers = {"backend_api": other, "database": database}
    command = f"echo 'Error: connect ECONNREFUSED 127.0.0.1:{database.port}'; exit 1"
    result = await run(root, out, servers, command, attempts=0)
    assert (result.exit_code, result.commands[0].service) == (20, "database")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("python -c 'import os; os.kill(os.getpid(), 9)'", "killed by signal 9 (SIGKILL) before a first test"),
        ("sh -c 'kill -9 $$'; exit $?", "killed by signal 9 (SIGKILL) before a first test"),
        ("no-such-runner --ci", "a program did not start (exit code 127: not found)"),
        ("python -I no_such_file.py", "a program did not start (exit code 2): "),
        (
            "python -c 'import argparse; argparse.ArgumentParser().parse_args()' --no",
            "the command was used wrongly (exit",
        ),
        (
            "echo 'npm error Missing script: \"test\"'; exit 1",
            "the command was used wrongly (exit code 1): npm error Missing",
        ),
    ],
)
async def test_a_command_that_could_not_work_proves_nothing_and_says_why(
    root: Path, out: Path, database: LineServer, command: str, said: str
) -> None:
    write(root)
    result = await run(root, out, {"database": database.up()}, command)
    assert result.commands[0].outcome is Outcome.NOT_RUN
    assert result.commands[0].evidence.startswith(said)
    assert (result.exit_code, result.verdict) == (21, Verdict.UNKNOWN)
    assert any(said in note for note in result.notes)


async def test_a_pytest_killed_before_its_first_event_proves_nothing(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, killer="import os\nos.kill(os.getpid(), 9)\n", test_a="def test_a(): pass\n")
    result = await run(root, out, {"database": database.up()}, f"{PYTEST} -p killer")
    assert (result.exit_code, result.commands[0].exit_code) == (21, 137)
    assert "killed by signal 9" in result.commands[0].evidence


async def test_a_command_that_says_no_more_than_exit_1_while_all_is_well_is_the_products(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root)
    result = await run(root, out, {"database": database.up()}, "echo checking; exit 1")
    assert (result.exit_code, result.verdict) == (1, Verdict.PRODUCT_FAILURES)


def stand_in(service: str, server: LineServer) -> StandIn:
    return StandIn(
        service=service,
        type=ServiceType.POSTGRESQL,
        provider="system",
        endpoint=f"127.0.0.1:{server.port}",
        ready=True,
        started_here=True,
    )


async def test_tests_that_did_not_reach_the_stand_in_prove_nothing(root: Path, out: Path, database: LineServer) -> None:
    other = LineServer().up()
    write(
        root,
        conftest="import os\nos.environ['DATABASE_URL'] = 'postgresql://elsewhere/x'\n",
        test_a=f"""
        import asyncio, asyncpg, pytest
        @pytest.mark.real_database
        def test_a():
            with pytest.raises(Exception):
                asyncio.run(asyncpg.connect("postgresql://u:p@127.0.0.1:{other.port}/x", timeout=2))
        """,
    )
    staging = LineServer()
    made = settings(root, {"database": staging})
    service = made.services[0]
    local = f"postgresql://user:pw@127.0.0.1:{database.up().port}/db"
    made = replace(made, services=(replace(service, local=Secret(local), exports={"DATABASE_URL": Secret(local)}),))

    async def count(_: object) -> int:
        return database.connections - database.looks

    result = await run(
        root,
        out,
        {"database": database},
        made=made,
        stand_ins=[stand_in("database", database)],
        connections=count,
        env={"DATABASE_URL": local},
        mode=TestExecutionMode.DEGRADED,
    )
    other.down()
    assert result.exit_code == 21
    assert result.reached[0].canary is False
    told = next(note for note in result.notes if "tests did not use the stand-in for database" in note)
    assert f"127.0.0.1:{other.port}" in told
    assert "override DATABASE_URL" in told

    (root / "test_a.py").write_text("def test_a(): pass\n")
    nothing = await run(
        root, out / "nothing", {"database": database}, made=made, stand_ins=[stand_in("database", database)],
        connections=count, env={"DATABASE_URL": local}, mode=TestExecutionMode.DEGRADED,
    )  # fmt: skip
    assert (nothing.exit_code, nothing.spoke) == (10, 0), "who spoke to nobody spoke to nobody else either"

    (root / "conftest.py").unlink()
    (root / "test_a.py").write_text(
        "import pytest\nfrom helpers import hello\n@pytest.mark.real_database\ndef test_a(): hello()\n"
    )
    used = await run(
        root,
        out,
        {"database": database},
        made=made,
        stand_ins=[stand_in("database", database)],
        connections=count,
        env={"DATABASE_URL": local},
        mode=TestExecutionMode.DEGRADED,
    )
    assert used.exit_code == 10
    assert used.reached[0].canary is True
    assert used.reached[0].connections == 1


async def test_an_assertion_on_what_a_stand_in_only_made_up_is_a_gap_and_an_own_error_behind_it_a_bug(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_a="""
        import time
        def test_body(): time.sleep(0.3); assert {"mock": True} == {"orders": 3}
        def test_own(): time.sleep(0.3); 1 / 0
        """,
    )
    made = settings(root, {"database": LineServer()})
    local = f"postgresql://user:pw@127.0.0.1:{database.up().port}/db"
    service = replace(made.services[0], local=Secret(local))
    at: list[float] = []

    async def answers(_: object) -> tuple[tuple[float, str, str], ...]:
        return tuple((when, "echo", "GET /orders") for when in at)

    def note(progress: Progress) -> None:
        at.append(time.time())

    result = await run(
        root, out, {"database": database}, made=replace(made, services=(service,)), on_event=note, answers=answers,
        stand_ins=[stand_in("database", database)], mode=TestExecutionMode.DEGRADED, attempts=0,
    )  # fmt: skip
    assert by_id(result) == {"test_body": Outcome.STAND_IN_GAP, "test_own": Outcome.FAILED}
    assert "GET /orders" in next(test.reason or "" for test in result.tests if test.id.endswith("test_body"))


async def test_refused_at_a_stand_in_that_does_not_run_is_nobodys_and_says_what_to_type(
    root: Path, out: Path, database: LineServer
) -> None:
    stopped = LineServer()
    write(
        root,
        test_a=f"""
        import socket
        def test_a(): socket.create_connection(("127.0.0.1", {stopped.port}), timeout=1).close()
        """,
    )
    made = settings(root, {"database": database.up()})
    service = replace(made.services[0], local=Secret(f"postgresql://u:p@127.0.0.1:{stopped.port}/db"))
    result = await run(root, out, {"database": database}, made=replace(made, services=(service,)))
    assert by_id(result) == {"test_a": Outcome.NOT_RUN}
    assert (result.exit_code, result.verdict) == (21, Verdict.UNKNOWN)
    assert "resilience env --unset" in (result.tests[0].reason or "")


async def test_a_test_that_makes_the_service_unwell_by_itself_is_the_products(
    root: Path, out: Path, database: LineServer
) -> None:
    """The look is refused while the test holds the only connection there is, and well before and after."""
    held, looked = root / "held", root / "looked"
    write(
        root,
        test_a=f"""
        import atexit, pathlib, time
        held, looked = pathlib.Path({str(held)!r}), pathlib.Path({str(looked)!r})
        def let_go():
            end = time.monotonic() + 20
            while not looked.exists() and time.monotonic() < end:
                time.sleep(0.01)
            looked.unlink(missing_ok=True)
            held.unlink(missing_ok=True)
        def test_leaks():
            held.touch()
            atexit.register(let_go)
            raise ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', {database.port})")
        """,
    )
    database.up()

    class Refusing(Probe):
        async def __call__(self, names: Sequence[str]) -> Mapping[str, Any]:
            if not held.exists():
                return await Probe({"database": database})(names)
            try:
                return await Probe({"database": LineServer()})(names)
            finally:
                looked.touch()

    result = await run(root, out, {"database": database}, probe=Refusing({"database": database}))
    leaks = next(test for test in result.tests if test.id.endswith("test_leaks"))
    assert [evidence.rule for evidence in leaks.evidence] == [10, 10]
    assert (leaks.outcome, leaks.suspect) == (Outcome.FAILED, True)
    assert "makes the service unwell" in (leaks.reason or "")


async def test_a_pass_in_mode_full_says_how_many_tests_spoke_to_staging(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_a="""
        import pytest, socket, os
        from helpers import hello
        @pytest.fixture(scope="session")
        def db():
            with socket.create_connection(("127.0.0.1", int(os.environ["DB_PORT"]))) as client: yield client
        def test_new(): hello()
        def test_fixture(db): pass
        def test_pure(): pass
        """,
    )
    result = await run(root, out, {"database": database.up()})
    assert (result.exit_code, result.spoke, result.totals.passed) == (0, 2, 3)
    assert "2 of 3 tests spoke to it" in result_lines(result)[0]


async def test_a_pass_against_another_server_of_the_kind_than_stagings_proves_nothing(
    root: Path, out: Path, database: LineServer
) -> None:
    other = LineServer().up()
    write(
        root,
        test_a=f"""
        import asyncio, asyncpg, pytest
        def test_a():
            with pytest.raises(Exception):
                asyncio.run(asyncpg.connect("postgresql://u:p@127.0.0.1:{other.port}/x", timeout=2))
        """,
    )
    result = await run(root, out, {"database": database.up()})
    other.down()
    assert (result.exit_code, result.verdict) == (21, Verdict.UNKNOWN)
    assert any(f"127.0.0.1:{other.port}" in note and "database on staging" in note for note in result.notes)


async def test_a_selection_that_speaks_to_nobody_passes_and_says_so(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_a="def test_a(): pass\n")
    result = await run(root, out, {"database": database.up()})
    assert (result.exit_code, result.spoke) == (0, 0)
    assert "nothing is proved of staging" in result_lines(result)[0]


async def test_secrets_leave_neither_in_logs_nor_in_results(root: Path, out: Path, database: LineServer) -> None:
    write(
        root,
        test_a=f"""
        def test_a():
            print("dsn", "s3kr3t-pass")
            raise ConnectionError("postgresql://user:s3kr3t-pass@127.0.0.1:{database.port}/db refused")
        """,
    )
    result = await run(root, out, {"database": database}, attempts=0)
    assert "s3kr3t-pass" not in repr(result)
    for path in out.rglob("*"):
        if path.is_file():
            assert b"s3kr3t-pass" not in path.read_bytes(), path.name


async def test_progress_names_the_current_test_and_a_failing_probe_is_said(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root, test_a="import time\nfrom helpers import hello\ndef test_a(): hello()\ndef test_slow(): time.sleep(0.4)\n"
    )
    seen: list[Progress] = []

    async def broken(names: object) -> dict[str, object]:
        raise RuntimeError("no probe today")

    result = await run(root, out, {"database": database}, on_event=seen.append, probe=broken)
    assert any(event.current.endswith("test_slow") and event.collected == 2 for event in seen)
    assert by_id(result)["test_a"] is Outcome.UNDECIDED
    assert any("no probe today" in note for note in result.notes)


async def test_no_command_is_an_error(tmp_path: Path, out: Path) -> None:
    with pytest.raises(UsageError, match="no test command"):
        await run_suite(
            Request(commands=(), mode=TestExecutionMode.FULL),
            Place(root=tmp_path, folder=out, environ={}),
            Instruments(probe=Probe({})),
        )
    assert not out.exists()
