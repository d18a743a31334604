"""Applying writes what the plan says, once, and never over somebody's edit."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from resilience.core.errors import EditedError, LockedError
from resilience.core.mode import decide
from resilience.core.plan import make_plan, values_to_apply
from resilience.core.records import StandIn, TestExecutionMode
from resilience.core.settings import Service, Settings
from resilience.core.variables import APPLIED
from resilience.fallback import apply as applying, journal
from resilience.host.lock import holder, locked
from tests.kits.fallback_kit import ORIGIN, apply_values, put_back
from tests.kits.records import AT, S, config, health


def test_applying_again_over_an_edit_is_refused(tmp_path: Path) -> None:
    settings = config(tmp_path)
    apply_values(settings, {"A": "1"})
    settings.env_file.write_text("A=edited\n")
    with pytest.raises(EditedError):
        apply_values(settings, {"A": "2"})
    assert settings.env_file.read_text() == "A=edited\n"


def test_the_second_of_two_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    settings = config(tmp_path)
    with locked(settings.state, "test", run="r"):
        who = holder(settings.state)
        assert who is not None
        assert (who.verb, who.pid) == ("test", os.getpid())
        with pytest.raises(LockedError, match=f"resilience test, pid {os.getpid()}") as caught:
            apply_values(settings, {"A": "1"})
        assert caught.value.exit_code == 75
    assert holder(settings.state) is None


def test_applied_gives_its_environment_to_this_process_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A", "before")
    monkeypatch.delenv("B", raising=False)
    applied = apply_values(config(tmp_path), {"A": "1", "B": "2"})
    with applied.environ():
        assert (os.environ["A"], os.environ["B"]) == ("1", "2")
    assert (os.environ["A"], os.environ.get("B")) == ("before", None)


def test_the_mode_of_a_plan_is_written_into_the_file(tmp_path: Path) -> None:
    settings = config(tmp_path)
    apply_values(settings, {"A": "1"})
    assert f"mode {TestExecutionMode.DEGRADED.value}" in settings.env_file.read_text()


def stand_in(service: Service, *, ready: bool = True) -> StandIn:
    return StandIn(
        service=service.name,
        type=service.type,
        provider="wheel",
        endpoint="127.0.0.1:1",
        ready=ready,
        started_here=True,
    )


def applying_redis(settings: Settings, said: list[str], *, ready: bool = True) -> applying.AppliedHere:
    """Apply the plan for a Redis that is down; its stand-in comes up or does not."""
    seen = health({"redis": S.UNAVAILABLE}, usable=("redis",))
    decision = decide(seen, settings.services, settings.wishes, now=AT)
    plan = make_plan(decision, seen, settings.planning, before={})

    async def start(services: Sequence[Service]) -> tuple[StandIn, ...]:
        noted = journal.load(settings.state)
        said.append(f"start {[service.name for service in services]}, noted: {noted is not None}")
        assert not settings.env_file.exists(), "no test is sent to a stand-in that is not there yet"
        return tuple(stand_in(service, ready=ready) for service in services)

    values = values_to_apply(decision, seen, settings.planning, run="run-1")
    done = applying.apply(
        plan, values, settings.places, settings.services, ORIGIN, start=start, on_progress=said.append
    )
    return asyncio.run(done)


def test_what_is_there_is_noted_first_then_the_stand_ins_come_up_then_the_file_is_written(tmp_path: Path) -> None:
    settings, said = config(tmp_path), list[str]()
    done = applying_redis(settings, said)
    assert said == [
        "noted what is there now",
        "start ['redis'], noted: True",
        "stand-ins are up",
        "about to write .env.test.active",
        "wrote .env.test.active",
        "applied",
    ]
    assert (done.run, done.already, done.failed) == ("run-1", False, ())
    assert [one.service for one in done.stand_ins] == ["redis"]
    noted = journal.load(settings.state)
    assert noted is not None
    assert (noted.status, noted.stand_ins, noted.names) == ("applied", ("redis",), tuple(sorted(noted.names)))


def test_a_stand_in_that_does_not_come_up_leaves_the_file_alone_and_what_was_started_noted(tmp_path: Path) -> None:
    settings = config(tmp_path)
    done = applying_redis(settings, [], ready=False)
    assert done.failed == ("redis",)
    assert not settings.env_file.exists()
    noted = journal.load(settings.state)
    assert noted is not None
    assert (noted.status, noted.stand_ins) == ("applying", ("redis",))


def test_what_is_applied_already_keeps_the_name_of_the_run_that_applied_it_first(tmp_path: Path) -> None:
    settings = config(tmp_path)
    apply_values(settings, {"A": "1", APPLIED: "run-1"})
    before = settings.env_file.read_bytes()
    again = apply_values(settings, {"A": "1", APPLIED: "run-2"}, origin=journal.Origin(run="run-2"))
    assert (again.run, again.already) == ("run-1", True)
    assert settings.env_file.read_bytes() == before


def test_a_folder_that_cannot_be_written_leaves_everything_as_it_was(tmp_path: Path) -> None:
    settings = config(tmp_path)
    (tmp_path / "config").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="config"):
        apply_values(settings, {"A": "1"})
    assert (tmp_path / "config").read_text() == "a file where the folder should be"
    (tmp_path / "config").unlink()
    assert put_back(settings).identical
