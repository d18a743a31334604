"""A lesson of a database counts only where staging is well before and after, it is proved, and every byte could be written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resilience.core.errors import UsageError
from resilience.core.settings import Settings
from resilience.runs import teaching_data
from resilience.runs.configuration import load_settings
from resilience.runs.teaching import NotWellError
from resilience.services.postgresql import reading
from resilience.services.teaching import CannotTeachError, Taken
from resilience.teach import key as keys
from resilience.teach.store import Store, StoreError, taught_of
from tests.kits.database_project import project
from tests.kits.servers.postgres import Postgres, binaries
from tests.kits.staging_database import EVERY_SORT, database, running, talking, until_gone
from tests.kits.stand_in_kit import eventually, processes_naming

pytestmark = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL binaries on this machine")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running() as made:
        yield made


@pytest.fixture
async def settings(server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Settings]:
    await database(server, "staging", EVERY_SORT)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(project(tmp_path / "team", server, "staging"))
    yield load_settings(None)
    assert eventually(lambda: not processes_naming(tmp_path)), "something of ours is left"


def store(settings: Settings) -> Store:
    return Store(settings.state)


async def test_a_lesson_is_read_proved_and_written_for_its_owner_alone_and_leaves_no_server(settings: Settings) -> None:
    said: list[str] = []
    learned = await teaching_data.teach(settings, say=said.append)
    (made,) = learned.generations
    assert made.problem == ""
    told = json.loads((made.folder / "manifest.json").read_bytes())
    assert told["objects"]["TABLE"] == 7
    assert list(told) == sorted(told)
    assert learned.notes[0].startswith(
        "database: learned 7 tables, 1 view, 1 materialised view, 2 functions of PostgreSQL"
    )
    assert said[-1] == "database: proving it in a scratch server"
    (taught,) = taught_of(store(settings), "database")
    assert (taught.source, taught.gaps) == ("database", ())
    assert not (settings.data / "lesson").exists()
    for path in store(settings).folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


async def test_nothing_is_learned_where_staging_turns_bad_before_the_last_look(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await teaching_data.teach(settings)

    async def bad(*_: object) -> None:
        raise NotWellError("database is degraded: nothing is learned from staging now.")

    monkeypatch.setattr(teaching_data, "well_now", bad)
    with pytest.raises(NotWellError):
        await teaching_data.teach(settings)
    assert [one.number for one in store(settings).generations("database")] == [1]
    assert "degraded" in store(settings).stale("database")


async def test_a_lesson_that_fails_keeps_the_old_one_and_says_why_beside_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await teaching_data.teach(settings)
    monkeypatch.setattr(reading, "find_programs", lambda _: [])
    learned = await teaching_data.teach(settings)
    assert learned.generations == ()
    assert "there is no pg_dump here" in learned.notes[0]
    (taught,) = taught_of(store(settings), "database")
    assert (taught.generation, taught.damaged) == (1, "")
    assert "there is no pg_dump here" in taught.stale


async def test_on_a_full_disk_the_old_generation_stands_and_nothing_is_left_aside(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await teaching_data.teach(settings)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("resilience.teach.store.os.fsync", full)
    with pytest.raises(StoreError, match="No space left on device; the generation before stands"):
        await teaching_data.teach(settings)
    names = sorted(path.name for path in (store(settings).folder / "database").iterdir())
    assert names == ["0001"]
    assert not (settings.data / "lesson").exists()


async def test_a_secret_that_came_through_after_all_is_never_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def leaking(self: object, _asked: object, taken: object) -> object:
        return type(taken)(files={"schema.json": b'["p#ss-of-staging"]'}, manifest={"what": ""})  # type: ignore[call-arg]

    monkeypatch.setattr("resilience.services.postgresql.lessons._PostgreSQL.prove", leaking)
    monkeypatch.setenv("SOME_SECRET", "p#ss-of-staging")
    learned = await teaching_data.teach(load_settings(None))
    assert learned.generations == ()
    assert "a secret of the configuration is in its schema.json" in learned.notes[0]


async def test_a_lost_masking_key_is_a_gap_of_the_next_generation_and_of_no_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unproved(self: object, _asked: object, taken: Taken) -> Taken:
        return replace(taken, unmasked=None)

    monkeypatch.setattr("resilience.services.postgresql.lessons._PostgreSQL.prove", unproved)
    others = "masked with another key than generation"
    await teaching_data.teach(settings)
    keys.delete(settings.data)
    for number in (2, 3):
        (made,) = (await teaching_data.teach(settings)).generations
        told = [gap for gap in made.manifest["gaps"] if gap.startswith(others)]
        assert told == ([f"{others} 1: the same value has another pseudonym now"] if number == 2 else []), number
        assert made.manifest["masked"]["key"] == keys.mark(keys.make(settings.data, os.environ))


async def test_what_cannot_be_had_here_names_the_tests_that_use_the_service_where_a_run_saw_which(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lacking(self: object, _asked: object, taken: Taken) -> Taken:
        manifest = {**taken.manifest, "lacking": ["EXTENSION pgcrypto", "TABLE public.a"]}
        return replace(taken, manifest=manifest, gaps=("EXTENSION pgcrypto cannot be had here",), unmasked=None)

    monkeypatch.setattr("resilience.services.postgresql.lessons._PostgreSQL.prove", lacking)
    (made,) = (await teaching_data.teach(settings)).generations
    objects, tests = made.manifest["gaps"]
    assert objects == "EXTENSION pgcrypto cannot be had here"
    assert tests.startswith("which tests need what cannot be had here no run has seen yet")
    known = {f"t.py::test_{number}": ["database", "redis"] for number in range(1, 8)} | {"t.py::other": ["redis"]}
    (settings.state / "uses.json").write_text(json.dumps({"schema": 1, "tests": known}))
    (made,) = (await teaching_data.teach(settings)).generations
    named = ", ".join(f"t.py::test_{number}" for number in range(1, 6))
    assert made.manifest["gaps"][1] == (
        f"may be gaps by what cannot be had here, as they use database: {named} and 2 more"
    )


LESSON = """
import asyncio, sys
from resilience.runs import teaching_data
from resilience.runs.configuration import load_settings
asyncio.run(teaching_data.teach(load_settings(None), say=lambda text: print(text, flush=True)))
"""


async def test_a_killed_lesson_leaves_no_session_no_process_and_no_generation_and_the_next_one_cleans_up(
    settings: Settings, server: Postgres, tmp_path: Path
) -> None:
    lesson = subprocess.Popen([sys.executable, "-c", LESSON], stdout=subprocess.PIPE, text=True, env={**os.environ})
    assert lesson.stdout is not None
    for line in lesson.stdout:
        if "proving" in line:
            break
    assert eventually(lambda: any((settings.data / "lesson").glob("data-*")))
    lesson.send_signal(signal.SIGKILL)
    lesson.wait()
    lesson.stdout.close()
    assert eventually(lambda: not processes_naming(tmp_path)), "the scratch server ends with its lesson"
    async with talking(server) as connection:
        await until_gone(connection)
    assert store(settings).generations("database") == ()
    learned = await teaching_data.teach(settings)
    assert [one.number for one in learned.generations] == [1]
    assert not (settings.data / "lesson").exists()


async def test_what_cannot_be_taught_is_refused_before_staging_is_asked(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    folder = project(tmp_path / "team", server, "staging")
    text = (folder / "config" / "runbook.toml").read_text()
    (folder / "config" / "runbook.toml").write_text(text.replace(f"127.0.0.1:{server.port}", "${NOT_SET}:5432"))
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match="its url is not configured"):
        teaching_data.teachable(load_settings(None))
    assert issubclass(CannotTeachError, Exception)
