"""While a service is down, what needs it is held back, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.records import Outcome, TestExecutionMode, Verdict
from resilience.suite import uses
from resilience.suite.records import Progress
from tests.kits.alone import NO_XDIST
from tests.kits.testrun_kit import (
    INFRA,
    PYTEST,
    LineServer,
    adds_up,
    by_id,
    run,
    write,
)


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
    assert 20 <= len(held) <= 21, "it opened after three in a row, at the latest while the pure tests ran"
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


async def test_a_service_known_to_be_down_holds_back_from_the_first_test_on_what_earlier_runs_saw_use_it(
    root: Path, out: Path, database: LineServer
) -> None:
    """Where a team has neither markers nor fixtures, nothing else tells which tests are its own."""
    write(
        root,
        test_db="""
        import pytest
        from helpers import hello
        @pytest.mark.parametrize("n", range(3))
        def test_body(n): hello()
        @pytest.mark.parametrize("n", range(3))
        def test_pure(n): pass
        """,
    )
    known = out / "uses.json"
    assert (await run(root, out / "up", {"database": database.up()}, uses=known)).exit_code == 0
    database.down()
    dead = {"database": "database is unavailable (connection refused) and nothing stands in for it"}
    second = await run(root, out / "down", {"database": database}, uses=known, attempts=0, dead=dead)
    bodies = [test for test in second.tests if "test_body" in test.id]
    assert {(test.outcome, test.rounds) for test in bodies} == {(INFRA, 0)}, "none of them was tried"
    assert {test.reason for test in bodies} == {f"{dead['database']}; earlier runs saw this test connect to it"}
    assert all(test.outcome is Outcome.PASSED for test in second.tests if "test_pure" in test.id)
    assert second.exit_code == 10, "the plan had held them back, as it does those of a marker"
    third = await run(root, out / "off", {"database": database}, uses=known, attempts=0, dead=dead, skip=False)
    assert all(test.rounds == 1 for test in third.tests)


async def test_what_the_background_of_an_earlier_test_connects_to_holds_back_no_later_test(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        conftest="""
        import socket, threading, time, pytest
        from helpers import hello
        def again(enough):
            while not enough.wait(0.01):
                try: hello()
                except OSError: pass
        @pytest.fixture(scope="session")
        def pool():
            enough = threading.Event()
            worker = threading.Thread(target=again, args=(enough,))
            worker.start()
            yield hello
            enough.set()
            worker.join()
        """,
        test_a="""
        import threading, time, pytest
        from helpers import hello
        @pytest.mark.parametrize("n", range(6))
        def test_pool(pool, n):
            time.sleep(0.1)
            pool()
        def test_pure():
            time.sleep(0.1)
        def test_in_a_thread_of_its_own():
            thread = threading.Thread(target=hello)
            thread.start()
            thread.join()
        """,
    )
    known = out / "uses.json"
    first = await run(root, out / "up", {"database": database.up()}, uses=known)
    assert first.exit_code == 0
    told = uses.load(known)
    assert "test_a.py::test_in_a_thread_of_its_own" in told
    assert "test_a.py::test_pool[5]" in told
    assert "test_a.py::test_pure" not in told
    database.down()
    second = await run(root, out / "down", {"database": database}, uses=known, attempts=0)
    assert by_id(second)["test_pure"] is Outcome.PASSED


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


async def test_a_fixture_that_fails_after_the_breaker_opened_during_collection_is_held_back_as_well(
    root: Path, out: Path, database: LineServer
) -> None:
    importing = {f"test_import_{n}": "from helpers import hello\nhello()\n" for n in range(3)}
    write(
        root,
        **importing,
        test_z="""
        import time, pytest
        from helpers import hello
        @pytest.fixture
        def connection(): return hello()
        @pytest.mark.parametrize("n", range(3))
        def test_by_fixture(connection, n): pass
        @pytest.mark.parametrize("n", range(40))
        def test_pure(n): time.sleep(0.03)
        @pytest.mark.parametrize("n", range(10))
        def test_later_by_fixture(connection, n): pass
        """,
    )
    command = f"{PYTEST} --continue-on-collection-errors"
    result = await run(root, out, {"database": database}, command, attempts=0)
    assert result.totals.passed == 40
    later = [test for test in result.tests if "later" in test.id]
    assert [(test.outcome, test.rounds) for test in later] == [(INFRA, 0)] * 10


SET_UPS = """
import os, pytest
from helpers import hello

@pytest.fixture
def cache():
    os.environ["SHOP_SETTINGS"] = "made"
    return hello()

@pytest.mark.parametrize("n", range(5))
def test_cached(cache, n): pass
def test_neighbour(): assert os.environ["SHOP_SETTINGS"] == "made"
"""
DEAD = {"database": "database is unavailable (connection refused)"}


@pytest.mark.parametrize(
    "command", [PYTEST, f"{PYTEST.replace(NO_XDIST, '')} -n 2 --dist loadfile"], ids=["alone", "xdist"]
)
async def test_what_the_set_up_of_held_tests_leaves_in_the_process_is_there_for_their_neighbours(
    root: Path, out: Path, database: LineServer, command: str
) -> None:
    write(root, test_db=SET_UPS, test_other="def test_other(): pass\n")
    known = out / "uses.json"
    assert (await run(root, out / "up", {"database": database.up()}, command, uses=known)).exit_code == 0
    database.down()
    result = await run(root, out / "down", {"database": database}, command, uses=known, attempts=0, dead=DEAD)
    found = by_id(result)
    assert (found["test_neighbour"], found["test_other"]) == (Outcome.PASSED, Outcome.PASSED)
    assert {found[f"test_cached[{n}]"] for n in range(5)} == {INFRA}
    assert [test.rounds for test in result.tests if "cached" in test.id] == [1, 0, 0, 0, 0]
    assert result.exit_code == 10, "the plan had held them back, the one that made the set-up too"


async def test_as_many_tests_run_against_a_dead_service_as_there_are_different_set_ups(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_body="""
        import pytest
        from helpers import hello
        @pytest.mark.parametrize("n", range(4))
        def test_without_set_up(n, tmp_path, monkeypatch): hello()
        def test_pure(): pass
        """,
        test_two="""
        import pytest
        from helpers import hello
        @pytest.fixture
        def one(): pass
        @pytest.fixture(params=range(3))
        def two(request): pass
        @pytest.mark.parametrize("n", range(3))
        def test_one(one, n): hello()
        def test_two(two): hello()
        @pytest.mark.parametrize("n", range(3))
        def test_both(one, two, n): hello()
        """,
        test_module="""
        from helpers import hello
        def setup_module(): hello()
        def test_a(): pass
        def test_b(): pass
        """,
        test_unit="""
        import unittest
        from helpers import hello
        class TestClass(unittest.TestCase):
            @classmethod
            def setUpClass(cls): hello()
            def test_c(self): pass
            def test_d(self): pass
        class TestHeir(TestClass): pass
        class TestEach(unittest.TestCase):
            def setUp(self): hello()
            def test_e(self): pass
            def test_f(self): pass
        class TestPlain:
            def setup_class(self): hello()
            def test_g(self): pass
            def test_h(self): pass
        """,
    )
    known = out / "uses.json"
    assert (await run(root, out / "up", {"database": database.up()}, uses=known)).exit_code == 0
    database.down()
    result = await run(root, out / "down", {"database": database}, uses=known, attempts=0, dead=DEAD)
    assert {test.outcome for test in result.tests if "pure" not in test.id} == {INFRA}
    assert result.exit_code == 10, "also where those that ran opened the breaker"
    ran = [test.id.rpartition("::")[2] for test in result.tests if test.rounds and "pure" not in test.id]
    assert ran == ["test_a", "test_one[0]", "test_two[0]", "test_c", "test_e", "test_g"]


async def test_a_mute_service_ends_one_test_of_a_set_up_and_its_neighbours_have_it_in_the_new_process_too(
    root: Path, out: Path, database: LineServer
) -> None:
    """The first ends at the limit with its process; in the next one the set-up is made again, and the test's own part is held."""
    write(
        root,
        test_db="""
        import os, pytest
        from helpers import hello
        @pytest.fixture
        def cache():
            os.environ["SHOP_SETTINGS"] = "made"
        @pytest.mark.parametrize("n", range(4))
        def test_body(cache, n): hello(timeout=None)
        def test_neighbour(): assert os.environ["SHOP_SETTINGS"] == "made"
        """,
        test_unit="""
        import unittest
        from helpers import hello
        class Base(unittest.TestCase):
            @classmethod
            def setUpClass(cls): hello(timeout=None)
        class TestFirst(Base):
            def test_1(self): pass
        class TestSecond(Base):
            def test_2(self): pass
        class TestThird(Base):
            def test_3(self): pass
        """,
        test_late="""
        import pytest
        from helpers import hello
        @pytest.fixture(autouse=True)
        def every(request): hello(timeout=None)
        @pytest.mark.parametrize("n", range(4))
        def test_waits(n): pass
        """,
    )
    known = out / "uses.json"
    assert (await run(root, out / "up", {"database": database.up()}, uses=known)).exit_code == 0
    database.down().up(silent=True)
    result = await run(root, out / "mute", {"database": database}, uses=known, attempts=0, dead=DEAD, stall_s=1.5)
    assert by_id(result)["test_neighbour"] is Outcome.PASSED
    lost = [test for test in result.tests if "neighbour" not in test.id]
    assert {test.outcome for test in lost} == {INFRA}
    assert [test.rounds for test in lost] == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]
    assert sum("went on in a new process" in note for note in result.notes) == 3
