"""Looks go where the first one went, and never to a stand-in when they ask after staging."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.errors import SettingsError
from resilience.runs import runbook
from resilience.runs.runbook import Run
from tests.kits.run_kit import change, settings_of
from tests.kits.small_staging import SmallStaging


async def test_the_endpoints_of_a_run_are_frozen_at_its_first_look(team: Path) -> None:
    run = Run.create(settings_of(team))
    await run.assess()
    with SmallStaging() as other:
        change(team, f":{run.incident.health.services[0].endpoint.rpartition(':')[2].split('/')[0]}", f":{other.port}")  # type: ignore[union-attr]
        again = Run.open(run.folder, settings_of(team))
        with pytest.raises(SettingsError, match=r"as at the first assessment.*resilience run"):
            await again.assess()


async def test_while_a_fallback_is_applied_staging_is_where_it_was(stood_in: Path, staging: SmallStaging) -> None:
    staging.status = 503
    run = Run.create(settings_of(stood_in), apply=True)
    await run.assess()
    run.choose_mode()
    try:
        await run.apply()
        with SmallStaging() as other:
            change(stood_in, f":{staging.port}/", f":{other.port}/")
            with pytest.raises(SettingsError, match=r"first assessment of this incident.*resilience restore"):
                await runbook.look(settings_of(stood_in))
    finally:
        await run.restore()
        await local.stop(run.settings)


async def test_recovery_never_looks_at_a_stand_in(stood_in: Path, staging: SmallStaging) -> None:
    staging.status = 503
    run = Run.create(settings_of(stood_in), apply=True)
    await run.assess()
    run.choose_mode()
    try:
        await run.apply()
        recovery = await run.validate_recovery()
        assert not recovery.recovered
        assert {sample.target for sample in run.samples() if sample.stage == "validate_recovery"} == {"staging"}
    finally:
        await run.restore()
        await local.stop(run.settings)


_FIRST_TICK = """
import asyncio, sys, time
import subprocess
import sys
from pathlib import Path
from resilience.runs import looking
from resilience.runs.configuration import load_settings
loaded = []
looking.perf_counter = lambda: loaded.append("asyncpg" in sys.modules) or time.perf_counter()
settings = load_settings(Path(sys.argv[1]))
assert "asyncpg" not in sys.modules
asyncio.run(looking.look(settings))
print(loaded[0])
"""


def test_a_driver_is_imported_before_the_clock_of_a_look_starts(tmp_path: Path) -> None:
    """Its import took 0.15 s of each assessment, as if staging had."""
    (tmp_path / ".git").mkdir()
    file = tmp_path / "resilience.toml"
    file.write_text('[[service]]\nname = "database"\ntype = "postgresql"\nurl = "postgresql://u:p@127.0.0.1:9/x"\n')
    done = subprocess.run([sys.executable, "-c", _FIRST_TICK, str(file)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr
