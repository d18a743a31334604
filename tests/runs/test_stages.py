"""The stages go in order, each leaves its record, and whatever happens the record says what was proved and no secret."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.errors import OrderError, RunbookError, UsageError
from resilience.core.records import (
    RecoveryCheck,
    StageName,
    StageStatus,
    TestExecutionMode as M,
)
from resilience.core.redact import Redactor
from resilience.fallback import journal as journals
from resilience.runs.runbook import Run, parse_mode
from tests.kits.ports import free_ports
from tests.kits.run_kit import SECRET, change, on_disk, settings_of
from tests.kits.small_staging import SmallStaging
from tests.kits.stand_in_kit import listening


async def test_the_record_is_on_disk_after_every_stage(stood_in: Path, staging: SmallStaging) -> None:
    staging.status = 503
    run = Run.create(settings_of(stood_in), apply=True)
    await run.assess()
    assert on_disk(run)["health"]["overall_status"] == "unavailable"  # type: ignore[index]
    run.choose_mode()
    assert on_disk(run)["decision"]["mode"] == "degraded"  # type: ignore[index]
    run.make_plan()
    assert on_disk(run)["plan"]["steps"]  # type: ignore[index]
    try:
        await run.apply()
        assert on_disk(run)["applied"]["run"] == run.incident.run.replace("/", "-")  # type: ignore[index]
        await run.run_tests()
        assert on_disk(run)["tests"]["totals"]["passed"] == 2  # type: ignore[index]
    finally:
        await run.restore()
        await local.stop(run.settings)
    assert on_disk(run)["restored"]["identical"] is True  # type: ignore[index]
    assert Run.open(run.folder, run.settings).incident == run.incident
    statuses = {stage.name: stage.status for stage in run.incident.stages}
    assert set(statuses.values()) == {StageStatus.FINISHED}
    kinds = [event.kind for event in run.incident.timeline]
    assert [kind for kind in kinds if kind in ("applied", "tests_started", "tests_finished", "restored")] == [
        *("applied", "tests_started", "tests_finished", "restored")
    ]


async def test_planted_secrets_are_in_no_file_of_the_run(team: Path, staging: SmallStaging) -> None:
    """Also where the service itself, or a test, says the secret."""
    encoded = "planted-S3cret%2Fwith%2Bsigns"
    change(team, "http://127.0.0.1", f"http://someone:{encoded}@127.0.0.1")
    change(team, "timeout_s = 2.0\n", 'timeout_s = 2.0\nheaders = { Authorization = "Bearer tok-0123456789abcdef" }\n')
    (team / "tests" / "test_shop.py").write_text(
        f"def test_one():\n    print('connecting as {encoded} {SECRET}')\n"
        f"    raise RuntimeError('cannot log in with {SECRET} or tok-0123456789abcdef')\n"
    )
    settings = settings_of(team)
    run = Run.create(settings, parameters={"note": f"password is {SECRET}"})
    await run.assess()
    run.choose_mode()
    await run.run_tests()
    run.done_by_hand(StageName.APPLY_FALLBACK, f"typed {SECRET}")
    run.report(charts=False)
    redactor = Redactor(settings.secrets)
    leaking = {
        str(path.relative_to(run.folder)): redactor.leaks(path.read_bytes())
        for path in run.folder.rglob("*")
        if path.is_file()
    }
    assert len(leaking) > 4
    assert {name for name, at in leaking.items() if at is not None} == set()
    assert not [path for path in settings.state.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("stage", ["choose_mode", "make_plan", "apply", "run_tests", "without_stand_ins"])
async def test_a_stage_without_what_it_needs_names_the_notebook_and_the_command(team: Path, stage: str) -> None:
    run = Run.create(settings_of(team))

    async def go() -> None:
        found = getattr(run, stage)()
        if asyncio.iscoroutine(found):
            await found

    with pytest.raises(OrderError, match=r"notebooks/0\d_\w+\.ipynb first, or type: resilience \w+") as caught:
        await go()
    assert caught.value.exit_code == 2
    assert not (team / ".env.test.active").exists()


async def test_a_record_older_than_a_shift_is_not_built_upon(team: Path) -> None:
    run = Run.create(settings_of(team))
    await run.assess()
    assert run.incident.latest is not None
    old = replace(run.incident.latest, started_at=run.incident.latest.started_at - timedelta(hours=13))
    run.save(latest=old)
    with pytest.raises(OrderError, match=r"too old.*again"):
        run.choose_mode()


async def test_a_stand_in_that_does_not_come_up_holds_back_its_own_tests_by_a_second_decision(
    stood_in: Path, staging: SmallStaging, free_port: int
) -> None:
    staging.status = 503
    run = Run.create(settings_of(stood_in), apply=True)
    await run.assess()
    run.choose_mode()
    with listening(free_port):
        try:
            applied = await run.apply()
            assert applied.failed == ("backend_api",)
            assert applied.redecided
            assert run.incident.decision is not None
            assert run.incident.decision.mode is applied.mode is M.DEGRADED
            assert set(run.incident.decision.held) == {"backend_api"}
            assert str(free_port) in next(s.error for s in applied.stand_ins if not s.ready)
            written = (stood_in / ".env.test.active").read_text()
            assert "INFRASTRUCTURE_DEGRADED_MODE=true" in written
            assert "TEST_CRITICAL_ONLY" not in written
        finally:
            await run.restore()
    assert not (stood_in / ".env.test.active").exists()


async def test_a_file_that_changes_while_it_is_put_back_is_never_called_restored(
    stood_in: Path, staging: SmallStaging
) -> None:
    staging.status = 503
    env = stood_in / ".env.test.active"
    env.write_text("MINE=1\n")
    run = Run.create(settings_of(stood_in), apply=True)
    await run.assess()
    run.choose_mode()
    await run.apply()
    try:
        with pytest.raises(
            RunbookError, match=r"not as it was before apply; the undo data are kept.*--force"
        ) as caught:
            await run.restore(on_step=lambda what: what.startswith("put back") and env.write_text("OTHER=1\n"))
        assert caught.value.exit_code == 30
        assert journals.load(run.settings.state) is not None
    finally:
        restored = await run.restore(force=True)
        await local.stop(run.settings)
    assert env.read_text() == "MINE=1\n"
    assert [Path(copy).read_text() for copy in restored.kept_copies] == ["OTHER=1\n"]


async def test_applying_again_takes_in_what_died_since_and_keeps_what_is_in_use(
    stood_in: Path, staging: SmallStaging
) -> None:
    with SmallStaging() as auth:
        config = stood_in / "resilience.toml"
        config.write_text(
            config.read_text()
            + f'\n[[service]]\nname = "auth_service"\ntype = "http"\nurl = "http://127.0.0.1:{auth.port}/health"\n'
            f'local = "http://127.0.0.1:{free_ports(1)[0]}/health"\n'
        )
        staging.status = 503
        run = Run.create(settings_of(stood_in), apply=True)
        try:
            for status, auth_status, expected in (
                (503, 200, ("backend_api",)),
                (200, 503, ("backend_api", "auth_service")),
                (200, 200, ("backend_api", "auth_service")),
            ):
                staging.status, auth.status = status, auth_status
                await run.assess()
                decision = run.choose_mode(extend=True)
                assert decision.stand_ins == expected
                run.make_plan()
                applied = await run.apply()
                assert tuple(s.service for s in applied.stand_ins if s.ready) == expected
            assert "AUTH_FALLBACK_MODE=true" in (stood_in / ".env.test.active").read_text()
            await run.restore()
            staging.status, auth.status = 503, 200
            await run.assess()
            run.choose_mode()
            run.make_plan()
            await run.apply()
            assert run.choose_mode("offline", extend=True).stand_ins == ("backend_api", "auth_service")
        finally:
            await run.restore()
            await local.stop(run.settings)
    assert not (stood_in / ".env.test.active").exists()


async def test_one_bad_check_sets_the_gauge_back_to_nothing(team: Path, staging: SmallStaging) -> None:
    change(team, "good = 2", "good = 3")
    run = Run.create(settings_of(team))
    checks: list[RecoveryCheck] = []

    def tell(check: RecoveryCheck) -> None:
        checks.append(check)
        staging.status = 503 if len(checks) == 2 else 200

    recovery = await run.validate_recovery(wait_s=30, on_check=tell)
    assert [check.in_a_row for check in checks] == [1, 2, 0, 1, 2, 3]
    assert recovery.recovered
    assert recovery.first_good_at == checks[3].at or recovery.first_good_at <= checks[3].at  # type: ignore[operator]


async def test_good_checks_alone_do_not_shorten_the_dwell(team: Path) -> None:
    change(team, "dwell_s = 0.0", "dwell_s = 0.4")
    run = Run.create(settings_of(team))
    recovery = await run.validate_recovery()
    assert recovery.recovered
    assert recovery.in_a_row > 2
    assert recovery.checks[-1].at - recovery.checks[0].at >= timedelta(seconds=0.4)


@pytest.mark.parametrize("text", ["full", "FULL", " critical_only ", "critical-only", M.OFFLINE])
def test_a_mode_is_read_as_a_person_types_it(text: str) -> None:
    assert parse_mode(text) in tuple(M)


@pytest.mark.parametrize("text", ["", "fulll", "none", "1"])
def test_an_unknown_mode_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is unknown"):
        parse_mode(text)
