"""A pytest that somebody else started begins by the same look and decision as `resilience test`, and nothing is applied."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from resilience.core.records import TestExecutionMode
from resilience.runs import memory
from resilience.runs.judging import begin, follow, ground_of, message_of, replay
from resilience.suite.entering import Entrance
from resilience.suite.following import Ground
from tests.kits.run_kit import settings_of
from tests.kits.small_staging import SmallStaging
from tests.kits.testrun_kit import PYTEST, environ

SUITE = """
import pytest

def test_pure():
    assert True

@pytest.mark.real_backend
def test_real():
    assert True
"""


def ground(folder: Path) -> Ground:
    folder.mkdir()
    made = ground_of({"folder": str(folder), "run": "followed", "key": "0" * 32})
    made.events.touch()
    return made


async def test_a_look_of_the_last_minute_serves_the_next_pytest_and_another_configuration_asks_for_a_new_one(
    team: Path, staging: SmallStaging
) -> None:
    first = await begin(settings_of(team))
    assert first.decision.mode is TestExecutionMode.FULL
    assert first.in_use == ()
    assert (await begin(settings_of(team))).health.started_at == first.health.started_at
    later = memory.snapshot(settings_of(team).state).stat().st_mtime + 1
    os.utime(team / "resilience.toml", (later, later))
    assert (await begin(settings_of(team))).health.started_at > first.health.started_at


async def test_a_followed_pytest_is_told_how_staging_is_and_its_result_has_the_lines_a_person_reads_first(
    team: Path, staging: SmallStaging, tmp_path: Path
) -> None:
    (team / "test_it.py").write_text(SUITE)
    here = ground(tmp_path / "exchange")
    said: list[Mapping[str, Any]] = []
    answers: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
    with Entrance(here.run) as entrance:

        async def say(message: Mapping[str, Any]) -> None:
            said.append(message)
            if "begin" in message:
                told = {**message["begin"]["told"], "events": str(here.events), "sign": here.key}
                env = entrance.environment(environ({}), entrance.configure("first", told), team)
                process = await asyncio.create_subprocess_shell(
                    f"{PYTEST} test_it.py", cwd=team, env=env, stdout=asyncio.subprocess.DEVNULL
                )
                await answers.put({"exit": await process.wait()})

        result = await follow(settings_of(team), here, say, answers.get, command="pytest test_it.py")
    assert [next(iter(message)) for message in said] == ["begin", "result"]
    told = said[0]["begin"]
    assert told["lines"][0].startswith("STAGING: UP")
    assert (told["mode"], told["well"], told["environ"]) == ("full", True, {})
    assert Path(told["snapshot"]).stat().st_mode & 0o777 == 0o600
    document = said[1]["result"]
    assert document["lines"][0].startswith("STAGING: UP")
    assert {test["id"]: test["outcome"] for test in document["tests"]} == {
        "test_it.py::test_pure": "passed",
        "test_it.py::test_real": "passed",
    }
    assert document["exit_code"] == result.exit_code
    assert result.verdict.value == document["verdict"]
    events = here.events.read_bytes().splitlines()
    again = await replay(settings_of(team), here, [line for line in events if line])
    assert (again["verdict"], again["tests"]) == (document["verdict"], document["tests"])
    assert (again["again"], again["needs"]) == ([], [])


@pytest.mark.parametrize(
    ("line", "message"), [(b'{"exit": 1}\n', {"exit": 1}), (b"hello\n", None), (b"[1]\n", None), (b"\xff\n", None)]
)
def test_a_line_that_is_no_message_says_nothing(line: bytes, message: Mapping[str, Any] | None) -> None:
    assert message_of(line) == message
