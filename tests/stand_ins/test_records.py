"""What was started is written down so that a later version finds and ends it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.errors import StandInError
from resilience.core.settings import Settings
from resilience.host.processes import identity
from resilience.stand_ins import mocks, records
from resilience.stand_ins.lease import Lease
from resilience.stand_ins.state import Running
from tests.kits.stand_in_kit import service

STAND_IN = {
    "provider": "wheel",
    "ready": True,
    "started_here": True,
    "version": "7.2.4 (Valkey 9.1.2)",
    "start_s": 1.006,
    "prepare_s": 0.0,
    "passed_over": ["running: nothing listens on port 15312", "compose: no container engine answers"],
    "gaps": [],
    "log": "/nowhere/data/logs/redis-15312.log",
    "data_dir": "/nowhere/data/redis-15312-wheel",
    "error": "",
}
"""As the version before the rooms wrote it, in `by_service` of stand_ins.json."""
MOCK = {"bind": "127.0.0.1", "port": 15313, "path": "/health", "user": "", "password": "", "routes": []}
MOCK |= {"expect_json": {}, "expect_body": "", "expect_status": 200}
OLD_MOCKS = {
    "services": [
        {"name": "backend_api", "kind": "backend", **MOCK},
        {"name": "auth_service", "kind": "auth", **MOCK, "port": 15314},
        {"name": "websocket", "kind": "websocket", **MOCK, "port": 15315},
        {"name": "llm_service", "kind": "llm", **MOCK, "port": 15316},
    ],
    "token": "t",
    "key_file": "/nowhere/data/mocks.key",
    "agent_execution_s": 20.0,
    "agent_thinking_s": 15.0,
    "agent_tool_s": 10.0,
}
"""As the version before the rooms wrote mocks.json: without what imitates each service."""


async def test_what_the_version_before_started_is_found_and_ended(checkout: Callable[..., Settings]) -> None:
    """Its supervisor is gone here, as where the system has no parent-death signal; nothing goes by module or name."""
    settings = checkout([service("redis", "redis://:pw@localhost:15312/0")])
    (settings.data / "supervisor").mkdir(parents=True)
    sleeper = "import signal; signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", sleeper, "-m", "resilience.edge.local.supervisor"])
    try:
        running = {
            "name": "redis-15312",
            "pid": process.pid,
            "identity": identity(process.pid),
            "started_at": 1795557678.06,
            "log": STAND_IN["log"],
            "digest": "f25aebd4103d3569",
            "stop_signals": [15],
            "ended": "",
        }
        state = {"schema": 1, "pid": 1, "identity": "another boot:1", "started_at": 1795557678.03}
        state |= {"services": {"redis-15312": running}, "warning": "", "lease_ends_at": 1795586478.03}
        (settings.data / "supervisor" / "state.json").write_text(json.dumps(state))
        stand_in = {
            "service": "redis",
            "type": "redis",
            "endpoint": "localhost:15312/0",
            "pid": process.pid,
            **STAND_IN,
        }
        record = {
            "stand_in": stand_in,
            "bind": "127.0.0.1",
            "port": 15312,
            "supervised": "redis-15312",
            "composed": False,
        }
        (settings.data / "stand_ins.json").write_text(json.dumps({"by_service": {"redis": record}, "schema": 1}))

        found = local.status(settings)
        assert [(one.service, one.ready, one.pid) for one in found] == [("redis", True, process.pid)]
        assert await local.stop(settings) == ("redis",)
        assert process.poll() is not None
        assert local.status(settings) == ()
    finally:
        process.kill()
        process.wait()


def test_mocks_that_the_version_before_configured_are_mocked_on() -> None:
    config = mocks.read_config(json.dumps(OLD_MOCKS))
    assert [mock.kind for mock in config.services] == ["backend", "auth", "websocket", "llm"]
    assert len(mocks.Mocks(config).imitations) == 4


def test_what_a_supervisor_of_another_version_is_told_and_tells_keeps_its_fields() -> None:
    """A supervisor outlives the version that started it: an unknown key in a request would be the end of it."""
    assert list(Lease.__dataclass_fields__) == ["seconds", "warn_s", "hook", "hook_cwd", "retry_s"]
    assert list(records.Record.__dataclass_fields__) == [
        *("stand_in", "bind", "port", "supervised", "composed", "container"),
    ]
    assert list(Running.__dataclass_fields__) == [
        *("name", "pid", "identity", "started_at", "log", "digest", "stop_signals", "ended"),
    ]
    from resilience.host.processes import Launch

    assert list(Launch.__dataclass_fields__) == [
        *("name", "argv", "cwd", "log", "stop_signals", "env", "drop_root", "digest"),
    ]


def test_records_that_are_cut_or_foreign_count_as_none(tmp_path: Path) -> None:
    for text in ("", '{"by_service": {', "[]", '{"by_service": {"x": 3}}'):
        (tmp_path / "stand_ins.json").write_text(text)
        assert records.read_records(tmp_path) == {}


async def test_one_process_at_a_time_starts_or_stops(tmp_path: Path) -> None:
    async with records.only_one(tmp_path, timeout_s=0.0):
        with pytest.raises(StandInError, match="another process is starting or stopping"):
            async with records.only_one(tmp_path, timeout_s=0.05):
                pass
    async with records.only_one(tmp_path, timeout_s=0.0):
        pass
