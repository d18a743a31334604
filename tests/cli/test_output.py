"""What is printed is what the contract says, whoever reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type


def test_exit_zero_says_what_it_hides(type_in: Type, team: Path, staging: SmallStaging) -> None:
    staging.status = 503
    said = type_in("assess", "--exit-zero")
    assert said.code == 0
    assert "--exit-zero hides exit code 20: staging is unavailable" in said.err
    staging.status = 200
    assert "hides" not in type_in("assess", "--exit-zero").err


def test_a_reader_that_closes_the_pipe_gets_no_traceback(team: Path) -> None:
    said = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m resilience.cli status --json 2>err | true; cat err'],
        capture_output=True,
        text=True,
        check=False,
        cwd=team,
    )
    assert said.stdout == ""
