"""Applying says the plan's words, exits by what came up, and changes nothing where it need not or must not."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

from resilience.host.files import read_env_file
from tests.kits.small_staging import SmallStaging
from tests.kits.stand_in_kit import listening, processes_naming
from tests.kits.typing_in import Type, runs, with_stand_in


def test_apply_env_and_restore_go_round(
    type_in: Type, team: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = with_stand_in(team)
    staging.status = 503
    env = team / ".env.test.active"
    env.write_bytes(b"# mine\r\nMINE='1'\n")
    env.chmod(0o640)
    planned = type_in("plan").out
    said = type_in("apply")
    try:
        assert said.code == 0, said.out + said.err
        for line in planned.splitlines():
            if line.lstrip()[:2] in ("1.", "2.", "3."):
                assert line in said.out.splitlines(), "apply says the plan's own words"
        assert type_in("apply", "--force", "critical_only").code == 0
        assert type_in("mode", "--json").json["mode"] == "critical_only", "what is applied counts"
        looked = type_in("assess").out
        assert "Next: resilience test " in looked
        assert "      resilience recover " in looked
        assert "A fallback is applied here: mode critical_only, by " in looked
        assert "resilience apply" not in looked, "it is done already"
        assert type_in("apply", "--force", "degraded").code == 0
        again = type_in("apply", "--json")
        assert again.json["applied"]["already"] is True
        exports = type_in("env").out
        shell = subprocess.run(
            ["sh", "-c", f'{exports}printf "%s|%s|%s" "$BACKEND_URL" "$GREETING" "$MINE"'],
            capture_output=True,
            text=True,
            check=True,
        )
        assert shell.stdout == f"http://127.0.0.1:{port}|it is $HOME|1"
        values = read_env_file(env)
        names = [line.split()[1].partition("=")[0] for line in exports.splitlines()]
        assert set(names) == set(values)
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        unset = type_in("env", "--unset").out
        assert {line.split()[1] for line in unset.splitlines()} == set(names)
        left = subprocess.run(
            ["sh", "-c", f'{unset}echo "${{BACKEND_URL-gone}}${{RESILIENCE_APPLIED-gone}}"'],
            capture_output=True,
            text=True,
            check=True,
        )
        assert left.stdout == "gonegone\n"
        for name in names:
            monkeypatch.delenv(name)
        assert len(runs(team)) == 1, "one incident is one folder"
        (team / "tests" / "test_shop.py").write_text(
            "import os, urllib.request\n\ndef test_one():\n"
            "    assert urllib.request.urlopen(os.environ['BACKEND_URL'] + '/health').status == 200\n"
        )
        tested = type_in("test", "--json")
        assert tested.code == 10, tested.err
        assert tested.json["mode"] == "degraded"
    finally:
        restored = type_in("restore", "--json")
    assert restored.code == 0
    assert restored.json["identical"] is True
    assert restored.json["shell_variables"]
    assert (env.read_bytes(), env.stat().st_mode & 0o777) == (b"# mine\r\nMINE='1'\n", 0o640)
    assert type_in("undo").code == 0
    assert "nothing" in type_in("restore").out.lower()
    assert type_in("services", "down").code == 0
    assert not processes_naming(team.parent / "xdg")


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_broken_line_in_the_env_file_is_named_and_nothing_is_changed(
    type_in: Type, team: Path, staging: SmallStaging, verb: str
) -> None:
    with_stand_in(team)
    staging.status = 503
    env = team / ".env.test.active"
    env.write_bytes(b"FINE=1\nBROKEN='not closed\n")
    said = type_in(verb)
    assert said.code == 2
    assert ".env.test.active:2" in said.err.splitlines()[-1]
    assert "Traceback" not in said.err
    assert env.read_bytes() == b"FINE=1\nBROKEN='not closed\n"
    assert not (team / ".resilience" / "state" / "journal.json").exists()
    assert "running" not in {json.loads(path.read_text())["verdict"] for path in runs(team)}


def test_a_port_taken_by_somebody_else_leaves_them_alone_and_exits_20(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    staging.status = 503
    with listening() as port:
        with_stand_in(team, port=port)
        said = type_in("apply")
        assert said.code == 20, said.err + said.out
        assert str(port) in said.out
        assert "did not come up" in said.out
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            pass
    assert type_in("restore").code == 0
    assert not (team / ".env.test.active").exists()


def test_a_folder_that_cannot_be_made_is_the_runbooks_failure(type_in: Type, team: Path) -> None:
    (team / "outputs").write_text("a file is in the way")
    type_in("apply").complains("outputs", "--out", code=30)


def test_apply_with_staging_well_changes_nothing_and_says_so(type_in: Type, team: Path) -> None:
    said = type_in("apply")
    assert said.code == 0
    assert "Nothing was changed" in said.out
    assert not (team / ".env.test.active").exists()
    assert type_in("apply", "--json").json["applied"] is None


def test_apply_that_is_blocked_exits_20_and_changes_nothing(type_in: Type, team: Path, staging: SmallStaging) -> None:
    staging.status = 503
    said = type_in("apply")
    assert said.code == 20
    assert "blocked" in said.out
    assert not (team / ".env.test.active").exists()


def test_only_their_owner_reads_what_is_kept_of_a_checkout(type_in: Type, team: Path, staging: SmallStaging) -> None:
    with_stand_in(team)
    staging.status = 503
    state = team / ".resilience" / "state"
    state.mkdir(parents=True, mode=0o755)
    assert type_in("assess").code
    assert type_in("apply").code == 0
    try:
        kept = [state, *state.rglob("*"), *(team.parent / "xdg").rglob("*")]
        assert {path.name for path in kept} >= {"lock", "journal.json", "snapshot.json", "stand_ins.json"}
        ways = [path for path in kept if state in (path, *path.parents)] + [team.parent / "xdg" / "resilience"]
        open_to_others = [path for path in ways if path.stat().st_mode & 0o077 and path.parent != team.parent / "xdg"]
        assert not open_to_others
        [data] = (team.parent / "xdg" / "resilience").iterdir()
        assert data.stat().st_mode & 0o077 == 0
    finally:
        assert type_in("restore").code == 0


def test_a_command_that_is_edited_after_apply_is_the_one_that_runs(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    with_stand_in(team)
    staging.status = 503
    assert type_in("apply").code == 0
    try:
        config = team / "resilience.toml"
        config.write_text(config.read_text().replace('tests"]', 'tests -k test_one"]'))
        said = type_in("test", "--json")
        assert said.json["commands"][0]["command"].endswith("tests -k test_one")
        assert (said.json["totals"]["passed"], said.json["totals"]["deselected"]) == (1, 1)
    finally:
        assert type_in("restore").code == 0
