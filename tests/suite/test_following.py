"""A pytest that somebody else started is followed by its events, and its starter is asked for the second runs."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from resilience.core.records import Outcome, PlannedCommand, TestExecutionMode, TestSuiteResult
from resilience.suite.entering import Entrance
from resilience.suite.following import Follower, Ground, Replayed, StarterGoneError
from resilience.suite.records import Instruments, Place, Request
from resilience.suite.testrun import judge_once, run_suite
from tests.kits.testrun_kit import INFRA, PYTEST, LineServer, Probe, by_id, environ, settings, write

SUITE = """
    from helpers import hello

    def test_reaches():
        hello()

    def test_pure():
        assert 1 + 1 == 2

    def test_wrong():
        assert 1 + 1 == 3
"""


class Starter:
    """Starts a real pytest, as the team's plug-in does, and answers what it is asked.

    `before` and `after` are called around the first session.
    """

    def __init__(self, root: Path, ground: Ground, entrance: Entrance, env: Mapping[str, str]) -> None:
        self.root, self.ground, self.entrance, self.env = root, ground, entrance, env
        self.said: list[Mapping[str, Any]] = []
        self.answers: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
        self.before: Callable[[], object] = lambda: None
        self.after: Callable[[], object] = lambda: None

    async def say(self, message: Mapping[str, Any]) -> None:
        self.said.append(message)
        if "begin" in message:
            own = {"events": str(self.ground.events), "sign": self.ground.key}
            told = self.entrance.configure("first", {**message["begin"], **own})
            self.before()
        else:
            told = Path(message["again"]["told"])
        process = await asyncio.create_subprocess_shell(
            PYTEST, cwd=self.root, env=self.entrance.environment(self.env, told, self.root),
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        code = await process.wait()
        if "begin" in message:
            self.after()
        await self.answers.put({"exit": code})

    async def hear(self) -> Mapping[str, Any] | None:
        return await self.answers.get()


@pytest.fixture
async def starter(root: Path, tmp_path: Path, database: LineServer) -> AsyncIterator[Starter]:
    write(root, test_it=SUITE)
    folder = tmp_path / "exchange"
    (folder / "stacks").mkdir(parents=True)
    ground = Ground(folder=folder, run="followed", key=secrets.token_hex(16))
    ground.events.touch()
    with Entrance("followed") as entrance:
        yield Starter(root, ground, entrance, environ({"database": database}))


def asked(root: Path, database: LineServer, ground: Ground, attempts: int) -> tuple[Request, Place, Instruments]:
    services = {"database": database}
    made = settings(root, services)
    return (
        Request(
            mode=TestExecutionMode.FULL,
            commands=(PlannedCommand(command="pytest"),),
            attempts=attempts,
            delay_s=0.1,
            stall_s=float("inf"),
        ),
        Place(root=root, folder=ground.folder, environ=environ(services), services=made.services),
        Instruments(probe=Probe(services)),
    )


async def follow(starter: Starter, database: LineServer, attempts: int = 1) -> TestSuiteResult:
    follower = Follower(starter.ground, starter.say, starter.hear)
    return await run_suite(*asked(starter.root, database, starter.ground, attempts), executor=follower)


async def test_what_only_an_outage_stopped_is_asked_for_again_and_nothing_else(
    starter: Starter, database: LineServer
) -> None:
    starter.after = database.up
    result = await follow(starter, database)
    assert [sorted(message) for message in starter.said] == [["begin"], ["again"]]
    again = starter.said[1]["again"]
    assert (again["round"], again["tests"]) == (2, 1)
    assert json.loads(Path(again["told"]).read_text())["again"]["ids"] == {
        str(starter.root): ["test_it.py::test_reaches"]
    }
    assert by_id(result) == {
        "test_reaches": Outcome.PASSED, "test_pure": Outcome.PASSED, "test_wrong": Outcome.FAILED,
    }  # fmt: skip
    assert result.commands[0].exit_code == 0, "the code of the last session, as its starter said it"


async def test_events_that_are_not_signed_with_the_key_of_the_exchange_say_nothing(
    starter: Starter, database: LineServer
) -> None:
    database.up()
    forged = {"k": "fail", "s": "1.a", "id": "test_it.py::test_pure", "at": 1.0, "text": "forged", "when": "call"}
    starter.before = lambda: starter.ground.events.write_text(json.dumps(forged) + "\n")
    result = await follow(starter, database, attempts=0)
    assert by_id(result)["test_pure"] is Outcome.PASSED
    assert any("not our plug-in's" in note for note in result.notes), result.notes


@pytest.mark.parametrize("answer", [None, {"hello": 1}])
async def test_a_starter_that_is_gone_ends_it(
    starter: Starter, database: LineServer, answer: Mapping[str, Any] | None
) -> None:
    async def say(message: Mapping[str, Any]) -> None:
        await starter.answers.put(answer)

    follower = Follower(starter.ground, say, starter.hear)
    with pytest.raises(StarterGoneError):
        await run_suite(*asked(starter.root, database, starter.ground, 0), executor=follower)


async def test_a_session_that_has_ended_is_replayed_from_its_lines_signed_or_not(
    starter: Starter, database: LineServer
) -> None:
    follower = Follower(starter.ground, starter.say, starter.hear)
    request, place, instruments = asked(starter.root, database, starter.ground, 0)
    first = await run_suite(request, place, instruments, executor=follower)
    signed = starter.ground.events.read_bytes().split(b"\n")
    assert by_id(first)["test_reaches"] is INFRA
    for lines in (signed, [line.rsplit(b" ", 2)[0] for line in signed]):
        kept = [line for line in lines if line]
        once = await judge_once(request, place, instruments, executor=Replayed(starter.ground, kept))
        assert by_id(once.result) == by_id(first)
        assert once.again == ("test_it.py::test_reaches",)
        assert once.needs == ("database",)
        assert once.result.commands[0].exit_code == 1
