"""After whatever happened, status says what was done, by whom, when and where, and what to type; looking changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta, timezone
from pathlib import Path

import psutil
import pytest

from resilience import stand_ins as local
from resilience.cli.verbs.status import gather, show
from resilience.core.records import StageName
from resilience.core.settings import Settings
from resilience.fallback import journal as journals
from resilience.host.lock import locked
from resilience.host.vantage import vantage
from resilience.notebook.headless import resume_run
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run, restore
from tests.kits.small_staging import SmallStaging, project
from tests.kits.stand_in_kit import eventually
from tests.kits.typing_in import Type

COMMIT = "0123456789abcdef0123456789abcdef01234567"
KILLED = """
import asyncio, os, signal, sys
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run

def tell(what):
    if what.startswith(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

async def go():
    run = Run.create(load_settings("resilience.toml"), apply=True)
    await run.assess()
    run.choose_mode()
    run.make_plan()
    await run.apply(on_step=tell)
    await run.run_tests()

asyncio.run(go())
"""


@dataclass(frozen=True, slots=True)
class Team:
    folder: Path
    settings: Settings
    staging: SmallStaging


@pytest.fixture
def team(tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    with SmallStaging() as staging:
        folder = project(tmp_path / "team", staging.port)
        config = folder / "resilience.toml"
        config.write_text(
            config.read_text().replace(
                "critical = true\n", f'critical = true\nlocal = "http://127.0.0.1:{free_port}/health"\n'
            )
        )
        (folder / ".git" / "HEAD").write_text(COMMIT + "\n")
        monkeypatch.chdir(folder)
        staging.status = 503
        yield Team(folder, load_settings(config), staging)


def killed_at(team: Team, step: str) -> None:
    """Apply in another process, which is killed with SIGKILL when it begins this step."""
    done = subprocess.run([sys.executable, "-c", KILLED, step], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def shown(team: Team, capsys: pytest.CaptureFixture[str], *, hand_over: bool = False) -> str:
    capsys.readouterr()
    show(gather(team.settings), team.settings, hand_over=hand_over)
    return " ".join(capsys.readouterr().out.split())


async def applied(team: Team) -> Run:
    run = Run.create(team.settings, apply=True)
    await run.assess()
    run.choose_mode()
    run.make_plan()
    await run.apply()
    return run


async def end(team: Team) -> None:
    await restore(team.settings)
    await local.stop(team.settings)


def test_a_quiet_checkout_says_that_nothing_is_applied_and_what_to_type(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(team, capsys)
    assert text.startswith("STAGING: nobody has looked at it from here yet FALLBACK: none is applied here Lock: free")
    assert text.endswith("Next: resilience assess looks how staging is")
    assert not (team.folder / ".resilience").exists(), "looking makes nothing"
    json.dumps(gather(team.settings))


def test_a_file_that_was_applied_and_whose_undo_data_are_gone_is_no_quiet_checkout(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    file = team.folder / ".env.test.active"
    file.write_text("A=1\nRESILIENCE_APPLIED=run-1\n")
    text = shown(team, capsys)
    assert f"FALLBACK: NOT KNOWN: {file} holds what run run-1 wrote, and what it held before is not known" in text
    assert f"Next: git checkout -- {file}" in text
    document = gather(team.settings)
    assert (document["applied"], document["left_behind"]["file"]) == (None, str(file))


@pytest.mark.parametrize("step", ["start or prove", "write"])
async def test_a_run_killed_while_applying_is_shown_with_what_had_been_done_and_can_be_restored(
    team: Team, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    env = team.folder / ".env.test.active"
    env.write_bytes(b"MINE=1\n")
    await asyncio.to_thread(killed_at, team, step)
    try:
        document = gather(team.settings)
        assert document["applied"]["status"] == "unfinished"
        assert document["applied"]["steps"][0]["what"] == "noted what is there now"
        assert document["lock"] is None, "a killed process holds nothing"
        run = document["applied"]["run"]
        text = shown(team, capsys)
        assert text.startswith("STAGING: DOWN (backend_api: 503). 1 of 1 checked (looked at ")
        assert "FALLBACK: UNFINISHED (mode degraded, by " in text
        assert "Last step done: " in text
        assert "resilience resume" in document["next"]
        assert "resilience restore" in document["next"]
        assert Path(document["applied"]["folder"]).name in document["next"]
        assert run in {Path(document["applied"]["folder"]).parent.name + "-" + Path(document["applied"]["folder"]).name}
    finally:
        await end(team)
    assert env.read_bytes() == b"MINE=1\n"
    assert gather(team.settings)["applied"] is None


async def test_the_hand_over_has_who_when_which_step_commit_host_and_files(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(killed_at, team, "write")
    try:
        text = shown(team, capsys, hand_over=True)
        journal = journals.load(team.settings.state)
        assert journal is not None
        here = vantage()
        for words in (
            "Staging was looked at last at ",
            f"A fallback is unfinished in mode degraded: {here.user} began it on {here.host} at {journal.started_at:%H:%M} UTC",
            "Nobody holds the lock.",
            f"The latest run is {Path(journal.folder).parent.name}/{Path(journal.folder).name}: killed in apply_fallback",
            COMMIT[:12],
            str(team.folder / ".env.test.active"),
            f"{journal.steps[0].at:%H:%M:%S}",
            *(step.what for step in journal.steps),
            "apply fallback started",
            "resilience restore",
        ):
            assert words in text, words
    finally:
        await end(team)


async def test_a_run_killed_in_its_tests_is_resumed_where_it_stopped(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    (team.folder / "tests" / "test_shop.py").write_text(
        "import os, pathlib, signal\n\ndef test_one():\n"
        "    if not pathlib.Path('once').exists():\n"
        "        pathlib.Path('once').touch()\n"
        "        os.kill(int(pathlib.Path('pid').read_text()), signal.SIGKILL)\n"
    )
    going = subprocess.Popen(
        ["sh", "-c", 'echo $$ > pid; exec "$0" -c "$1" never', sys.executable, KILLED],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert await asyncio.to_thread(going.wait, 60) == -signal.SIGKILL
        document = gather(team.settings)
        assert document["applied"]["status"] == "applied"
        assert document["latest_run"]["stages"]["run_tests"] == "started"
        assert document["lock"] is None
        text = shown(team, capsys)
        assert f"Latest run: {document['latest_run']['run']}: killed in run_tests" in text
        assert f"Next: resilience resume {document['latest_run']['run']} " in text
        assert "resilience restore puts everything back" in text
        run = Run.open(Path(document["latest_run"]["folder"]), team.settings)
        await run.assess()
        result = await run.run_tests()
        assert result.totals.passed == 1
        assert run.incident.stage(StageName.RUN_TESTS).status.value == "finished"  # type: ignore[union-attr]
    finally:
        going.kill()
        await end(team)


@pytest.mark.slow
def test_resume_takes_up_a_killed_run_and_goes_to_its_end(team: Team) -> None:
    killed_at(team, "write")
    folder = Path(gather(team.settings)["applied"]["folder"])
    try:
        code = resume_run(folder)
        incident = Run.open(folder, team.settings).incident
        assert incident.stage(StageName.APPLY_FALLBACK).status.value == "finished"  # type: ignore[union-attr]
        assert incident.tests is not None
        assert code == incident.exit_code
        assert (folder / "report.html").exists()
    finally:
        asyncio.run(end(team))


async def test_what_is_applied_is_shown_and_a_stand_in_that_died_is_seen(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    await applied(team)
    try:
        text = shown(team, capsys)
        assert "FALLBACK: APPLIED (mode degraded, by " in text
        assert "resilience recover" in text
        (stand_in,) = local.status(team.settings)
        assert stand_in.pid is not None
        psutil.Process(stand_in.pid).kill()
        assert eventually(lambda: gather(team.settings)["applied"]["dead_stand_ins"] == ["backend_api"])
        text = shown(team, capsys)
        assert "Died since: backend_api" in text
        assert "Next: resilience services up backend_api" in text
    finally:
        await end(team)


async def test_on_another_host_it_says_where_to_go(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    await applied(team)
    file = team.settings.state / "journal.json"
    original = file.read_bytes()
    file.write_text(json.dumps({**json.loads(original), "host": "elsewhere"}))
    try:
        document = gather(team.settings)
        assert document["applied"]["here"] is False
        assert document["next"] == "resilience restore"
        text = shown(team, capsys)
        assert "@elsewhere, since" in text
        assert text.endswith("Next: resilience restore on host elsewhere, where it was applied")
    finally:
        file.write_bytes(original)
        await end(team)


def test_who_holds_the_lock_is_shown(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    with locked(team.settings.state, "test", run="r"):
        assert f"Lock: held by {vantage().user}@{vantage().host} (resilience test, pid {os.getpid()})" in shown(
            team, capsys
        )


def test_the_latest_run_is_shown_also_where_its_record_is_cut(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run.create(team.settings)
    assert f"Latest run: {run.incident.run}: still running (begun {run.incident.started_at:%H:%M} UTC" in shown(
        team, capsys
    )
    file = run.folder / "incident.json"
    file.write_bytes(file.read_bytes()[:40])
    assert "incident.json" in shown(team, capsys)
    assert "incident.json" in shown(team, capsys, hand_over=True)


def test_the_local_time_stands_beside_utc(
    team: Team, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.create(team.settings)
    monkeypatch.setenv("TZ", "Etc/GMT-5")
    time.tzset()
    try:
        text = shown(team, capsys)
    finally:
        monkeypatch.undo()
        time.tzset()
    began = run.incident.started_at
    local = began.astimezone(timezone(timedelta(hours=5)))
    day = "" if local.date() == began.date() else f"{local:%Y-%m-%d} "
    assert f"{began:%H:%M} UTC ({day}{local:%H:%M} here)" in text


async def test_a_run_that_only_applied_is_not_said_to_have_passed_or_failed(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    run = await applied(team)
    try:
        run.finish()
        text = shown(team, capsys)
        assert f"Latest run: {run.incident.run}: no test was run; staging is unavailable" in text
        assert "PASS" not in text
    finally:
        await end(team)


async def test_the_latest_run_is_said_in_the_words_of_its_report(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    run = await applied(team)
    try:
        await run.run_tests()
        run.report(charts=False)
        text = shown(team, capsys)
        assert f"Latest run: {run.incident.run}: NOT A FULL PASS: what ran passed, on stand-ins" in text
        assert f"Report: {run.folder / 'report.html'}" in text
    finally:
        await end(team)


@pytest.mark.parametrize("verb", ["status", "restore"])
def test_the_temporary_folder_of_a_killed_run_goes(
    type_in: Type, team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    left = tmp_path / f"resilience-tests-{gone.pid}-left"
    left.mkdir()
    (left / "raw.txt").write_text("raw output")
    assert type_in(verb).code == 0
    assert not left.exists()
