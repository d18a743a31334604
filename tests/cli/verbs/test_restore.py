"""Restoring needs the journal and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kits.small_staging import SmallStaging
from tests.kits.stand_in_kit import processes_naming
from tests.kits.typing_in import Type, with_stand_in


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
