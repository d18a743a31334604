"""A rehearsal contacts no staging and says how many tests end as they did there, with each that does not."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kits.database_project import project as of_a_database
from tests.kits.servers.postgres import binaries
from tests.kits.staging_database import database, running
from tests.kits.taught_kit import SUITE, Staging, project, served
from tests.kits.typing_in import Type

RANDOM = """
import uuid
def test_random():
    name = "x-" + uuid.uuid4().hex
    assert ask("/items", {"name": name})[1]["name"] == name

@pytest.mark.cache
def test_cache(): pass
"""
MORE = """
[[service]]
name = "cache"
type = "redis"
url = "${CACHE_URL}"
markers = ["cache"]
"""
OF_A_DATABASE = """
import asyncio, os
import asyncpg

def ask(query):
    async def asked():
        connection = await asyncpg.connect(os.environ["DATABASE_URL"])
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()
    return asyncio.run(asked())

def test_table():
    ask("insert into t values (2)")

def test_row():
    assert ask("select count(*) from t where x = 1") == 1

def test_of_its_worker():
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    name = ask("select current_database()")
    assert not worker or name == f"app_test_{worker}"

def test_without():
    pass
"""


@pytest.fixture
def staging() -> Iterator[Staging]:
    with served() as made:
        yield made


@pytest.fixture
def team(home: Path, staging: Staging, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = project(home.parent / "team", staging, suite=SUITE + RANDOM, more=MORE)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = cache\nasyncio_default_fixture_loop_scope = function\n")
    monkeypatch.setenv("BACKEND_URL", staging.origin)
    monkeypatch.chdir(folder)
    return folder


def test_what_a_first_lesson_cannot_answer_is_named_and_the_second_one_can(
    type_in: Type, team: Path, staging: Staging
) -> None:
    type_in("rehearse").complains("nothing to rehearse", "resilience test --teach")
    found = []
    for _ in range(2):
        assert type_in("test", "--teach").code == 0
        asked = len(staging.asked)
        said = type_in("rehearse", "--json")
        assert said.code == 0, said.err
        assert staging.asked[asked:] == [], "staging is never contacted"
        found.append(said.json["services"]["backend_api"])
    assert [(one["same"], one["ran"], one["gaps"], one["percent"]) for one in found] == [(6, 7, 1, 85), (7, 7, 0, 100)]
    assert [one["test"] for one in found[0]["differing"]] == ["tests/test_shop.py::test_random"]
    assert "had no answer to POST /items" in found[0]["differing"][0]["why"]
    (taught, before) = type_in("taught", "--json").json["taught"]
    assert (taught["fidelity"]["same"], before["fidelity"]["same"]) == (7, 6)
    assert "No stand-in runs" in type_in("services", "status").out
    assert "fidelity 100 %" in type_in("status").out
    assert "fidelity 100 %" in type_in("assess").out


def test_a_test_that_ends_otherwise_is_told_apart_from_a_gap(type_in: Type, team: Path, staging: Staging) -> None:
    assert type_in("test", "--teach").code == 0
    (team / "tests" / "test_shop.py").write_text(SUITE.replace('["user"] == "alice"', '["user"] == "bob"'))
    said = type_in("rehearse", "--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert said.code == 0
    assert "fidelity 83 %: 5 of 6 tests end as on staging, 0 gaps, 1 differ" in said.out, said.out
    assert "test_me: passed on staging, " in said.out
    assert "1 tests of the lesson were held back or not selected here" in said.out


@pytest.mark.slow  # a PostgreSQL that stands for staging, one to prove the lesson in, and the stand-in: 6 s
@pytest.mark.skipif(binaries() is None, reason="no PostgreSQL binaries on this machine")
def test_a_database_alone_is_rehearsed_on_against_the_last_run_on_staging(
    type_in: Type, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running() as server:
        asyncio.run(database(server, "staging", "create table t (x int); insert into t values (1)"))
        folder = of_a_database(home.parent / "team", server, "staging")
        (folder / "tests").mkdir()
        (folder / "tests" / "test_db.py").write_text(OF_A_DATABASE)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("DATABASE_URL", server.url("sslmode=disable", database="staging"))
        assert type_in("teach").code == 0
        type_in("rehearse").complains("no full run of the tests on real staging", "resilience test")
        assert type_in("test").code == 0
        said = type_in("rehearse", "--json")
        assert said.code == 0, said.err
        one = said.json["services"]["database"]
        assert (one["same"], one["ran"], one["percent"]) == (2, 3, 66), one
        assert [test["test"] for test in one["differing"]] == ["tests/test_db.py::test_row"]
        assert "fidelity 66 %" in type_in("taught").out
        assert "fidelity 66 %" in type_in("status").out
        command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "tests")
        said = type_in("rehearse", "--json", "--", *command)
        one = said.json["services"]["database"]
        assert (one["same"], one["ran"]) == (2, 3), (one, "a worker was led to no copy of its own")
