"""The way into a team's pytest takes nothing away from what the team set up."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.records import Outcome
from resilience.suite.entering import tox_override
from tests.kits.testrun_kit import environment_with, run, write

PASSED = "PYTHONPATH,RESILIENCE_PYTEST,RESILIENCE_RUN_ID,RESILIENCE_SNAPSHOT,RESILIENCE_APPLIED,RESILIENCE_WORKERS"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("tox.ini", "", "testenv.pass_env"),
        ("tox.ini", "[testenv]\npass_env = A\n", "testenv.pass_env"),
        ("tox.ini", "[testenv]\npassenv =\n    A\n    B\n", "testenv.passenv"),
        ("tox.ini", "[testenv:unit]\npassenv = A\n", "testenv.passenv testenv:unit.passenv"),
        ("tox.ini", "[testenv]\npassenv=A\n[testenv:unit]\npass_env=B\n", "testenv.passenv testenv:unit.pass_env"),
        ("tox.ini", "[testenv]\npass_env=A\n[testenv:unit]\npassenv=B\n", "testenv.pass_env testenv:unit.passenv"),
        ("tox.ini", "[flake8]\npassenv = A\n", "testenv.pass_env"),
        ("tox.ini", "no ini at all", "testenv.pass_env"),
        ("setup.cfg", "[tox:tox]\n[testenv]\npassenv = A\n", "testenv.passenv"),
        ("pyproject.toml", "[tool.tox]\nlegacy_tox_ini = '''[testenv]\npassenv = A\n'''\n", "testenv.passenv"),
        ("pyproject.toml", "[tool.tox", "testenv.pass_env"),
    ],
)
def test_our_variables_are_added_in_the_spelling_of_the_teams_tox_configuration(
    tmp_path: Path, name: str, text: str, expected: str
) -> None:
    (tmp_path / name).write_text(text)
    assert tox_override(tmp_path).split(";") == [f"{setting}+={PASSED}" for setting in expected.split()]


@pytest.mark.slow
@pytest.mark.parametrize("spelling", ["passenv", "pass_env"])
async def test_what_a_team_has_tox_pass_on_still_arrives_and_so_does_our_plugin(tmp_path: Path, spelling: str) -> None:
    python = environment_with(tmp_path / "venv", "tox==4.32.0", "pytest")
    root = write(
        tmp_path / "project",
        test_a="""
        import os
        def test_the_teams_variable(): assert os.environ["TEAM_VARIABLE"] == "theirs"
        """,
    )
    (root / "tox.ini").write_text(
        "[tox]\nno_package = true\n[testenv]\nskip_install = true\nallowlist_externals = *\n"
        f"{spelling} = TEAM_VARIABLE\ncommands = {python} -m pytest -q -p no:cacheprovider\n"
    )
    result = await run(root, tmp_path / "run", {}, f"{python} -m tox -e py", env={"TEAM_VARIABLE": "theirs"})
    assert [test.outcome for test in result.tests] == [Outcome.PASSED], result.commands[0].evidence
