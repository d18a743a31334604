"""Restore is the way back from every apply, to the byte, also from one that was killed at any point."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st

from resilience import stand_ins as local
from resilience.core.errors import EditedError, LockedError, RunbookError
from resilience.core.mode import decide
from resilience.core.plan import make_plan, values_to_apply
from resilience.core.records import Applied, StandIn
from resilience.core.secret import Secret
from resilience.core.settings import Service, Settings
from resilience.core.variables import APPLIED
from resilience.fallback import apply as applying, journal, restore as restoring
from resilience.host.files import read_env_file
from tests.kits.fallback_kit import ORIGIN, apply_values, put_back, state_of
from tests.kits.records import AT, S, config, health

ENV_BYTES = st.binary(max_size=60) | st.text("AB=\n'\"# xé", max_size=40).map(str.encode)


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.none() | ENV_BYTES,
    target=st.none() | ENV_BYTES,
    mode=st.sampled_from([0o600, 0o644, 0o640, 0o755]),
    values=st.dictionaries(st.from_regex(r"[A-Z]{1,5}", fullmatch=True), st.text("abc 123:/@", max_size=9), max_size=5),
)
def test_apply_then_restore_is_the_identity_and_twice_is_once(
    before: bytes | None, target: bytes | None, mode: int, values: dict[str, str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = config(Path(folder), env_target=Path(folder) / ".env")
        paths = [settings.env_file, settings.env_target]
        for path, data in zip(paths, (before, target), strict=True):
            assert path is not None
            path.parent.mkdir(exist_ok=True)
            if data is not None:
                path.write_bytes(data)
                path.chmod(mode)
        states = [state_of(path) for path in paths if path]
        first = apply_values(settings, {**values, "RESILIENCE_APPLIED": "run-1"})
        applied = [state_of(path) for path in paths if path]
        assert read_env_file(settings.env_file) == {**values, "RESILIENCE_APPLIED": "run-1"}
        second = apply_values(settings, {**values, "RESILIENCE_APPLIED": "run-1"})
        assert (first.already, second.already) == (False, True)
        assert [state_of(path) for path in paths if path] == applied
        restored = put_back(settings)
        assert restored.identical
        assert [state_of(path) for path in paths if path] == states
        assert put_back(settings).nothing_to_do
        assert {path.name for path in settings.state.iterdir()} <= {"lock"}


def test_applying_another_mode_keeps_the_first_original(tmp_path: Path) -> None:
    settings = config(tmp_path)
    settings.env_file.parent.mkdir()
    settings.env_file.write_text("MINE=1\n")
    apply_values(settings, {"A": "1"})
    apply_values(settings, {"A": "2"})
    assert put_back(settings).identical
    assert settings.env_file.read_text() == "MINE=1\n"


def test_restore_refuses_an_edited_file_by_name_and_force_keeps_the_edit(tmp_path: Path) -> None:
    settings = config(tmp_path)
    settings.env_file.parent.mkdir()
    settings.env_file.write_text("MINE=1\n")
    apply_values(settings, {"A": "1", "TOKEN": "applied-value"})
    edited = settings.env_file.read_text().replace("applied-value", "edited-value")
    settings.env_file.write_text(edited)
    with pytest.raises(EditedError, match="TOKEN") as caught:
        put_back(settings)
    assert "edited-value" not in str(caught.value)
    assert settings.env_file.read_text() == edited
    restored = put_back(settings, force=True)
    assert restored.identical
    assert settings.env_file.read_text() == "MINE=1\n"
    assert [Path(copy).read_text() for copy in restored.kept_copies] == [edited]


def test_without_its_undo_data_what_was_written_is_neither_called_restored_nor_noted_as_an_original(
    tmp_path: Path,
) -> None:
    """`git clean -xdf` takes the ignored state folder away: what the file held before is then known to nobody."""
    settings = config(tmp_path)
    settings.env_file.parent.mkdir(parents=True)
    settings.env_file.write_text("MINE=1\n")
    apply_values(settings, {"A": "1", APPLIED: ORIGIN.run})
    written = settings.env_file.read_bytes()
    shutil.rmtree(settings.state)
    for act in (
        lambda: put_back(settings, files=settings.places.env_files),
        lambda: apply_values(settings, {"A": "2"}),
    ):
        with pytest.raises(
            RunbookError, match="holds what run run-1 wrote, and what it held before is not known"
        ) as caught:
            act()
        assert str(settings.state) in str(caught.value)
        assert f"git checkout -- {settings.env_file}, or rm {settings.env_file}" in caught.value.hint
        assert settings.env_file.read_bytes() == written
        assert not (settings.state / "journal.json").exists()
    settings.env_file.write_text("MINE=1\n")
    assert put_back(settings, files=settings.places.env_files).nothing_to_do
    apply_values(settings, {"A": "1"})
    put_back(settings)
    assert settings.env_file.read_text() == "MINE=1\n"


@pytest.mark.parametrize("how", ["copied", "moved"])
def test_in_a_checkout_that_was_copied_or_moved_while_applied_its_own_files_are_put_back(
    tmp_path: Path, how: str
) -> None:
    """`cp -r` takes the undo data along: restore in the copy put back the file of the checkout that was copied."""
    old, new = tmp_path / "old", tmp_path / "far" / "new"
    first, second = config(old), config(new)
    first.env_file.parent.mkdir(parents=True)
    first.env_file.write_text("MINE=1\n")
    elsewhere = tmp_path / "elsewhere.env"
    apply_values(
        replace(first, env_target=elsewhere), {"A": "1"}, origin=replace(ORIGIN, folder=old / "outputs" / "run")
    )
    written = first.env_file.read_bytes()
    new.parent.mkdir()
    if how == "copied":
        shutil.copytree(old, new)
    else:
        old.rename(new)
    noted = journal.load(second.state)
    assert noted is not None
    assert noted.folder == str(new / "outputs" / "run")
    assert [file.path for file in noted.files] == [str(second.env_file), str(elsewhere)]
    restored = put_back(second)
    assert restored.identical
    assert second.env_file.read_text() == "MINE=1\n"
    assert not elsewhere.exists()
    assert not list(second.state.glob("*original*"))
    if how == "copied":
        assert first.env_file.read_bytes() == written
        put_back(first)
        assert first.env_file.read_text() == "MINE=1\n"


def test_restore_runs_only_on_the_host_where_apply_ran(tmp_path: Path) -> None:
    settings = config(tmp_path)
    same = {"A": "1", APPLIED: ORIGIN.run}
    apply_values(settings, same)
    assert apply_values(settings, same).already
    file = settings.state / "journal.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "host": "elsewhere"}))
    with pytest.raises(LockedError, match="elsewhere"):
        put_back(settings)
    with pytest.raises(LockedError, match="elsewhere"):
        apply_values(settings, {"A": "2"})
    with pytest.raises(LockedError, match="elsewhere"):
        apply_values(settings, same)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from resilience.runs.configuration import load_settings
from resilience import stand_ins as local
from resilience.runs.runbook import Run
from tests.fallback.test_restore import redis_only, kill_after

asyncio.run(redis_only(Path(sys.argv[1]), kill_after(int(sys.argv[2]))))
"""


def kill_after(steps: int) -> Callable[[str], None]:
    left = [steps]

    def tell(what: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return tell


def lone_redis(folder: Path) -> Settings:
    port = int((folder / "port").read_text())
    settings = config(folder)
    base = settings.service("redis")
    assert base is not None
    url = f"redis://:local-pw@127.0.0.1:{port}/0"
    redis = replace(base, local=Secret(url), local_values={"REDIS_URL": url})
    return replace(
        settings, services=tuple(redis if service.name == "redis" else service for service in settings.services)
    )


async def redis_only(folder: Path, on_step: Callable[[str], None] | None = None) -> Applied:
    """Apply a real Redis stand-in, journaled."""
    settings = lone_redis(folder)
    seen = health({"redis": S.UNAVAILABLE}, usable=("redis",))
    decision = decide(seen, settings.services, settings.wishes, now=AT)
    plan = make_plan(decision, seen, settings.planning, before={})

    async def start(services: list[Service]) -> tuple[StandIn, ...]:
        return await local.start(services, settings, on_progress=on_step)

    return await applying.apply(
        plan,
        values_to_apply(decision, seen, settings.planning, run="r"),
        settings.places,
        settings.services,
        journal.Origin(run="r"),
        start=start,  # type: ignore[arg-type]
        on_step=on_step,
    )


def kill_and_restore(folder: Path, steps: int) -> bool:
    """Kill the applying process at this step, restore, and hold everything against what was there. False: it survived."""
    settings = lone_redis(folder)
    before = state_of(settings.env_file)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), str(steps)], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    found = journal.load(settings.state)
    if done.returncode:
        assert found is None or found.unfinished or found.status == "applied"
    asyncio.run(restoring.restore(settings.state, stop=lambda names: local.stop(settings, names)))
    asyncio.run(local.stop(settings))
    assert state_of(settings.env_file) == before
    assert not [path for path in settings.env_file.parent.iterdir() if path.name.endswith(".aside")]
    assert journal.load(settings.state) is None
    port = int((folder / "port").read_text())
    assert not [c for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.status == "LISTEN"]
    mark = str(settings.data).encode()
    ours = [p for p in psutil.process_iter(["cmdline"]) if any(mark in a.encode() for a in p.info["cmdline"] or ())]
    assert not ours
    return bool(done.returncode)


@pytest.fixture
def checkout(tmp_path: Path, free_port: int) -> Path:
    (tmp_path / "port").write_text(str(free_port))
    (tmp_path / "config").mkdir()
    env = tmp_path / "config" / ".env.test.active"
    env.write_bytes(b"# mine\r\nA='1'\n\n")
    env.chmod(0o640)
    return tmp_path


def test_a_kill_at_any_of_the_first_steps_is_undone(checkout: Path) -> None:
    killed = [kill_and_restore(checkout, steps) for steps in range(1, 6)]
    assert killed == [True] * 5


@pytest.mark.slow
def test_fifty_kills_at_every_step_are_undone(checkout: Path) -> None:
    kills = 0
    while kills < 50:
        step = 1
        while kill_and_restore(checkout, step):
            kills += 1
            step += 1
        assert step > 5
