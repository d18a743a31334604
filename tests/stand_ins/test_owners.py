"""A process belongs to the checkout in whose data it works: by its mark, and by the records of the version that left none."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.settings import Settings
from resilience.services.place import port_open
from resilience.services.postgresql.stand_in import NONCE_FILE
from resilience.stand_ins.checkout import supervised_folder
from resilience.stand_ins.listeners import mark_of_process
from resilience.stand_ins.owners import MARK, Mark, is_ours, mark_above, own_mark
from resilience.stand_ins.state import read_state
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import errors, eventually, needs_servers, service, settings_for

BEFORE = Path(__file__).resolve().parent.parent / "data" / "before"
"""What version 8848a0b left in its data folder after `resilience apply`; folder and ports have names in their place."""


def here_and_there(tmp_path: Path) -> tuple[Settings, Settings]:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    here, there = (settings_for(tmp_path / name, []) for name in ("here", "there"))
    return here, there


def test_a_checkout_makes_its_mark_once_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    here, there = here_and_there(tmp_path)
    mark = own_mark(here)
    assert mark == Mark(data=here.data, root=str(here.root), nonce=mark.nonce)
    assert len(mark.nonce) == 32
    assert own_mark(here) == mark != own_mark(there)
    assert (here.data / MARK).stat().st_mode & 0o777 == 0o600


def test_a_folder_belongs_to_the_checkout_whose_mark_lies_above_it(tmp_path: Path) -> None:
    here, there = here_and_there(tmp_path)
    inside = there.data / "postgresql-5432-15" / "base"
    inside.mkdir(parents=True)
    mark = own_mark(there)
    assert mark_above(inside) == mark
    assert is_ours(mark, there)
    assert not is_ours(mark, here)
    assert mark_above(tmp_path) is None


def test_the_nonce_counts_and_not_the_path(tmp_path: Path) -> None:
    """The machine at the other end of a tunnel may have the same path, with a nonce of its own."""
    here, there = here_and_there(tmp_path)
    mark = own_mark(here)
    same_path = Mark(data=mark.data, root=mark.root, nonce="another")
    moved = Mark(data=there.data, root=str(there.root), nonce=mark.nonce)
    assert not is_ours(same_path, here)
    assert is_ours(moved, here)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"root": "/x"}'])
def test_a_mark_that_cannot_be_read_is_nobodys_and_is_made_anew(tmp_path: Path, text: str) -> None:
    here, _ = here_and_there(tmp_path)
    here.data.mkdir()
    (here.data / MARK).write_text(text)
    assert mark_above(here.data) is None
    assert own_mark(here).nonce
    assert mark_above(here.data) == own_mark(here)


def test_a_process_is_the_checkouts_in_whose_data_it_works(tmp_path: Path) -> None:
    _, there = here_and_there(tmp_path)
    mark = own_mark(there)
    command = [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"]
    for folder, expected in ((there.data, mark), (tmp_path, None)):
        with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            assert mark_of_process(process.pid) == expected
            assert process.stdin is not None
            process.stdin.close()
    assert mark_of_process(process.pid) is None, "it ended"
    assert mark_of_process(None) is None


def test_the_folder_of_the_version_before_has_no_mark_and_is_known_by_its_records(tmp_path: Path) -> None:
    here, there = here_and_there(tmp_path)
    (there.data / "supervisor").mkdir(parents=True)
    (there.data / "stand_ins.json").write_text((BEFORE / "stand_ins.json").read_text())
    mark = mark_above(there.data / "redis-6379-wheel")
    assert mark == Mark(data=there.data)
    assert mark.shown == f"another checkout (its data: {there.data})"
    assert is_ours(mark, there)
    assert not is_ours(mark, here)


def leave_what_the_version_before_left(settings: Settings, ports: list[int]) -> None:
    """Put the records of 8848a0b in the place of today's, with the processes that run, and take away what it did not write."""
    now = read_state(supervised_folder(settings))

    def filled(name: str) -> str:
        text = (BEFORE / name).read_text().replace("DATA", str(settings.data))
        for number, port in enumerate(ports):
            text = text.replace(f"PORT_{number}", str(port))
        return text

    state = json.loads(filled("state.json"))
    state["pid"], state["identity"] = now.pid, now.identity
    assert set(state["services"]) == set(now.services), "processes have the names they had"
    for name, running in now.services.items():
        state["services"][name]["pid"], state["services"][name]["identity"] = running.pid, running.identity
    records = json.loads(filled("stand_ins.json"))
    for record in records["by_service"].values():
        record["stand_in"]["pid"] = now.services[record["supervised"]].pid
    supervisor = supervised_folder(settings)
    (settings.data / "stand_ins.json").write_text(json.dumps(records))
    (settings.data / "mocks.json").write_text(filled("mocks.json"))
    (supervisor / "state.json").write_text(json.dumps(state))
    (supervisor / "lease.json").write_text(filled("lease.json"))
    (settings.data / MARK).unlink()
    for nonce in settings.data.glob(f"*/{NONCE_FILE}"):
        nonce.unlink()


@needs_servers
async def test_what_the_version_before_started_is_found_refused_to_others_used_and_ended(
    checkout: Callable[..., Settings], tmp_path: Path
) -> None:
    """A team that upgrades in the middle of an outage has its stand-ins still, and its undo."""
    ports = free_ports(3)
    services = [
        service("database", f"postgresql://app:pw@localhost:{ports[0]}/app"),
        service("redis", f"redis://:pw@localhost:{ports[1]}/0"),
        service("backend_api", f"http://localhost:{ports[2]}/health"),
    ]
    settings = checkout(services)
    assert errors(await local.start(services, settings)) == []
    database = read_state(supervised_folder(settings)).services[f"postgresql-{ports[0]}"].pid
    leave_what_the_version_before_left(settings, ports)

    assert [(one.service, one.ready) for one in local.status(settings)] == [
        ("database", True),
        ("redis", True),
        ("backend_api", True),
    ]
    (tmp_path / "other").mkdir()
    refused = await local.start(services, settings_for(tmp_path / "other", services))
    assert [one.ready for one in refused] == [False] * 3
    assert all(f"another checkout (its data: {settings.data})" in one.error for one in refused)

    assert errors(await local.start(services[:1], settings)) == []
    assert [one.pid for one in local.status(settings) if one.service == "database"] == [database]
    leave_what_the_version_before_left(settings, ports)
    assert set(await local.stop(settings)) == {"database", "redis", "backend_api"}
    assert not any(port_open("127.0.0.1", port) for port in ports)
    assert eventually(lambda: not os.path.exists(f"/proc/{database}"))
    assert await asyncio.to_thread(local.status, settings) == ()
