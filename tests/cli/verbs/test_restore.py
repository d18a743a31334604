"""Restoring needs the journal and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kits.small_staging import SmallStaging
from tests.kits.stand_in_kit import processes_naming
from tests.kits.typing_in import Type, runs, with_stand_in


@pytest.mark.parametrize("broken", ["typo", "variable", "bytes", "deleted", "deleted, asked for", "deleted, below"])
def test_restore_needs_no_configuration_that_can_be_read(
    type_in: Type, team: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    with_stand_in(team)
    staging.status = 503
    env = team / ".env.test.active"
    env.write_bytes(b"# mine\r\nMINE='1'\nTHEIR_TOKEN=v4ery-s3cret\n")
    assert type_in("apply").code == 0
    monkeypatch.setenv("RESILIENCE_STATE", "")
    file = team / "resilience.toml"
    whole = file.read_bytes()
    if broken == "typo":
        file.write_bytes(whole.replace(b"[runbook]", b"[runbok]\nv4ery-s3cret = 1", 1))
    elif broken == "variable":
        monkeypatch.setenv("TEST_RETRY_ATTEMPTS", "three")
    elif broken == "bytes":
        file.write_bytes(b"\xff" + whole)
    else:
        file.unlink()
        if broken == "deleted, asked for":
            monkeypatch.setenv("RESILIENCE_CONFIG", str(file))
        elif broken == "deleted, below":
            monkeypatch.chdir(team / "tests")
    restored = type_in("restore", "--json")
    assert restored.code == 0, restored.err
    assert restored.json["identical"] is True
    assert restored.json["stopped"] == ["backend_api"]
    assert env.read_bytes() == b"# mine\r\nMINE='1'\nTHEIR_TOKEN=v4ery-s3cret\n"
    said = "staging was not looked at" if broken == "deleted" else "the configuration could not be read"
    assert len([line for line in restored.err.splitlines() if said in line]) == 1, restored.err
    assert "v4ery-s3cret" not in restored.err + restored.out
    assert not (team / ".resilience/state/journal.json").exists()
    assert not processes_naming(team.parent / "xdg")


def test_restore_follows_the_state_folder_it_was_given_and_without_a_journal_says_what_is_wrong(
    type_in: Type, team: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_stand_in(team)
    staging.status = 503
    monkeypatch.setenv("RESILIENCE_STATE", str(team.parent / "elsewhere"))
    assert type_in("apply").code == 0
    (team / "resilience.toml").write_text("[")
    assert type_in("restore").code == 0
    assert not (team / ".env.test.active").exists()
    again = type_in("restore")
    assert again.code not in (0, 30)
    assert "resilience.toml" in again.err


def test_a_journal_that_is_cut_says_what_to_do(type_in: Type, team: Path) -> None:
    state = team / ".resilience" / "state"
    state.mkdir(parents=True)
    (state / "journal.json").write_text('{"run": "x"')
    for verb in ("status", "restore", "env"):
        type_in(verb).complains("journal.json", "by hand", code=30)


def test_a_damaged_record_of_the_run_keeps_nobody_from_the_undo(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    with_stand_in(team)
    staging.status = 503
    assert type_in("apply").code == 0
    [incident] = runs(team)
    incident.write_text('{"run": "cut')
    restored = type_in("restore")
    assert restored.code == 0, restored.err
    assert "could not be read, and is not needed" in restored.err
    assert not (team / ".env.test.active").exists()
    assert not processes_naming(team.parent / "xdg")


def test_a_new_shell_without_any_variable_restores_and_exits_0(
    type_in: Type, team: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_stand_in(team)
    config = team / "resilience.toml"
    url = next(line for line in config.read_text().splitlines() if line.startswith("url"))
    config.write_text(config.read_text().replace(url, 'url = "${STAGING_BACKEND_URL}"'))
    monkeypatch.setenv("STAGING_BACKEND_URL", url.split('"')[1])
    staging.status = 503
    assert type_in("apply").code == 0
    monkeypatch.delenv("STAGING_BACKEND_URL")
    restored = type_in("restore")
    assert restored.code == 0, restored.err
    assert not (team / ".env.test.active").exists()


FULL = """
import resource, signal, sys
from resilience import cli

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
sys.argv = ["resilience", "restore"]
cli.main()
"""


def test_on_a_full_disk_the_files_are_put_back_the_stand_ins_end_and_what_was_not_recorded_is_said(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    with_stand_in(team)
    staging.status = 503
    env = team / ".env.test.active"
    env.write_bytes(b"MINE=1\n" * 2000)
    assert type_in("apply").code == 0
    done = subprocess.run([sys.executable, "-c", FULL], cwd=team, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert env.read_bytes() == b"MINE=1\n" * 2000
    assert "the undo could not be recorded" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (team / ".resilience/state/journal.json").exists()
    assert not processes_naming(team.parent / "xdg")


def test_a_signal_in_the_middle_of_apply_puts_the_files_back_and_its_last_line_says_what_is_due(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    with_stand_in(team)
    config = team / "resilience.toml"
    config.write_text(config.read_text().replace("critical = true\n", 'critical = true\nprepare = ["sleep 30"]\n'))
    staging.status = 503
    env = team / ".env.test.active"
    env.write_bytes(b"MINE=1\n")
    applying = subprocess.Popen(
        [sys.executable, "-u", "-m", "resilience.cli", "apply"],
        cwd=team, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert applying.stdout is not None
        for line in applying.stdout:
            if "start or prove" in line:
                break
        applying.send_signal(signal.SIGTERM)
        _, err = applying.communicate(timeout=60)
    finally:
        applying.kill()
        applying.wait()
    assert applying.returncode == 143, err
    assert "resilience restore" in err.splitlines()[-1], err
    assert env.read_bytes() == b"MINE=1\n"
    assert type_in("status", "--json").json["applied"]["status"] == "unfinished"
    assert "unfinished here" in type_in("assess").out
    assert type_in("restore").code == 0
    assert not processes_naming(team.parent / "xdg")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_in_the_middle_of_restore_says_in_its_last_line_that_it_is_still_due(
    type_in: Type, team: Path, staging: SmallStaging, name: str, code: int
) -> None:
    with_stand_in(team)
    staging.status = 503
    env = team / ".env.test.active"
    env.write_bytes(b"MINE=1\n")
    assert type_in("apply").code == 0
    program = (
        f"import signal, sys\nsys.argv = ['resilience', 'restore']\nfrom resilience.fallback import journal\n"
        f"before = journal.restore_files\n"
        f"def hit(*args, **more):\n    signal.raise_signal(signal.{name})\n    return before(*args, **more)\n"
        f"journal.restore_files = hit\nfrom resilience.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=team, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "resilience restore" in done.stderr.splitlines()[-1], done.stderr
    assert type_in("restore").code == 0
    assert env.read_bytes() == b"MINE=1\n"
    assert not processes_naming(team.parent / "xdg")
