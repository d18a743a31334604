"""What looks at services and stand-ins found tells a bug from an outage."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from resilience.core.records import Outcome, TestExecutionMode
from resilience.core.secret import Secret
from resilience.suite.records import Progress
from tests.kits.testrun_kit import (
    LineServer,
    Probe,
    by_id,
    run,
    settings,
    stand_in,
    write,
)


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

    async def answers(_: object, since: float) -> tuple[tuple[float, str, str, str], ...]:
        return tuple((when, "echo", "GET /orders", "") for when in at)

    def note(progress: Progress) -> None:
        at.append(time.time())

    result = await run(
        root, out, {"database": database}, made=replace(made, services=(service,)), on_event=note, answers=answers,
        stand_ins=[stand_in("database", database)], mode=TestExecutionMode.DEGRADED, attempts=0,
    )  # fmt: skip
    assert by_id(result) == {"test_body": Outcome.STAND_IN_GAP, "test_own": Outcome.FAILED}
    assert "GET /orders" in next(test.reason or "" for test in result.tests if test.id.endswith("test_body"))


async def test_a_stand_ins_answer_is_of_a_test_however_long_pytest_takes_to_report_its_error(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        conftest="""
        import time, pytest
        @pytest.hookimpl(hookwrapper=True, trylast=True)
        def pytest_runtest_makereport(item, call):
            yield
            time.sleep(0.3)
        """,
        test_a="""
        import pathlib, time
        def test_body():
            pathlib.Path("asked").write_text(str(time.time()))
            assert {"mock": True} == {"orders": 3}
        """,
    )
    made = settings(root, {"database": LineServer()})
    local = f"postgresql://user:pw@127.0.0.1:{database.up().port}/db"
    service = replace(made.services[0], local=Secret(local))

    async def answers(_: object, since: float) -> tuple[tuple[float, str, str, str], ...]:
        return ((float((root / "asked").read_text()), "echo", "GET /orders", ""),)

    result = await run(
        root, out, {"database": database}, made=replace(made, services=(service,)), answers=answers,
        stand_ins=[stand_in("database", database)], mode=TestExecutionMode.DEGRADED, attempts=0,
    )  # fmt: skip
    assert by_id(result) == {"test_body": Outcome.STAND_IN_GAP}


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
