"""Recovery: nothing is restored before staging stays well, then the critical tests go first, and the worse result counts."""

from __future__ import annotations

import sys
from pathlib import Path

from resilience import stand_ins as local
from resilience.core.records import (
    ExitCode,
    RecoveryCheck,
    Verdict,
)
from resilience.fallback import journal as journals
from resilience.runs.runbook import Run, recover
from tests.kits.run_kit import change, on_disk, settings_of
from tests.kits.small_staging import SmallStaging


def write_down(team: Path, mode: str) -> None:
    """Let a mode's command note its name and what the env file holds at that moment."""
    (team / f"{mode}.py").write_text(
        "import pathlib\n"
        "env = pathlib.Path('.env.test.active')\n"
        f"with open('ran', 'a') as ran: ran.write('{mode} ' + (env.read_text() if env.exists() else 'no env file') + '\\n')\n"
    )
    config = team / "resilience.toml"
    head, sign, tail = config.read_text().partition(f"[modes.{mode}]\n")
    config.write_text(
        head + sign + f'commands = ["{sys.executable} {mode}.py"]\n' + tail.partition("\n")[2] if sign else head
    )


async def test_recover_restores_first_then_runs_the_critical_tests_then_all(
    stood_in: Path, staging: SmallStaging
) -> None:
    for mode in ("critical_only", "full"):
        write_down(stood_in, mode)
    (stood_in / ".env.test.active").write_text("MINE=1")
    staging.status = 503
    run = Run.create(settings_of(stood_in), apply=True)
    await run.assess()
    run.choose_mode()
    await run.apply()
    assert "RESILIENCE_APPLIED" in (stood_in / ".env.test.active").read_text()
    staging.status = 200
    checks: list[RecoveryCheck] = []
    try:
        code = await recover(run, wait_s=5, on_check=checks.append)
    finally:
        await local.stop(run.settings)
    assert code == 0
    assert [check.in_a_row for check in checks] == [1, 2]
    assert (stood_in / "ran").read_text().splitlines() == ["critical_only MINE=1", "full MINE=1"]
    assert (run.folder / "report.html").exists()
    assert run.incident.restored is not None
    assert run.incident.verdict is Verdict.PASSED
    assert journals.load(run.settings.state) is None


async def test_staging_that_does_not_come_back_changes_nothing_and_times_out(
    stood_in: Path, staging: SmallStaging
) -> None:
    staging.status = 503
    run = Run.create(settings_of(stood_in), apply=True)
    await run.assess()
    run.choose_mode()
    try:
        await run.apply()
        applied = (stood_in / ".env.test.active").read_bytes()
        assert await recover(run, wait_s=0.2) == ExitCode.TIMED_OUT
        assert (stood_in / ".env.test.active").read_bytes() == applied
        document = on_disk(run)
        assert (document["verdict"], document["exit_code"], document["critical_tests"]) == ("timed_out", 124, None)
    finally:
        await run.restore()
        await local.stop(run.settings)


async def test_critical_tests_that_fail_are_not_hidden_by_a_full_suite_that_passes(team: Path) -> None:
    change(
        team, "[modes.critical_only]\ncommands = [", f'[modes.critical_only]\ncommands = ["{sys.executable} -c 1/0", '
    )
    run = Run.create(settings_of(team))
    code = await recover(run, wait_s=5)
    assert code == ExitCode.PRODUCT_FAILURES
    assert on_disk(run)["exit_code"] == code
    assert on_disk(run)["verdict"] == "product_failures"
