"""Recovery: nothing is restored before staging stays well, then the critical tests go first, and the worse result counts."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.records import (
    ExitCode,
    RecoveryCheck,
    TestExecutionMode,
    Verdict,
)
from resilience.core.settings import ModeSettings
from resilience.fallback import journal as journals
from resilience.runs.recovery import full_suite
from resilience.runs.runbook import Run, recover
from tests.kits.alone import ALONE
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


@pytest.mark.parametrize(
    ("full", "configured", "expected"),
    [
        (["python -m pytest -q tests/e2e/staging -v"], [], ("python -m pytest",)),
        (["pytest tests/a", "pytest tests/b"], [], ("pytest",)),
        (["poetry run pytest tests/a"], [], ("poetry run pytest",)),
        (["make test"], [], ("make test",)),
        (["cd sub && pytest"], [], ("cd sub && pytest",)),
        (["pytest tests/a"], ["tox"], ("tox",)),
    ],
)
def test_the_full_suite_is_the_configured_one_else_pytest_without_paths_else_the_commands_of_mode_full(
    stood_in: Path, full: list[str], configured: list[str], expected: tuple[str, ...]
) -> None:
    settings = settings_of(stood_in)
    modes = {TestExecutionMode.FULL: ModeSettings(commands=tuple(full))}
    recovery = replace(settings.recovery, commands=tuple(configured))
    assert full_suite(replace(settings, modes=modes, recovery=recovery)) == expected


async def test_the_full_suites_count_stands_beside_what_plain_pytest_collects(
    stood_in: Path, staging: SmallStaging
) -> None:
    text = (stood_in / "resilience.toml").read_text()
    command = f'commands = ["{sys.executable} -m pytest -q -p no:cacheprovider {ALONE} tests/test_shop.py::test_one"]'
    (stood_in / "resilience.toml").write_text(text.replace("[recovery]\n", f"[recovery]\n{command}\n"))
    run = Run.create(settings_of(stood_in), apply=True)
    await recover(run, wait_s=5)
    assert run.incident.full_tests is not None
    (note,) = [note for note in run.incident.full_tests.notes if note.startswith("the full suite")]
    assert "1 of the 2 tests" in note
