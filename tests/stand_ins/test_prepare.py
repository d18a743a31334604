"""Ready means prepared: the team's commands made what its query asks for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from resilience import stand_ins as local
from resilience.core.secret import Secret
from resilience.core.settings import Deadlines, Settings
from resilience.services.postgresql import stand_in as postgresql
from tests.kits.ports import free_ports
from tests.kits.repository import put
from tests.kits.stand_in_kit import (
    errors,
    eventually,
    needs_servers,
    processes_naming,
    service,
)

pytestmark = needs_servers


async def test_prepare_runs_with_the_exports_in_the_root_and_the_ready_query_decides(
    checkout: Callable[..., Settings],
) -> None:
    port = free_ports(1)[0]
    url = f"postgresql://app:pw@localhost:{port}/app"
    psql = shutil.which("psql") or str(postgresql.find_binaries()[0].folder / "psql")
    ready = service(
        "database",
        url,
        exports={"DATABASE_URL": Secret(url)},
        prepare=("pwd > here", f'{psql} "$DATABASE_URL" -qc "create table if not exists users (id int)"'),
        ready_query="select count(*) from users",
    )
    settings = checkout([ready], env_command="env WRAPPED=yes")
    found = (await local.start([ready], settings))[0]
    assert found.ready, found.error
    assert found.prepare_s > 0
    assert found.gaps == ()
    assert (settings.root / "here").read_text().strip() == str(settings.root)

    gap = replace(ready, ready_query="select count(*) from orders")
    found = (await local.start([gap], settings))[0]
    assert not found.ready
    assert "orders" in found.error

    broken = replace(ready, prepare=('echo "$WRAPPED: migration 7 is broken"; exit 3',))
    found = (await local.start([broken], settings))[0]
    assert not found.ready
    assert "exit code 3: yes: migration 7 is broken" in found.error

    elsewhere = replace(ready, prepare=("true",))
    found = (await local.start([elsewhere], settings))[0]
    assert found.ready
    assert any("never connected to it" in gap for gap in found.gaps)


async def test_a_prepare_command_that_hangs_is_ended_with_its_children(
    checkout: Callable[..., Settings], tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    settings = checkout([service("redis", f"redis://:pw@localhost:{port}/0")])
    assert errors(await local.start(settings.services, settings)) == []
    hanging = replace(settings.services[0], prepare=(f"sleep 300 & sleep 301; : {tmp_path}/hanging",))
    short = replace(settings, deadlines=Deadlines(fallback_activation_s=15.0, fallback_prepare_s=0.5))
    found = (await local.start([hanging], short))[0]
    assert "was not done within 0.5 s" in found.error
    assert "FALLBACK_PREPARE_TIMEOUT" in found.error
    assert eventually(lambda: not processes_naming(tmp_path / "hanging"))


async def test_prepare_has_what_pytest_env_gives_the_tests_and_the_exports_go_before_it(
    checkout: Callable[..., Settings],
) -> None:
    """Django's settings refuse to be imported without the key that a team keeps in pytest's settings."""
    port = free_ports(1)[0]
    one = service(
        "cache",
        f"redis://127.0.0.1:{port}/0",
        exports={"REDIS_URL": Secret("exported")},
        prepare=('cd src && printf "%s %s" "$SECRET_KEY" "$REDIS_URL" > here',),
    )
    settings = checkout([one])
    put(
        settings.root / "pyproject.toml",
        '[tool.pytest_env]\nSECRET_KEY = "of-the-tests"\nREDIS_URL = "of-pytest-env"\n',
    )
    (settings.root / "src").mkdir()
    found = (await local.start([one], settings))[0]
    assert found.ready, found.error
    assert (settings.root / "src/here").read_text() == "of-the-tests exported"
