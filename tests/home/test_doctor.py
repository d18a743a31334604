"""Each test's name is a claim about what `doctor` says."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resilience.core.records import ConnectivityResult, ConnectivityStatus, FaultCode, Phase, Phases
from resilience.core.taught import Drift
from resilience.home.doctor import Finding, diagnose
from resilience.home.init import inspect_repository, write
from resilience.runs.configuration import load_settings
from resilience.runs.folder import write_incident
from resilience.services.postgresql.stand_in import find_binaries
from resilience.teach.store import Store
from tests.kits import incident_factory
from tests.kits.kinds import ServiceType
from tests.kits.repository import SECRET, environ, full_of_things, put


def by_what(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


def test_doctor_says_of_each_service_what_is_unset_and_what_to_type(repository: Path) -> None:
    write(inspect_repository(full_of_things(repository)))
    found = by_what(diagnose(load_settings(cwd=repository, environ=environ(repository)), environ=environ(repository)))
    service = found["service database"]
    assert not service.ok
    assert service.found == "not configured, unset: STAGING_DATABASE_URL"
    assert service.hint == "export STAGING_DATABASE_URL=…"
    assert found["drill"].hint == "resilience drill database-unavailable"
    assert found["configuration"].ok
    assert found["interpreter"].ok
    assert found["env file"].ok
    assert "stand-in of database" in found
    assert all(finding.hint for finding in found.values() if not finding.ok)


def test_doctor_points_to_a_variable_that_is_almost_the_one(repository: Path) -> None:
    write(inspect_repository(full_of_things(repository)))
    env = {**environ(repository), "STAGING_DATABASE_URI": SECRET}
    found = by_what(diagnose(load_settings(cwd=repository, environ=env), environ=env))["service database"].found
    assert found.endswith("STAGING_DATABASE_URL; STAGING_DATABASE_URI is set")
    assert SECRET not in found


def test_doctor_says_what_a_look_found(repository: Path) -> None:
    write(inspect_repository(full_of_things(repository)))
    env = {
        **environ(repository),
        "STAGING_DATABASE_URL": "postgresql://u:p@db.example/d",
        "STAGING_REDIS_URL": "redis://r.example",
    }
    result = ConnectivityResult(
        name="database",
        type=ServiceType.POSTGRESQL,
        status=ConnectivityStatus.UNAVAILABLE,
        fault=FaultCode.TCP_TIMEOUT,
        phase=Phase.TCP,
        retryable=True,
        infrastructure=True,
        response_time_s=5.0,
        phases=Phases(),
        endpoint="db.example:5432",
        critical=True,
        detail="connect time-out",
        hint="look at the VPC connector",
        started_at=datetime.now(UTC),
    )
    found = by_what(diagnose(load_settings(cwd=repository, environ=env), results=[result], environ=env))
    assert found["service database"].found == "unavailable after 5.00 s: connect time-out"
    assert found["service database"].hint == "look at the VPC connector"
    assert found["service redis"].found == "configured, not asked"


def test_doctor_sees_a_drill_a_stale_shell_and_a_missing_command(repository: Path) -> None:
    put(repository / "resilience.toml", "[modes.full]\ncommands = ['no-such-command-here tests', 'A=1 sh -c true']\n")
    drill = repository / "outputs/2026-11-22/031407Z-drill"
    drill.mkdir(parents=True)
    write_incident(drill, incident_factory.drill().incident, str)
    put(repository / "outputs/2026-11-23/031407Z-cut/incident.json", "{")
    put(repository / "outputs/2026-11-24/031407Z-foreign/incident.json", json.dumps({"drill": "by-somebody-else"}))
    env = {**environ(repository), "RESILIENCE_APPLIED": "some-run"}
    found = by_what(diagnose(load_settings(cwd=repository, environ=env), environ=env))
    assert found["drill"].found == "database-unavailable on 2026-11-22"
    assert found["this shell"].hint == 'eval "$(resilience env --unset)"'
    assert "some-run" in found["this shell"].found
    assert "no-such-command-here, of mode full" in found["test commands"].found
    assert found["git"].hint.startswith("echo ")


def test_doctor_points_to_lines_that_a_shell_reads_differently(repository: Path) -> None:
    lines = ("A=plain", "B='a b $c'", 'C="a b"', "# D=$x", "E=$HOME", "F=a b", "G = x", 'H="$x"', "I=a # comment", "J=")
    put(repository / "resilience.toml", "")
    put(repository / ".env.test.local", "\n".join(lines) + "\n")
    found = diagnose(load_settings(cwd=repository, environ=environ(repository)), environ=environ(repository))
    told = [finding for finding in found if "read differently" in finding.found]
    assert [finding.what for finding in told] == [f".env.test.local:{number}" for number in (5, 6, 7, 8)]
    assert told[0].hint.startswith("E='…'")


def test_doctor_knows_that_the_configuration_is_not_ones_own(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    found = by_what(diagnose(load_settings(cwd=tmp_path, environ=environ(tmp_path)), environ=environ(tmp_path)))
    assert found["configuration"].hint == "resilience init"
    assert list(tmp_path.iterdir()) == [tmp_path / ".git"]


def test_doctor_shows_each_command_that_the_configuration_may_have_us_run(repository: Path) -> None:
    put(
        repository / "resilience.toml",
        '[runbook]\nenv_command = "echo from-env"\n[modes.full]\ncommands = ["pytest a", "curl -u me --token t0ps3cret-t0ken x"]\n'
        '[[service]]\nname = "redis"\ntype = "redis"\nurl = "redis://:t0ps3cret-t0ken@r.example"\n'
        'local = "redis://127.0.0.1:1/0"\nprepare = ["make seed"]\n',
    )
    findings = diagnose(load_settings(cwd=repository, environ=environ(repository)), environ=environ(repository))
    said = [finding.found for finding in findings if finding.what == "resilience.toml runs"]
    assert said == [
        "pytest a   # for mode full",
        "curl -u me --token *** x   # for mode full",
        "make seed   # for the stand-in of redis, to prepare it",
        "echo from-env   # for the tests' environment (env_command)",
    ]


def test_doctor_collects_the_tests_and_says_what_keeps_pytest_from_it(repository: Path) -> None:
    write(inspect_repository(full_of_things(repository)))
    settings = load_settings(cwd=repository, environ=environ(repository))
    assert by_what(diagnose(settings, environ=environ(repository)))["tests of pytest"].found == "2 collected"
    put(repository / "tests/test_broken.py", "import no_such_package_here\n")
    found = by_what(diagnose(settings, environ=environ(repository)))["tests of pytest"]
    assert not found.ok
    assert found.found == "ModuleNotFoundError: No module named 'no_such_package_here'"
    assert found.hint == "pytest --collect-only"


@pytest.mark.parametrize(("port", "ok"), [(6379, True), (6390, False)])
def test_doctor_names_a_stand_in_that_no_export_leads_to(repository: Path, port: int, ok: bool) -> None:
    text = f'[[service]]\nname = "redis"\ntype = "redis"\nurl = "${{R}}"\nlocal = "redis://127.0.0.1:{port}/0"\n'
    put(repository / "resilience.toml", text)
    settings = load_settings(cwd=repository, environ=environ(repository))
    found = by_what(diagnose(settings, environ=environ(repository)))["exports of redis"]
    assert (found.ok, bool(found.hint)) == (ok, not ok)
    assert str(port) in found.found


def test_doctor_names_extensions_that_no_server_here_has_before_the_incident(repository: Path) -> None:
    text = '[[service]]\nname = "db"\ntype = "postgresql"\nurl = "${D}"\nlocal = "postgresql://a:b@127.0.0.1:5435/d"\n'
    put(repository / "resilience.toml", text)
    put(repository / "app/migrations/0001.py", 'RunSQL("CREATE EXTENSION IF NOT EXISTS no_such_extension_here")\n')
    settings = load_settings(cwd=repository, environ=environ(repository))
    told = [one for one in diagnose(settings, environ=environ(repository)) if "no_such_extension_here" in one.found]
    if not find_binaries():
        pytest.skip("no PostgreSQL is installed here")
    assert [(one.what, one.ok, bool(one.hint)) for one in told] == [("stand-in of db", False, True)]


def test_doctor_looks_up_what_prepares_a_stand_in_and_what_follows_a_cd(repository: Path) -> None:
    put(
        repository / "resilience.toml",
        '[modes.full]\ncommands = ["cd tests && no-such-runner"]\n[[service]]\nname = "r"\ntype = "redis"\n'
        'local = "redis://127.0.0.1:6379/0"\nprepare = ["cd a && no-such-migration up"]\n',
    )
    settings = load_settings(cwd=repository, environ=environ(repository))
    found = [one.found for one in diagnose(settings, environ=environ(repository)) if one.what == "test commands"]
    assert found == ["no-such-runner, of mode full, is not on PATH", "no-such-migration, to prepare r, is not on PATH"]


def test_doctor_shows_no_secret_of_a_command_whose_tests_it_cannot_collect(repository: Path) -> None:
    secret = "sk-live-9fQ2xZ7LmN4pR8tW"
    config = repository / "resilience.toml"
    config.write_text(f'[modes.full]\ncommands = ["{sys.executable} -m pytest --token={secret} tests"]\n')
    done = subprocess.run(
        [sys.executable, "-m", "resilience.cli", "doctor"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert "--token=" in done.stdout
    assert secret not in done.stdout + done.stderr


def test_doctor_names_a_second_configuration_which_is_not_read(repository: Path) -> None:
    text = "[runbook]\nenvironment = 'staging'\n"
    put(repository / "resilience.toml", text)
    put(repository / "config/runbook.toml", text)
    settings = load_settings(repository / "resilience.toml", environ={})
    [finding] = [one for one in diagnose(settings, environ={}) if one.what == "configuration" and not one.ok]
    assert finding.found == "resilience.toml; config/runbook.toml is there as well, and is not read"
    assert finding.hint == "mv config/runbook.toml config/runbook.toml.old"


TEACHES = """
[[service]]
name = "backend_api"
type = "http"
url = "http://127.0.0.1:1/health"
teach = ["traffic", "contract"]
"""


def test_doctor_says_what_is_taught_and_what_of_it_is_stale_or_has_changed_since(repository: Path) -> None:
    put(repository / "resilience.toml", TEACHES)
    settings = load_settings(cwd=repository, environ=environ(repository))

    def taught() -> Finding:
        return by_what(diagnose(settings, environ=environ(repository)))["taught backend_api"]

    assert (taught().ok, taught().found, taught().hint) == (False, "nothing yet", "resilience test --teach")
    store, now = Store(settings.state), datetime.now(UTC)
    with store.lesson():
        store.write("backend_api", {"at": now.isoformat(), "source": "traffic", "exchanges": 3}, {"a": b""})
    assert taught().ok
    assert taught().found == "0 min ago (3 answers)"
    store.note_drift("backend_api", Drift(at=now, since=now, checked=1, drift=("GET /a: body.b is gone",)))
    assert not taught().ok
    assert "staging has changed since: GET /a: body.b is gone" in taught().found
    assert taught().hint == "resilience taught; resilience test --teach"
    store.note_drift("backend_api", Drift(at=now, checked=1))
    store.mark_stale("backend_api", "it turned bad")
    assert "stale: it turned bad" in taught().found
