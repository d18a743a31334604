"""A test that waits in vain for a service that is down is ended; one that takes its time is left alone."""

from __future__ import annotations

from pathlib import Path

from resilience.core.records import Outcome, Verdict
from tests.kits.testrun_kit import (
    INFRA,
    LineServer,
    adds_up,
    by_id,
    run,
    write,
)

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
