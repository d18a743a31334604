"""The stages go in order, each leaves its record, and whatever happens the record says what was proved and no secret."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.errors import OrderError, RecordError, RunbookError, SettingsError, UsageError
from resilience.core.records import (
    Decision,
    ExitCode,
    Incident,
    RecoveryCheck,
    Stage,
    StageName,
    StageStatus,
    TestExecutionMode as M,
    TestSuiteResult,
    TestTotals,
    Vantage,
    Verdict,
)
from resilience.core.redact import Redactor
from resilience.core.settings import Settings
from resilience.fallback import journal as journals
from resilience.runs import runbook
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run, judge_run, parse_mode, recover
from tests.kits.records import AT, S, health
from tests.kits.small_staging import SmallStaging, project
from tests.kits.stand_in_kit import free_ports, listening

SECRET = "planted-S3cret/with+signs"


@pytest.fixture
def staging() -> Iterator[SmallStaging]:
    with SmallStaging() as server:
        yield server


@pytest.fixture
def team(tmp_path: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    folder = project(tmp_path / "team", staging.port)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def stood_in(team: Path, free_port: int) -> Path:
    """The team's backend has a mock to stand in for it."""
    change(team, "critical = true\n", f'critical = true\nlocal = "http://127.0.0.1:{free_port}/health"\n')
    return team


def change(team: Path, old: str, new: str) -> None:
    config = team / "resilience.toml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


def settings_of(team: Path) -> Settings:
    return load_settings(team / "resilience.toml")


def on_disk(run: Run) -> dict[str, object]:
    return json.loads((run.folder / "incident.json").read_text())  # type: ignore[no-any-return]


# --------------------------------------------------------------------------- the folder


def test_two_runs_of_one_second_get_folders_of_their_own(team: Path) -> None:
    settings = settings_of(team)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Run.create(settings), range(16)))
    assert len({run.folder for run in made}) == len({run.incident.run for run in made}) == 16
    for run in made:
        day, name = run.incident.run.split("/")
        assert (run.folder.parent.name, run.folder.name) == (day, name)
        assert on_disk(run)["verdict"] == "running"


def test_latest_points_at_the_newest_and_survives_a_moved_folder(team: Path) -> None:
    settings = settings_of(team)
    Run.create(settings)
    newest = Run.create(settings, slug="second")
    pointer = settings.outputs / "latest"
    assert pointer.resolve() == newest.folder
    assert not pointer.readlink().is_absolute()
    assert runbook.latest(settings) == newest.folder


def test_a_folder_that_holds_no_run_is_refused(team: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        Run.open(team)
    (team / "incident.json").write_text('{"schema": 1')
    with pytest.raises(RecordError, match=r"incident\.json"):
        Run.open(team)


def test_a_run_is_opened_with_the_configuration_it_was_made_with_and_stays_where_it_is(
    team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings_of(team), outputs=tmp_path / "elsewhere")
    run = Run.create(settings)
    monkeypatch.chdir(tmp_path)
    again = Run.open(run.folder)
    assert again.settings.services == settings.services
    assert again.settings.outputs == tmp_path / "elsewhere"


# --------------------------------------------------------------------------- the record


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


async def test_a_stage_that_breaks_is_recorded_with_what_to_type(team: Path) -> None:
    run = Run.create(settings_of(team))
    with pytest.raises(OrderError):
        run.choose_mode()
    stage = run.incident.stage(StageName.CHOOSE_MODE)
    assert stage is not None
    assert stage.status is StageStatus.FAILED
    assert "assess" in stage.hint
    assert on_disk(run)["stages"][0]["status"] == "failed"  # type: ignore[index]


async def test_a_stage_that_is_cancelled_says_interrupted(team: Path, staging: SmallStaging) -> None:
    staging.delay_s = 1.0
    run = Run.create(settings_of(team))
    task = asyncio.create_task(run.assess())
    await asyncio.to_thread(staging.asked.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert on_disk(run)["stages"][0]["status"] == "interrupted"  # type: ignore[index]


def test_a_cut_last_line_of_the_samples_is_left_out(team: Path) -> None:
    run = Run.create(settings_of(team))
    run.add_samples(runbook.samples_of(health({"redis": S.UNAVAILABLE}), "assess"))
    file = run.folder / "samples.jsonl"
    file.write_bytes(file.read_bytes()[:-10])
    assert len(run.samples()) == 6


# --------------------------------------------------------------------------- order, age, endpoints


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


# --------------------------------------------------------------------------- apply


async def test_a_stand_in_that_does_not_come_up_leads_to_a_second_decision(
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
            assert run.incident.decision.mode is M.CRITICAL_ONLY
            assert "second decision" in " ".join(run.incident.decision.reasons)
            assert str(free_port) in next(s.error for s in applied.stand_ins if not s.ready)
            assert "TEST_CRITICAL_ONLY=true" in (stood_in / ".env.test.active").read_text()
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


# --------------------------------------------------------------------------- recovery


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


# --------------------------------------------------------------------------- the verdict


def an_incident(**fields: object) -> Incident:
    return Incident(
        run="2026-11-22/031407Z-x",
        slug="x",
        environment="staging",
        started_at=AT,
        vantage=Vantage(host="h", user="u"),
        **fields,  # type: ignore[arg-type]
    )


def suite(verdict: Verdict, code: int) -> TestSuiteResult:
    return TestSuiteResult(
        mode=M.FULL,
        started_at=AT,
        duration_s=1.0,
        exit_code=code,
        commands=(),
        totals=TestTotals(passed=1),
        tests=(),
        verdict=verdict,
    )


RESULTS = (
    None,
    suite(Verdict.PASSED, 0),
    suite(Verdict.PASSED_ON_STAND_INS, 10),
    suite(Verdict.PRODUCT_FAILURES, 1),
    suite(Verdict.INFRASTRUCTURE_UNAVAILABLE, 20),
    suite(Verdict.UNKNOWN, 21),
    suite(Verdict.TIMED_OUT, 124),
)
BROKEN = {
    StageStatus.FAILED: (Verdict.RUNBOOK_FAILED, 30),
    StageStatus.KILLED: (Verdict.RUNBOOK_FAILED, 30),
    StageStatus.STARTED: (Verdict.RUNBOOK_FAILED, 30),
    StageStatus.INTERRUPTED: (Verdict.INTERRUPTED, 130),
    StageStatus.TIMED_OUT: (Verdict.TIMED_OUT, 124),
}


def test_the_verdict_over_all_that_can_be_recorded() -> None:
    for status, name, tests, blocked, overall in product(StageStatus, StageName, RESULTS, (False, True), (None, *S)):
        decision = Decision(mode=M.DEGRADED, reasons=(), decided_at=AT, blocked=blocked)
        found = an_incident(
            stages=(Stage(name=name, status=status, started_at=AT),),
            tests=tests,
            decision=decision,
            latest=None if overall is None else health({}, overall=overall),
        )
        verdict, code = judge_run(found)
        case = (status, name, tests and tests.verdict, blocked, overall)
        if name is not StageName.REPORT and status in BROKEN:
            assert (verdict, code) == BROKEN[status], case
        elif tests is not None:
            assert (verdict, code) == (tests.verdict, tests.exit_code), case
        else:
            assert verdict is not Verdict.PASSED, case
            assert (code == 20) == (blocked or overall is S.UNAVAILABLE), case
        assert code in ExitCode.ORDER


def test_of_several_breaks_the_worst_counts() -> None:
    stages = tuple(
        Stage(name=name, status=status, started_at=AT)
        for name, status in zip(
            StageName, (StageStatus.TIMED_OUT, StageStatus.INTERRUPTED, StageStatus.FAILED), strict=False
        )
    )
    assert judge_run(an_incident(stages=stages))[1] == 30
    assert judge_run(an_incident(stages=stages[:2]))[1] == 130


@pytest.mark.parametrize(("critical", "full"), list(product(RESULTS, RESULTS)))
def test_the_two_runs_of_a_recovery_count_by_the_worse(
    critical: TestSuiteResult | None, full: TestSuiteResult | None
) -> None:
    found = an_incident(critical_tests=critical, full_tests=full, tests=RESULTS[2])
    ran = [result for result in (critical, full) if result is not None]
    expected = ExitCode.worst(*(result.exit_code for result in ran)) if ran else 10
    assert judge_run(found)[1] == expected


@pytest.mark.parametrize("text", ["full", "FULL", " critical_only ", "critical-only", M.OFFLINE])
def test_a_mode_is_read_as_a_person_types_it(text: str) -> None:
    assert parse_mode(text) in tuple(M)


@pytest.mark.parametrize("text", ["", "fulll", "none", "1"])
def test_an_unknown_mode_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is unknown"):
        parse_mode(text)
