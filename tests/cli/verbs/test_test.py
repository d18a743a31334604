"""A test run exits by what it proved."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type, runs


@pytest.mark.parametrize(
    ("status", "tests", "code", "verdict"),
    [
        (200, "assert True", 0, "passed"),
        (200, "assert 1 == 2", 1, "product_failures"),
        (503, "assert True", 20, "infrastructure_unavailable"),
    ],
)
def test_test_exits_by_what_it_proved(
    type_in: Type, team: Path, staging: SmallStaging, status: int, tests: str, code: int, verdict: str
) -> None:
    staging.status = status
    (team / "tests" / "test_shop.py").write_text(f"def test_one():\n    {tests}\n")
    said = type_in("test")
    assert said.code == code, said.out + said.err
    assert "STAGING: " in said.out
    assert "TESTS: " in said.out
    (folder,) = runs(team)
    document = json.loads(folder.read_text())
    assert (document["verdict"], document["exit_code"]) == (verdict, code)


def test_test_json_has_the_keys_of_the_contract_and_the_tests_own_output_goes_to_stderr(
    type_in: Type, team: Path
) -> None:
    said = type_in("test", "--json")
    document = said.json
    assert set(document) >= {"schema", "mode", "duration_s", "exit_code", "commands", "totals", "tests"}
    assert set(document["commands"][0]) >= {"command", "kind", "exit_code", "duration_s", "rounds"}
    assert set(document["tests"][0]) >= {
        *("id", "outcome", "rounds", "duration_s", "fault", "service", "suspect", "message"),
    }
    assert document["totals"]["passed"] == len(document["tests"]) == 2
    assert "2 passed" in said.err


def test_a_command_after_two_dashes_is_run_as_typed(type_in: Type, team: Path) -> None:
    (team / "a b.py").write_text("import sys; print(sys.argv[1:]); sys.exit(4)")
    said = type_in("test", "--exit-code", "original", "--", sys.executable, "a b.py", "--json", "x  y", "$HOME")
    assert said.code == 4, said.out + said.err
    assert "['--json', 'x  y', '$HOME']" in said.out


def test_a_command_that_is_not_there_is_no_product_failure(type_in: Type, team: Path) -> None:
    said = type_in("test", "--", "no-such-binary", "-v")
    assert said.code == 30
    assert "resilience: the test command 'no-such-binary -v' was not found" in said.err
    (record,) = runs(team)
    assert json.loads(record.read_text())["verdict"] == "runbook_failed"
    assert type_in("test", "--exit-code", "original", "--", "no-such-binary").code == 127


def test_mode_without_commands_says_what_to_type(type_in: Type, team: Path) -> None:
    config = team / "resilience.toml"
    config.write_text(config.read_text().replace("[modes.full]\ncommands", "[modes.offline]\ncommands"))
    said = type_in("test")
    assert said.code == 2
    assert "[modes.full] commands" in said.err
    assert "resilience test -- pytest tests/" in said.err
    assert "running" not in {json.loads(path.read_text())["verdict"] for path in runs(team)}
