"""A pass proves what the tests spoke to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from resilience.core.records import TestExecutionMode, Verdict
from resilience.core.secret import Secret
from resilience.core.words import result_lines
from tests.kits.testrun_kit import (
    LineServer,
    run,
    settings,
    stand_in,
    write,
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
