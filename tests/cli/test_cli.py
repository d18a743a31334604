"""What is typed at three in the morning does what it says, exits as contracts.md says, and never shows a traceback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from resilience import cli
from resilience.host.files import read_env_file
from resilience.host.lock import locked
from tests.kits.small_staging import SmallStaging, project
from tests.kits.stand_in_kit import eventually, free_ports, listening, processes_naming

VERBS = {
    *("assess", "mode", "plan", "apply", "restore", "undo", "env", "test", "recover", "run", "resume", "drill"),
    *("lab", "report", "status", "doctor", "init", "notebook", "services"),
}
SHIPPED = Path(__file__).resolve().parents[2] / "config" / "runbook.toml"


@dataclass(frozen=True, slots=True)
class Said:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        document, end = json.JSONDecoder().raw_decode(self.out)
        assert self.out[end:] == "\n", "exactly one document"
        return document

    def complains(self, *words: str, code: int = 2) -> None:
        """One line on stderr with these words, nothing on stdout, this exit code."""
        assert self.code == code, self.err
        assert self.out == ""
        assert self.err.startswith("resilience: ")
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err, self.err


Type = Callable[..., Said]


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Type]:
    """Type a command into the real entry point, in this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["resilience", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        out, err = capfd.readouterr()
        code = left.value.code
        assert code is None or isinstance(code, int)
        return Said(code or 0, out, err)

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def staging() -> Iterator[SmallStaging]:
    with SmallStaging() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to type in, with a state folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / ".git").mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def team(home: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = project(home.parent / "team", staging.port)
    monkeypatch.chdir(folder)
    return folder


def with_stand_in(team: Path, *, port: int | None = None) -> int:
    """Let the backend's mock stand in for it; gives its port."""
    chosen = port or free_ports(1)[0]
    config = team / "resilience.toml"
    config.write_text(
        config.read_text().replace(
            "critical = true\n",
            f'critical = true\nlocal = "http://127.0.0.1:{chosen}/health"\nmarkers = ["real_backend"]\n'
            'exports = { BACKEND_URL = "http://{host}:{port}", GREETING = "it is $HOME" }\n',
        )
    )
    return chosen


def runs(folder: Path) -> list[Path]:
    return sorted((folder / "outputs").glob("*/*/incident.json"))


# --------------------------------------------------------------------------- help


def test_help_names_every_verb_and_opens_with_two_examples(type_in: Type) -> None:
    said = type_in("--help")
    assert said.code == 0
    assert "resilience assess" in said.out
    assert "resilience drill database-unavailable" in said.out
    assert {line.split()[0] for line in said.out.splitlines() if line.strip()} >= VERBS


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_each_verb_explains_itself(type_in: Type, verb: str) -> None:
    said = type_in(verb, "--help")
    assert (said.code, said.err) == (0, "")
    assert f"resilience {verb}" in said.out


# --------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["asess"], ["asess", 'did you mean "assess"?']),
        (["services", "upp"], ["upp"]),
        (["assess", "--jsn"], ["--jsn", "--json"]),
        (["assess", "--samples", "three"], ["three"]),
        (["assess", "--samples", "0"], ["0"]),
        (["assess", "--watch", "0"], ["--watch 0", "--watch 300"]),
        (["assess", "--watch", "-5"], ["-5"]),
        (["assess", "--watch", "nan"], ["nan"]),
        (["mode", "--force", "degrded"], ["'degrded'", 'did you mean "degraded"?']),
        (["plan", "--force", "degrded"], ["'degrded'", 'did you mean "degraded"?']),
        (["apply", "--force", "degrded"], ["'degrded'", 'did you mean "degraded"?']),
        (["test", "--force", "degrded"], ["'degrded'", 'did you mean "degraded"?']),
        (["test", "--exit-code", "theirs"], ["theirs", "ours or original"]),
        (["test", "--timeout", "-1"], ["--timeout", "-1"]),
        (["test", "--total-timeout", "0"], ["--total-timeout", "0"]),
        (["recover", "--wait", "-1"], ["--wait", "-1"]),
        (["drill", "databse-unavailable"], ["databse-unavailable", 'did you mean "database-unavailable"?']),
        (["run", "-p", "aply=true"], ["aply", 'did you mean "apply"?']),
        (["run", "-p", "samples"], ["samples", "name=value"]),
        (["run", "-p", "samples=many"], ["samples", "many"]),
        (["run", "--fail-on", "never-ever"], ["never-ever"]),
        (["services", "up", "databse"], ["databse"]),
        (["services", "down", "backend"], ["backend", 'did you mean "backend_api"?']),
        (["report", "2020-01-01/000000Z-none"], ["2020-01-01/000000Z-none"]),
        (["resume", "2020-01-01/000000Z-none"], ["2020-01-01/000000Z-none"]),
        (["report"], ["no run", "resilience run"]),
        (["resume"], ["no run", "resilience run"]),
        (["env"], ["no fallback is applied", "resilience apply"]),
        (["assess", "--config", "nowhere.toml"], ["nowhere.toml", "a file that exists"]),
        (["assess", "--url", "mysql://127.0.0.1/x"], ["--url", "postgresql://"]),
        (["assess", "--url", "postgresql://u:p@ss@127.0.0.1/x"], ["--url"]),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_refused_in_one_line_before_anything_is_done(
    type_in: Type, team: Path, staging: SmallStaging, typed: list[str], words: list[str]
) -> None:
    said = type_in(*typed)
    said.complains(*words)
    assert "p@ss" not in said.err
    assert not runs(team), "nothing half-made"
    assert not staging.asked.is_set(), "nobody was asked for nothing"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('type = "http"', 'type = "htp"'), ["htp", 'did you mean "http"?', "resilience.toml"]),
        (("critical = true", "critcal = true"), ["critcal", 'did you mean "critical"?', "resilience.toml"]),
        (("[recovery]", "[recvery]"), ["recvery", "resilience.toml"]),
        (("good = 2", 'good = "two"'), ["good", "resilience.toml"]),
        (("timeout_s = 2.0", "timeout_s = -2.0"), ["timeout_s", "resilience.toml"]),
        (('name = "backend_api"', ""), ["name", "resilience.toml"]),
        (("[modes.degraded]", "[modes.degrded]"), ["degrded", "resilience.toml"]),
        (("[runbook]", "[runbook"), ["resilience.toml"]),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("verb", ["assess", "apply", "run"])
def test_a_configuration_that_cannot_be_used_is_refused_by_name_and_file(
    type_in: Type, team: Path, change: tuple[str, str], words: list[str], verb: str
) -> None:
    config = team / "resilience.toml"
    config.write_text(config.read_text().replace(*change))
    type_in(verb).complains(*words)
    assert not runs(team)


def test_a_half_configured_service_says_which_variables_are_missing(
    type_in: Type, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SHIPPED.parent, home / "config")
    monkeypatch.setenv("STAGING_POSTGRES_HOST", "127.0.0.1")
    type_in("assess").complains("0 of 7 configured", "STAGING_POSTGRES_PORT", "STAGING_POSTGRES_PASSWORD")


@pytest.mark.parametrize("verb", ["assess", "mode", "plan", "apply", "test", "recover", "run"])
def test_nothing_configured_says_so_and_proposes_the_drill(type_in: Type, home: Path, verb: str) -> None:
    type_in(verb).complains("0 of 7 configured", "resilience drill database-unavailable")
    assert not list(home.rglob("incident.json"))


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


def test_a_broken_line_in_a_profile_is_named_before_anything_is_looked_at(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    (team / "config").mkdir()
    (team / "config" / ".env.test.resilient").write_text("A=1\nB 2\n")
    type_in("assess").complains(".env.test.resilient:2")
    assert not staging.asked.is_set()


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


def test_a_journal_that_is_cut_says_what_to_do(type_in: Type, team: Path) -> None:
    state = team / ".resilience" / "state"
    state.mkdir(parents=True)
    (state / "journal.json").write_text('{"run": "x"')
    for verb in ("status", "restore", "env"):
        type_in(verb).complains("journal.json", "by hand", code=30)


def test_a_folder_that_cannot_be_made_is_the_runbooks_failure(type_in: Type, team: Path) -> None:
    (team / "outputs").write_text("a file is in the way")
    type_in("apply").complains("outputs", "--out", code=30)


def test_what_nobody_foresaw_is_one_line_with_a_log_and_code_30(
    type_in: Type, team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESILIENCE_STATE", "resilience.toml")
    said = type_in("status")
    said.complains("the runbook failed", "nothing is known about your tests", code=30)
    log = Path(next(word for word in said.err.split() if word.endswith(".log")))
    try:
        assert "Traceback" in log.read_text()
        assert log.stat().st_mode & 0o077 == 0
    finally:
        log.unlink()


# --------------------------------------------------------------------------- looking


@pytest.mark.parametrize(
    ("status", "overall", "code", "mode"),
    [(200, "available", 0, "full"), (503, "unavailable", 20, "degraded")],
)
def test_assess_exits_by_the_overall_status_and_says_it_in_the_first_line(
    type_in: Type, team: Path, staging: SmallStaging, status: int, overall: str, code: int, mode: str
) -> None:
    staging.status = status
    said = type_in("assess")
    assert said.code == code
    first, second = said.out.splitlines()[:2]
    assert first.startswith("STAGING: " + {"available": "UP", "unavailable": "DOWN"}[overall])
    assert second.startswith("TESTS: ")
    document = type_in("assess", "--json").json
    assert (document["overall_status"], document["mode"]) == (overall, mode)
    assert not runs(team), "looking makes no run"


def test_assess_json_has_the_keys_of_the_contract(type_in: Type, team: Path, staging: SmallStaging) -> None:
    staging.status = 503
    said = type_in("assess", "--json", "--samples", "2")
    document = said.json
    assert set(document) >= {
        *("schema", "started_at", "duration_s", "environment", "vantage", "overall_status", "mode", "reasons"),
        *("checked", "not_configured", "should_use_fallback", "should_skip_tests", "is_staging_available"),
        *("causes", "services"),
    }
    assert set(document["services"][0]) >= {
        *("name", "type", "status", "fault", "phase", "retryable", "infrastructure", "response_time_s", "phases"),
        *("endpoint", "critical", "detail", "hint"),
    }
    assert set(document["services"][0]["phases"]) == {"dns_s", "tcp_s", "tls_s", "first_byte_s", "query_s"}
    assert document["schema"] == 1
    assert document["started_at"].endswith("Z")
    assert document["services"][0]["fault"] == "app_overload"
    assert document["samples"]


@pytest.mark.parametrize("verb", ["mode", "plan"])
def test_mode_and_plan_exit_as_assess_does_and_change_nothing(
    type_in: Type, team: Path, staging: SmallStaging, verb: str
) -> None:
    with_stand_in(team)
    staging.status = 503
    before = sorted(path for path in team.rglob("*") if ".resilience" not in path.parts)
    assert type_in(verb).code == 20
    document = type_in(verb, "--json").json
    assert (document["schema"], document["mode"], document["overall_status"]) == (1, "degraded", "unavailable")
    assert document["stand_ins"]
    forced = type_in(verb, "--force", "offline", "--json").json
    assert forced["mode"] == "offline"
    assert sorted(path for path in team.rglob("*") if ".resilience" not in path.parts) == before


def test_assess_by_url_needs_no_configuration_and_shows_no_password(
    type_in: Type, home: Path, staging: SmallStaging
) -> None:
    url = f"http://someone:hunter2-secret@127.0.0.1:{staging.port}/health"
    said = type_in("assess", "--url", url)
    assert said.code == 0
    assert "hunter2-secret" not in said.out + said.err
    assert type_in("assess", "--url", url, "--json").json["checked"] == 1
    staging.status = 500
    assert type_in("assess", "--url", url).code == 20
    assert not list(home.iterdir()) or [path.name for path in home.iterdir()] == [".git"] or not runs(home)


def test_exit_zero_says_what_it_hides(type_in: Type, team: Path, staging: SmallStaging) -> None:
    staging.status = 503
    said = type_in("assess", "--exit-zero")
    assert said.code == 0
    assert "--exit-zero hides exit code 20: staging is unavailable" in said.err
    staging.status = 200
    assert "hides" not in type_in("assess", "--exit-zero").err


def test_status_is_one_document_and_looking_at_it_takes_no_lock(type_in: Type, team: Path) -> None:
    with locked(team / ".resilience" / "state", "test"):
        document = type_in("status", "--json").json
        assert document["lock"]["verb"] == "test"
        assert document["applied"] is None
        assert type_in("assess").code == 0
        assert type_in("mode").code == 0
        assert type_in("plan").code == 0


# --------------------------------------------------------------------------- changing


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
        assert "Next: resilience test   resilience recover" in type_in("assess").out
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


@pytest.mark.parametrize("verb", [["apply"], ["test"], ["restore"], ["run", "--apply"]], ids=" ".join)
def test_a_second_one_is_told_who_holds_the_lock_since_when(
    type_in: Type, team: Path, staging: SmallStaging, verb: list[str]
) -> None:
    if verb == ["apply"]:
        with_stand_in(team)
        staging.status = 503
    with locked(team / ".resilience" / "state", "test", run="r"):
        said = type_in(*verb)
    assert said.code == 75, said.out + said.err
    assert f"(resilience test, pid {os.getpid()}) since 20" in said.err
    assert "running" not in {json.loads(path.read_text())["verdict"] for path in runs(team)}


# --------------------------------------------------------------------------- testing and recovering


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


def test_recover_looks_once_and_tells_not_yet_with_the_code_of_assess(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    staging.status = 503
    said = type_in("recover", "--wait", "0")
    assert said.code == 20, said.out + said.err
    assert "RECOVERY: not yet" in said.out
    assert type_in("recover", "--wait", "0.2").code == 124


def test_recover_on_a_staging_that_is_well_runs_critical_then_full(type_in: Type, team: Path) -> None:
    said = type_in("recover", "--json")
    assert said.code == 0, said.err
    document = said.json
    assert set(document) >= {"schema", "recovery", "restored", "critical_tests", "full_tests", "exit_code"}
    assert document["recovery"]["recovered"] is True
    assert document["full_tests"]["totals"]["passed"] == 2


def test_report_is_written_again_and_its_path_is_the_last_line(type_in: Type, team: Path) -> None:
    assert type_in("test").code == 0
    said = type_in("report")
    assert said.code == 0
    path = Path(said.out.splitlines()[-1])
    assert path.name == "report.html"
    assert path.exists()
    name = f"{path.parent.parent.name}/{path.parent.name}"
    assert type_in("report", name).out == said.out


# --------------------------------------------------------------------------- the real console script

NO_NETWORK = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.sendmsg", "socket.gethostbyname"):
        address = arguments[1] if event.startswith("socket.connect") or "send" in event else arguments[0]
        if not isinstance(address, (str, bytes)) or event.startswith("socket.get"):
            sys.stderr.write(f"PACKET {event} {address}\\n")
            raise PermissionError("no packet may be sent")
sys.addaudithook(refuse)
"""


def console(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    script = Path(sys.executable).with_name("resilience")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "resilience.cli"]
    return subprocess.run(
        [*command, *arguments], cwd=cwd, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )


def test_assess_with_nothing_configured_sends_no_packet(home: Path) -> None:
    (home / "sitecustomize.py").write_text(NO_NETWORK)
    proof = subprocess.run(
        [sys.executable, "-c", "import socket; socket.create_connection(('127.0.0.1', 9))"],
        env={**os.environ, "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "PACKET" in proof.stderr, "the hook works"
    said = console("assess", cwd=home, PYTHONPATH=str(home))
    assert "PACKET" not in said.stderr
    assert said.returncode == 2
    assert said.stdout == ""
    assert "resilience drill database-unavailable" in said.stderr


def test_a_reader_that_closes_the_pipe_gets_no_traceback(team: Path) -> None:
    said = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m resilience.cli status --json 2>err | true; cat err'],
        capture_output=True,
        text=True,
        check=False,
        cwd=team,
    )
    assert said.stdout == ""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_watch_in_one_line_with_its_code(team: Path, sent: signal.Signals, code: int) -> None:
    watch = subprocess.Popen(
        [sys.executable, "-u", "-m", "resilience.cli", "assess", "--watch", "30"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=team,
    )
    try:
        assert watch.stdout is not None
        assert "STAGING: UP" in watch.stdout.readline()
        watch.send_signal(sent)
        _, err = watch.communicate(timeout=20)
    finally:
        watch.kill()
        watch.wait()
    assert watch.returncode == code
    assert err.count("\n") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_of_the_tests_ends_them_and_says_interrupted(
    team: Path, sent: signal.Signals, code: int
) -> None:
    (team / "tests" / "test_shop.py").write_text(
        "import pathlib, time\n\ndef test_slow():\n    pathlib.Path('begun').touch()\n    time.sleep(60)\n"
    )
    going = subprocess.Popen(
        [sys.executable, "-m", "resilience.cli", "test"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=team,
    )
    try:
        assert eventually(lambda: (team / "begun").exists() or going.poll() is not None, within_s=30)
        going.send_signal(sent)
        _, err = going.communicate(timeout=30)
    finally:
        going.kill()
        going.wait()
    assert going.returncode == code, err
    assert "Traceback" not in err
    assert not processes_naming(team)
    (record,) = runs(team)
    document = json.loads(record.read_text())
    assert (document["verdict"], document["exit_code"]) == ("interrupted", code)


def test_a_damaged_journal_does_not_keep_anybody_from_looking(tmp_path: Path, free_port: int) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "resilience.toml").write_text(
        f'[[service]]\nname = "redis"\ntype = "redis"\nurl = "redis://127.0.0.1:{free_port}/0"\ncritical = true\n'
    )
    state = tmp_path / ".resilience" / "state"
    state.mkdir(parents=True)
    (state / "journal.json").write_text('{"run": "half')
    done = subprocess.run(
        [sys.executable, "-m", "resilience.cli", "assess"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 20, done.stderr
    assert done.stdout.startswith("STAGING: DOWN")
    assert "journal.json" in done.stderr
    assert "Traceback" not in done.stderr
