"""What is stopped is gone with its port, what stays goes on, and what nobody wrote down ends too."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.settings import Settings
from resilience.services.place import port_open
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import (
    errors,
    eventually,
    needs_servers,
    processes_naming,
    team,
)

pytestmark = needs_servers


async def test_one_of_several_is_stopped_and_the_rest_go_on(checkout: Callable[..., Settings]) -> None:
    ports = free_ports(6)
    settings = checkout(team(ports))
    await local.start(settings.services, settings)
    assert await local.stop(settings, ["websocket", "redis", "nobody"]) == ("redis", "websocket")
    assert [port_open("127.0.0.1", port) for port in ports] == [True, False, True, True, False, True]
    assert [one.service for one in local.status(settings)] == ["database", "backend_api", "auth_service", "llm_service"]
    assert all(one.ready for one in local.status(settings))


@pytest.mark.parametrize(
    "after_s",
    [0.4, *(pytest.param(after_s, marks=pytest.mark.slow) for after_s in (0.1, 0.15, 0.2, 0.3, 0.5, 0.6, 0.8))],
)
async def test_a_start_that_is_killed_leaves_nothing_that_stop_does_not_end(
    checkout: Callable[..., Settings], tmp_path: Path, after_s: float
) -> None:
    ports = free_ports(6)
    settings = checkout(team(ports))
    code = (
        "import asyncio, pathlib, sys\n"
        "from resilience import stand_ins as local\n"
        "from tests.kits.stand_in_kit import settings_for, team\n"
        "settings = settings_for(pathlib.Path(sys.argv[1]), team([int(port) for port in sys.argv[2:]]))\n"
        "print('begun', flush=True)\n"
        "asyncio.run(local.start(settings.services, settings))\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(tmp_path), *map(str, ports)),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"begun\n"
    await asyncio.sleep(after_s)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.communicate()
    await local.stop(settings, [one.name for one in settings.services])
    assert eventually(lambda: not processes_naming(tmp_path / "data"))
    assert not any(port_open("127.0.0.1", port) for port in ports)
    assert errors(await local.start(settings.services, settings)) == []
