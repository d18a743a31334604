"""An undo finds what it needs in the journal where the configuration is broken or gone, and follows no stranger's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resilience.core.errors import SettingsError
from resilience.fallback import journal
from resilience.fallback.undo_settings import settings_for_restore

CONFIG = '[runbook]\nenv_file = "active"\n[[service]]\nname = "a"\ntype = "http"\nurl = "http://127.0.0.1:1/"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a configuration, in which something is applied."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "src").mkdir()
    (tmp_path / "resilience.toml").write_text(CONFIG)
    (tmp_path / "active").write_text("API_TOKEN=tok-0123456789\n")
    noted = journal.begin(
        tmp_path / ".resilience/state", journal.Origin(run="r"), mode="degraded", paths=[tmp_path / "active"]
    )
    journal.write(tmp_path / ".resilience/state", noted, tmp_path / "active", b"DB_PASSWORD=written-pw\n")
    return tmp_path


def found(folder: Path, config: str = "", **environ: str) -> tuple[Path, str, set[str]]:
    settings, why = settings_for_restore(config, cwd=folder, environ={"HOME": str(folder), **environ})
    return settings.state, why, {secret.reveal() for secret in settings.secrets}


def test_a_configuration_that_can_be_read_is_the_one_that_counts(checkout: Path) -> None:
    state, why, _ = found(checkout / "src")
    assert (state, why) == (checkout / ".resilience/state", "")


@pytest.mark.parametrize("text", ["[runbook\n", "[[service]]\nname = 3\n"])
def test_a_broken_configuration_is_said_and_the_journal_is_enough(checkout: Path, text: str) -> None:
    (checkout / "resilience.toml").write_text(text)
    state, why, secrets = found(checkout / "src")
    assert state == checkout / ".resilience/state"
    assert "resilience.toml" in why
    assert {"tok-0123456789", "written-pw"} <= secrets, "what the files held and hold is not shown either"


def test_a_configuration_that_is_gone_is_said_and_the_journal_above_is_found(checkout: Path) -> None:
    (checkout / "resilience.toml").unlink()
    state, why, _ = found(checkout / "src")
    assert (state, why) == (checkout / ".resilience/state", "there is none here any more")


def test_a_configuration_named_by_hand_says_where_to_look(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (checkout / "resilience.toml").write_text("[runbook\n")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    state, why, _ = found(elsewhere, str(checkout / "resilience.toml"))
    assert state == checkout / ".resilience/state"
    assert why
    assert found(elsewhere, RESILIENCE_CONFIG=str(checkout))[0] == state


def test_without_a_journal_what_is_wrong_with_the_configuration_is_raised(checkout: Path) -> None:
    journal.close(checkout / ".resilience/state")
    (checkout / "resilience.toml").write_text("[runbook\n")
    with pytest.raises(SettingsError, match="TOML"):
        found(checkout)


def test_the_search_ends_at_the_repositorys_root(checkout: Path) -> None:
    inner = checkout / "src" / "vendored"
    (inner / ".git").mkdir(parents=True)
    state, why, _ = found(inner)
    assert (state, why) == (inner / ".resilience/state", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_journal_of_another_user_is_not_followed(checkout: Path) -> None:
    (checkout / "resilience.toml").write_text("[runbook\n")
    os.chown(checkout / ".resilience/state" / journal.FILE, 12345, -1)
    with pytest.raises(SettingsError, match="TOML"):
        found(checkout)
