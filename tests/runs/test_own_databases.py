"""Tests that make their own databases pass or fail on nothing that staging taught, and the result says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import asyncpg
import pytest

from resilience.core.settings import Settings
from resilience.runs.own_databases import Logins, logins, not_used
from tests.kits.servers.postgres import binaries
from tests.stand_ins import conftest as room
from tests.stand_ins.test_loaded import database, learn, started

checkout = room.checkout
HERE = "database: taught database not used by {}: they logged in to test_app, made by the suite"
ALSO = "database: tests also logged in to a and b, made by the suite: nothing taught is in there"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {"": 3}, ()),
        ({"": 3, "test_app": 2}, {"": 4, "test_app": 2}, ()),
        ({"": 3}, {"": 3, "test_app": 2}, (HERE.format("2 tests"),)),
        ({"": 3}, {"": 4, "a": 1, "b": 1}, (ALSO,)),
        ({}, {}, ()),
    ],
)
def test_what_was_used_since_the_beginning_is_said(
    before: dict[str, int], after: dict[str, int], said: tuple[str, ...], checkout: Callable[..., Settings]
) -> None:
    settings = checkout([])
    settings.state.mkdir(parents=True, exist_ok=True)
    known = {"a": ["database"], "b": ["database"], "c": ["redis"], "gone": ["database"]}
    (settings.state / "uses.json").write_text(json.dumps({"schema": 1, "tests": known}))
    assert not_used(settings, {"database": before}, {"database": after}, ("a", "b", "c")) == said


def test_where_nobody_saw_which_tests_use_it_no_number_is_said(checkout: Callable[..., Settings]) -> None:
    found = not_used(checkout([]), {}, {"database": {"test_app": 1}}, ("a",))
    assert found == (HERE.format("the tests"),)


@pytest.mark.skipif(binaries() is None, reason="no PostgreSQL binaries on this machine")
async def test_a_suite_that_makes_a_database_of_its_own_is_seen_at_the_server(
    checkout: Callable[..., Settings], free_port: int
) -> None:
    service = database(free_port)
    settings = checkout([service])
    learn(settings)
    stand_in = await started(settings)
    before = await logins(settings, (stand_in,))

    async def ask(name: str, query: str) -> None:
        connection = await asyncpg.connect(f"postgresql://app:pw@127.0.0.1:{free_port}/{name}?sslmode=disable")
        await connection.execute(query)
        await connection.close()

    async def seen(settings: Settings = settings) -> Logins:
        return await logins(settings, (stand_in,))

    await ask("postgres", "create database test_app")
    await ask("test_app", "create table t (x int)")
    assert not_used(settings, before, await seen(), ()) == (HERE.format("the tests"),)
    await ask("app", "select 1")
    (note,) = not_used(settings, before, await seen(), ())
    assert note.startswith("database: tests also logged in to test_app")
    neighbour = replace(
        service, name="other", local=type(service.local)(service.local.reveal().replace("/app", "/test_app"))
    )
    told = await seen(replace(settings, services=(service, neighbour)))
    assert not_used(settings, before, told, ()) == (), "another service's database is none of the suite's own making"
