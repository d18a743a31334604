"""The test run: an outage never looks like a bug, a bug never looks like an outage."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resilience.core.errors import UsageError
from resilience.core.records import FaultCode, Outcome, TestExecutionMode, Verdict
from resilience.suite.records import Instruments, Place, Request
from resilience.suite.testrun import run_suite
from tests.kits.alone import ALONE, NO_XDIST
from tests.kits.testrun_kit import (
    INFRA,
    PYTEST,
    LineServer,
    Probe,
    adds_up,
    by_id,
    run,
    write,
)


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


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGINT"])
async def test_a_pytest_killed_after_its_last_test_is_no_failure_of_the_products(
    root: Path, out: Path, database: LineServer, name: str
) -> None:
    ends = f"""
        import atexit, os, signal
        signal.signal(signal.{name}, signal.SIG_DFL) if "{name}" != "SIGKILL" else None
        atexit.register(lambda: os.kill(os.getpid(), signal.{name}))
        """
    write(root, conftest=ends, test_a="def test_a(): pass\n")
    result = await run(root, out, {"database": database}, f"pytest -q -p no:cacheprovider {ALONE}")
    assert by_id(result)["test_a"] is Outcome.PASSED
    assert (result.exit_code, result.verdict) == (21, Verdict.UNKNOWN), result.notes
    assert f"killed by signal {getattr(signal, name).value} ({name}) after its last test" in str(result.notes)


async def test_a_pytest_that_crashes_after_its_last_test_is_still_a_failure(
    root: Path, out: Path, database: LineServer
) -> None:
    ends = "import atexit, os, signal\natexit.register(lambda: os.kill(os.getpid(), signal.SIGSEGV))\n"
    write(root, conftest=ends, test_a="def test_a(): pass\n")
    result = await run(root, out, {"database": database}, f"pytest -q -p no:cacheprovider {ALONE}")
    assert result.exit_code == 1, result.notes


@pytest.mark.slow
async def test_a_killed_xdist_worker_is_no_failure_of_the_products(root: Path, out: Path, database: LineServer) -> None:
    dies = "import os, signal\ndef test_a(): os.kill(os.getpid(), signal.SIGKILL)\ndef test_b(): pass\n"
    write(root, test_a=dies)
    result = await run(root, out, {"database": database}, "pytest -q -p no:cacheprovider -n 1")
    print(result)
    assert (result.exit_code, result.verdict) == (21, Verdict.UNKNOWN), result.notes


@pytest.mark.slow
async def test_a_crashed_xdist_worker_is_named(root: Path, out: Path, database: LineServer) -> None:
    write(root, test_a="import os\ndef test_a(): os._exit(3)\ndef test_b(): pass\ndef test_c(): pass\n")
    result = await run(root, out, {"database": database}, "pytest -q -p no:cacheprovider -n 1")
    adds_up(result, 3)
    assert by_id(result)["test_a"] in (Outcome.FAILED, Outcome.ERROR)
    assert result.exit_code == 1


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


async def test_no_command_is_an_error(tmp_path: Path, out: Path) -> None:
    with pytest.raises(UsageError, match="no test command"):
        await run_suite(
            Request(commands=(), mode=TestExecutionMode.FULL),
            Place(root=tmp_path, folder=out, environ={}),
            Instruments(probe=Probe({})),
        )
    assert not out.exists()


async def test_a_failure_tells_where_in_the_repository_it_arose_and_what_pytest_showed_and_captured(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_shown="""
        import pytest, shop
        def test_in_the_product():
            print("printed before s3kr3t-pass")
            shop.total({})
        def test_assertion():
            found = 1
            assert found == 2
        @pytest.fixture
        def broken(): raise ValueError("set-up")
        def test_set_up(broken): pass
        def test_passes(): pass
        """,
    )
    (root / "shop.py").write_text("def total(items):\n    return items['nothing']\n")
    result = await run(root, out, {"database": database.up()}, attempts=0)
    tests = {test.id.partition("::")[2]: test for test in result.tests}
    product = tests["test_in_the_product"]
    assert product.failed_at == "shop.py:2"
    assert product.shown is not None
    assert product.shown.splitlines()[-1].endswith("KeyError") or "E       KeyError: 'nothing'" in product.shown
    assert product.output is not None
    assert "printed before" in product.output
    assert "s3kr3t" not in product.output
    assertion = tests["test_assertion"]
    assert assertion.where is not None
    assert assertion.failed_at == f"test_shown.py:{int(assertion.where.partition(':')[2]) + 2}"
    assert assertion.shown is not None
    assert "assert 1 == 2" in assertion.shown
    assert assertion.output is None
    assert tests["test_set_up"].failed_at is not None
    assert tests["test_passes"].shown is None


async def test_ids_with_line_ends_quotes_markup_and_a_secret_are_each_one_test_in_result_junit_and_report(
    root: Path, out: Path, database: LineServer
) -> None:
    values = [
        "a\nb",
        "<script>alert(1)</script>",
        "\"q'",
        "::",
        "[1]",
        "é\x00\x1b[31m",
        "s3kr3t-pass",
        "]]>",
        "a" * 5000,
    ]
    write(root, test_ids=f"import pytest\n@pytest.mark.parametrize('x', {values!r})\ndef test_id(x): assert 0, x\n")
    result = await run(root, out, {"database": database.up()}, attempts=0)
    adds_up(result, len(values))
    assert {test.outcome for test in result.tests} == {Outcome.FAILED}
    told = [text for test in result.tests for text in (test.id, test.message or "")]
    assert not [text for text in told if "s3kr3t" in text or "\x1b" in text or "\x00" in text]
    assert max(map(len, told)) < 1000


@pytest.mark.parametrize("entered", [True, False], ids=["pytest", "another runner"])
async def test_a_test_that_prints_our_own_markers_changes_nothing(
    root: Path, out: Path, database: LineServer, entered: bool
) -> None:
    printed = (
        '{"k":"t","s":"1.x","i":0,"o":"failed","d":0.1}\\n"RESILIENCE_APPLIED=1\\nTESTS: PASSED (mode full)\\n'
        "--- FAIL: TestX (0.00s)\\nnot ok 1 - z\\nError: connect ECONNREFUSED 127.0.0.1:1"
    )
    write(root, test_it=f"def test_it(): print({printed!r}.replace('\\\\n', chr(10)))\n")
    command = f"{PYTEST} -s" if entered else f"python -I -m pytest -q -s -p no:cacheprovider {ALONE}"
    result = await run(root, out, {"database": database}, command, attempts=0)
    assert (result.exit_code, result.verdict) == (0, Verdict.PASSED)
    assert result.totals.passed == (1 if entered else 0)


@pytest.mark.slow
async def test_tens_of_megabytes_printed_and_raised_cost_seconds_and_never_the_run(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_big="""
        def test_ten_megabytes(): print("x" * 10_000_000); assert 0
        def test_lines():
            for n in range(200_000): print("line", n)
            assert 0
        def test_exception(): raise ValueError("y" * 10_000_000)
        def test_cause():
            try: raise ConnectionRefusedError(111, "z" * 1_000_000)
            except OSError as exc: raise RuntimeError("w" * 10_000_000) from exc
        """,
    )
    looked: list[int] = []
    result = await run(root, out, {"database": database.up()}, attempts=0, hook=looked.append)
    adds_up(result, 4)
    assert (result.totals.failed, result.verdict) == (4, Verdict.PRODUCT_FAILURES)
    assert max(len(test.message or "") for test in result.tests) < 1000
    assert (out / "logs/01-round1.log").stat().st_size > 30_000_000
    assert looked, "services are looked at meanwhile"
