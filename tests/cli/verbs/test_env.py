"""A shell gets what is applied, keeps what it had of its own, and gets that back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type, with_stand_in


def test_a_shell_with_values_of_its_own_is_told_and_gets_them_back(
    type_in: Type, team: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_stand_in(team)
    staging.status = 503
    assert type_in("apply").code == 0
    try:
        monkeypatch.setenv("BACKEND_URL", "http://mine.example")
        said = type_in("env", "--shell", "bash")
        assert "export BACKEND_URL=" in said.out
        assert 'export RESILIENCE_WAS_BACKEND_URL="${BACKEND_URL}"' in said.out
        assert "mine.example" not in said.out
        assert said.err.startswith("resilience env: this shell had values of its own for BACKEND_URL;")
        assert "env --unset gives them back" in said.err
        monkeypatch.setenv("RESILIENCE_APPLIED", "run")
        assert type_in("env").err == "", "what it has is ours already"
        assert "unset BACKEND_URL" in type_in("env", "--unset", "--shell", "sh").out
        type_in("env", "--shell", "csh").complains("csh")
    finally:
        assert type_in("restore").code == 0


SCRIPT = r"""
{take}
{take}
printf "%s|%s|%s\n" "$BACKEND_URL" "$GREETING" "$RESILIENCE_APPLIED"
printf "====\n"
{give}
printf "%s|%s|%s|%s\n" "$BACKEND_URL" "$GREETING" "$RESILIENCE_APPLIED" "$RESILIENCE_WAS_GREETING"
"""


@pytest.mark.parametrize("shell", ["bash", "zsh", "dash", "fish"])
def test_each_shell_takes_over_what_is_applied_twice_and_gets_its_own_back(
    type_in: Type, team: Path, staging: SmallStaging, shell: str
) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    port = with_stand_in(team)
    config = team / "resilience.toml"
    config.write_text(config.read_text().replace('"it is $HOME"', "'''it is $HOME\\n, \"so\" `it` goes '''"))
    staging.status = 503
    assert type_in("apply").code == 0
    command = f"{sys.executable} -m resilience.cli"
    lines = SCRIPT.format(take=f'eval "$({command} env)"', give=f'eval "$({command} env --unset)"')
    mine = "mine: $x 'y' \\z\n\"w\""
    try:
        done = subprocess.run(
            [program, "-c", lines],
            env={**os.environ, "GREETING": mine, "HOME": str(team.parent), "LC_ALL": "C.UTF-8"},
            cwd=team,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        assert type_in("restore").code == 0
    first, _, second = done.stdout.partition("====\n")
    assert first.startswith(f'http://127.0.0.1:{port}|it is $HOME\\n, "so" `it` goes |'), (done.stdout, done.stderr)
    assert second == f"|{mine}||\n", done.stderr
