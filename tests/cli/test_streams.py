"""Nothing that is printed ends a command: not a locale with ASCII only, and not a stdout that is closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type, with_stand_in


def typed(team: Path, *words: str, closed: str = "", **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Type a command into a process of its own; `closed` are the shell's words that close its streams."""
    command = f'exec "$0" -m resilience.cli "$@" {closed}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable, *words],
        cwd=team, env={**os.environ, **environ}, capture_output=True, timeout=120,
    )  # fmt: skip


ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}


def test_with_ascii_only_signs_fall_back_and_documents_stay_whole(team: Path, staging: SmallStaging) -> None:
    with_stand_in(team)
    config = team / "resilience.toml"
    config.write_text(config.read_text().replace("GREETING =", 'NAME = "Zoë", GREETING ='))
    staging.status = 503
    for words, code in ((["assess"], 20), (["plan"], 20), (["status"], 0), (["apply"], 0), (["doctor"], 10)):
        done = typed(team, *words, **ASCII)
        assert done.returncode == code, done.stderr
        assert done.stdout.isascii()
        assert b"Traceback" not in done.stderr
    document = typed(team, "plan", "--json", **ASCII)
    assert document.stdout.isascii()
    assert "Zoë" in [change["after"] for change in json.loads(document.stdout)["changes"]]
    assert "Zoë" in typed(team, "env", **ASCII).stdout.decode()
    assert typed(team, "test", "--", 'test "$NAME" = Zoë', **ASCII).returncode == 10
    assert typed(team, "restore", **ASCII).returncode == 0


@pytest.mark.parametrize("words", [["assess"], ["assess", "--json"], ["status"]])
def test_a_closed_stdout_changes_no_exit_code_and_no_file(team: Path, staging: SmallStaging, words: list[str]) -> None:
    open_code = typed(team, *words).returncode
    for closed in (">&-", ">&- 2>&-"):
        done = typed(team, *words, closed=closed)
        assert (done.returncode, done.stdout, done.stderr) == (open_code, b"", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's file that is always full")
def test_a_stdout_on_a_full_disk_changes_no_exit_code_of_what_is_done_and_a_document_is_an_error(
    team: Path, staging: SmallStaging
) -> None:
    """`resilience restore > log` on a full disk had restored, and said that nothing was known."""
    with_stand_in(team)
    staging.status = 503
    for words, code in ((["apply"], 0), (["test"], 10), (["status"], 0), (["restore"], 0), (["assess"], 20)):
        done = typed(team, *words, closed=">/dev/full")
        assert (words, done.returncode) == (words, code)
        assert done.stderr.count(b"nothing more can be shown here (No space left on device)") == 1
    done = typed(team, "assess", "--json", closed=">/dev/full")
    assert done.returncode == 30


def test_a_home_that_is_no_folder_keeps_the_stand_ins_data_in_the_checkout(
    type_in: Type, team: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_stand_in(team)
    staging.status = 503
    (team / "no-home").write_text("")
    monkeypatch.setenv("HOME", str(team / "no-home"))
    monkeypatch.delenv("XDG_STATE_HOME")
    said = type_in("apply")
    try:
        assert said.code == 0, said.err
        assert (team / ".resilience/state/data/stand_ins.json").exists()
        (team / "resilience.toml").unlink()
    finally:
        restored = type_in("restore", "--json")
    assert restored.code == 0, restored.err
    assert restored.json["stopped"] == ["backend_api"]
