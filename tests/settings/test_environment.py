"""Each test's name is a claim about which configuration is found, what is read with it, and how it is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values

from resilience.core.errors import SettingsError, UsageError
from resilience.core.records import TestExecutionMode
from resilience.core.secret import looks_secret
from resilience.core.settings import PROFILE_FILES
from resilience.core.urls import url_parts
from resilience.runs.configuration import load_settings, settings_for_url
from resilience.settings.environment import find_config, find_root, shipped
from tests.kits.kinds import ServiceType

SERVICE = '[[service]]\nname = "a"\ntype = "http"\nurl = "${A_URL}"\nlocal = "${LOCAL_URL}"\n'
GUIDE = ("database", "redis", "clickhouse", "backend_api", "auth_service", "websocket", "llm_service")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "src" / "deep").mkdir(parents=True)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_nearest_configuration_counts_up_to_the_repositorys_root(repository: Path) -> None:
    outside = write(repository.parent / "resilience.toml", "")
    assert find_config(repository / "src") is None
    outside.unlink()
    guide = write(repository / "config/runbook.toml", "")
    assert find_config(repository / "src/deep") == guide
    own = write(repository / "resilience.toml", "")
    assert find_config(repository) == own
    near = write(repository / "src/resilience.toml", "")
    assert find_config(repository / "src/deep") == near


def test_relative_paths_are_relative_to_the_repositorys_root(repository: Path) -> None:
    write(repository / "src/resilience.toml", '[runbook]\noutputs = "found"\nenv_file = "x/.env"\n')
    found = load_settings(cwd=repository / "src/deep", environ={"HOME": str(repository)})
    assert found.root == repository
    assert found.outputs == repository / "found"
    assert found.env_file == repository / "x/.env"
    assert found.state == repository / ".resilience/state"


def test_without_a_repository_the_root_is_the_folder_the_configuration_speaks_for(tmp_path: Path) -> None:
    assert find_root(tmp_path / "resilience.toml") == tmp_path
    assert find_root(tmp_path / "config/runbook.toml") == tmp_path


def test_an_argument_wins_over_the_variable_and_that_over_what_is_found(repository: Path) -> None:
    for name in ("found/resilience.toml", "variable.toml", "argument.toml"):
        write(repository / name, f'[runbook]\nenvironment = "{name}"\n')
    cwd = repository / "found"
    environ = {"RESILIENCE_CONFIG": "../variable.toml"}
    assert load_settings(cwd=cwd, environ={}).environment == "found/resilience.toml"
    assert load_settings(cwd=cwd, environ=environ).environment == "variable.toml"
    assert load_settings("../argument.toml", cwd=cwd, environ=environ).environment == "argument.toml"
    assert load_settings(cwd=cwd, environ={}, environment="qa").environment == "qa"


@pytest.mark.parametrize(("argument", "variable"), [("nope.toml", ""), (None, "nope.toml")])
def test_a_configuration_that_is_not_there_is_refused_by_what_named_it(
    tmp_path: Path, argument: str | None, variable: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(argument, cwd=tmp_path, environ={"RESILIENCE_CONFIG": variable})
    assert str(caught.value).startswith("--config='nope.toml'" if argument else "RESILIENCE_CONFIG='nope.toml'")
    assert "resilience init" in str(caught.value)


def test_without_any_configuration_the_shipped_one_is_used_and_writes_into_one_folder_only(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    found = load_settings(cwd=tmp_path, environ={"HOME": str(tmp_path)})
    assert tuple(service.name for service in found.services) == GUIDE
    assert found.root == tmp_path
    for path in (found.env_file, found.outputs, found.state):
        assert path.is_relative_to(tmp_path / ".resilience")
    assert list(tmp_path.iterdir()) == [tmp_path / ".git"]


def test_nothing_in_the_shipped_configuration_leaves_the_machine_by_default(tmp_path: Path) -> None:
    found = load_settings(cwd=tmp_path, environ={})
    assert not any(service.configured for service in found.services)
    assert all(service.unset for service in found.services)
    assert all(url_parts(service.local, service.kind).is_local for service in found.services)
    assert found.control_targets == ()
    assert {service.name for service in found.services if service.critical} == {"database", "backend_api"}


def test_the_shipped_stand_ins_have_the_ports_of_the_contract(tmp_path: Path) -> None:
    found = load_settings(cwd=tmp_path, environ={})
    ports = {service.name: url_parts(service.local, service.kind).port for service in found.services}
    assert (ports["database"], ports["redis"], ports["clickhouse"]) == (5435, 6382, 8126)
    assert len(set(ports.values())) == len(ports)


def test_every_variable_of_the_contract_configures_its_service(tmp_path: Path) -> None:
    environ = {
        **{
            f"STAGING_POSTGRES_{part}": "5432" if part == "PORT" else "x"
            for part in ("HOST", "PORT", "DB", "USER", "PASSWORD")
        },
        "STAGING_REDIS_URL": "redis://r",
        "STAGING_CLICKHOUSE_URL": "http://c:8123",
        "STAGING_BACKEND_URL": "https://b/health",
        "STAGING_AUTH_URL": "https://a/health",
        "STAGING_WEBSOCKET_URL": "wss://w/ws",
        "STAGING_LLM_URL": "https://l/v1",
    }
    assert all(service.configured for service in load_settings(cwd=tmp_path, environ=environ).services)


def test_the_env_files_beside_the_configuration_are_read(repository: Path) -> None:
    write(repository / "config/runbook.toml", SERVICE)
    write(repository / "config/.env.test.resilient", "LOCAL_URL=http://127.0.0.1:1\n")
    write(repository / "config/.env.test.local", "LOCAL_URL=http://127.0.0.1:2\nTEST_RETRY_ATTEMPTS=7\n")
    found = load_settings(cwd=repository, environ={})
    assert found.services[0].local.reveal() == "http://127.0.0.1:1"
    assert found.deadlines.retry_attempts == 7
    assert found.profiles[TestExecutionMode.OFFLINE] == repository / "config/.env.test.local"
    assert found.profile_values[TestExecutionMode.OFFLINE]["LOCAL_URL"] == "http://127.0.0.1:2"


def test_a_configuration_at_the_root_finds_the_guides_env_files_in_config(repository: Path) -> None:
    write(repository / "resilience.toml", SERVICE)
    write(repository / "config/.env.test.resilient", "LOCAL_URL=http://127.0.0.1:1\n")
    assert load_settings(cwd=repository, environ={}).services[0].local


def test_a_broken_line_is_refused_by_file_and_line(repository: Path) -> None:
    write(repository / "config/runbook.toml", SERVICE)
    write(repository / "config/.env.test.local", "A=1\nB='open\n")
    with pytest.raises(SettingsError, match=r"config/\.env\.test\.local:2"):
        load_settings(cwd=repository, environ={})


def test_bytes_that_are_no_text_are_refused_by_file_and_line(repository: Path) -> None:
    (repository / "resilience.toml").write_bytes(b"# a\n# \xff\n")
    with pytest.raises(SettingsError, match=r"resilience\.toml:2"):
        load_settings(cwd=repository, environ={})


def test_a_certificate_that_is_not_there_is_refused(repository: Path) -> None:
    write(repository / "resilience.toml", SERVICE + 'tls_ca = "ca.pem"\n')
    with pytest.raises(SettingsError, match=r"a\.tls_ca='ca\.pem'"):
        load_settings(cwd=repository, environ={})
    ca = write(repository / "ca.pem", "x")
    assert load_settings(cwd=repository, environ={}).services[0].tls_ca == str(ca)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("folder", [".", "src"])
def test_a_configuration_is_followed_if_its_owner_has_the_repository_too(repository: Path, folder: str) -> None:
    path = write(repository / "resilience.toml", SERVICE)
    cwd = repository / folder
    os.chown(path, 12345, -1)
    with pytest.raises(SettingsError, match="owned by another user") as caught:
        load_settings(cwd=cwd, environ={})
    assert f"RESILIENCE_CONFIG={path} resilience" in caught.value.hint
    assert load_settings(path, cwd=cwd, environ={}).source == path
    assert load_settings(cwd=cwd, environ={"RESILIENCE_CONFIG": str(path)}).source == path
    os.chown(cwd / "src" if folder == "." else cwd, 12345, -1)
    with pytest.raises(SettingsError, match="owned by another user"):
        load_settings(cwd=cwd, environ={})
    os.chown(repository, 12345, -1)
    assert load_settings(cwd=cwd, environ={}).source == path, "as in containers, whose checkout is somebody else's"


def test_a_configuration_that_everybody_may_write_is_followed_only_when_it_is_named(repository: Path) -> None:
    path = write(repository / "resilience.toml", SERVICE)
    path.chmod(0o646)
    with pytest.raises(SettingsError, match="everybody") as caught:
        load_settings(cwd=repository, environ={})
    assert caught.value.hint.startswith(f"chmod o-w {path}")
    assert load_settings(path, cwd=repository, environ={}).source == path
    path.chmod(0o664)
    assert load_settings(cwd=repository, environ={}).source == path


def test_a_look_by_url_needs_no_configuration(tmp_path: Path) -> None:
    urls = [
        "postgresql://u:Zk-secret@h/db",
        "redis://r",
        "https://b/health",
        "http://c/health",
        "wss://w",
        "openai+https://l/v1",
    ]
    found = settings_for_url(urls, cwd=tmp_path, environ={})
    assert [(service.name, service.type) for service in found.services] == [
        ("database", ServiceType.POSTGRESQL),
        ("redis", ServiceType.REDIS),
        ("backend_api", ServiceType.HTTP),
        ("backend_api_2", ServiceType.HTTP),
        ("websocket", ServiceType.WEBSOCKET),
        ("llm_service", ServiceType.OPENAI),
    ]
    assert all(service.critical for service in found.services)
    assert "Zk-secret" in {secret.reveal() for secret in found.secrets}
    assert found.services[-1].url.reveal() == "https://l/v1"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["host:5432", "mssql://h", "", "postgresql://u:Zk#x@h/db", "http://h:99999"])
def test_a_url_that_cannot_be_is_refused_without_being_shown(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_for_url([url], cwd=tmp_path, environ={})
    assert str(caught.value).startswith("--url (number 1)")
    assert "Zk" not in str(caught.value)


def test_the_file_with_stagings_values_is_read_below_the_root_and_may_be_missing(repository: Path) -> None:
    text = '[runbook]\nstaging_env = ".env.staging"\n[[service]]\nname = "r"\ntype = "redis"\nurl = "${REDIS_URL}"\n'
    write(repository / "resilience.toml", text)
    missing = load_settings(cwd=repository, environ={})
    assert missing.services[0].unset == ("REDIS_URL",)
    write(repository / ".env.staging", "REDIS_URL=redis://r.example\n")
    assert load_settings(cwd=repository, environ={}).services[0].url.reveal() == "redis://r.example"


@pytest.mark.parametrize("name", ["resilience.toml", "config/runbook.toml"])
def test_another_tools_file_under_our_name_is_refused_with_what_to_type(repository: Path, name: str) -> None:
    write(repository / name, 'name = "chaos"\n[experiments]\nkill = true\n')
    with pytest.raises(SettingsError) as caught:
        load_settings(cwd=repository, environ={})
    assert "another tool's, with name, experiments" in str(caught.value)
    assert f"mv {name} {name}.old && resilience init --write" in str(caught.value)


def test_another_tools_file_that_was_named_is_not_to_be_moved(repository: Path) -> None:
    path = write(repository / "pyproject.toml", "[project]\nname = 'a'\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(path, cwd=repository, environ={})
    assert "mv " not in str(caught.value)
    assert "resilience init --write" in str(caught.value)


def test_a_mistyped_key_makes_no_configuration_another_tools(repository: Path) -> None:
    write(repository / "resilience.toml", "[runbok]\n[experiments]\n")
    with pytest.raises(SettingsError, match='did you mean "runbook"'):
        load_settings(cwd=repository, environ={})


def test_no_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        settings_for_url([], cwd=tmp_path, environ={})


def test_denied_hosts_hold_for_a_look_by_url_too(repository: Path) -> None:
    config = write(repository / "resilience.toml", '[safety]\ndeny_hosts = ["db.production.example"]\n[nonsense]\n')
    found = settings_for_url(["redis://db.production.example"], cwd=repository, environ={})
    assert found.deny_hosts == ("db.production.example",)
    config.write_text("[safety\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="deny_hosts"):
        settings_for_url(["redis://h"], cwd=repository, environ={})


@pytest.mark.parametrize("name", sorted(PROFILE_FILES.values()))
@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "zsh"])
def test_the_shipped_env_files_load_the_same_in_a_shell_and_by_dotenv(name: str, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    path = shipped("config") / name
    script = 'set -eu; set -a; . "$1"; set +a; exec env -0'
    done = subprocess.run(
        [program, "-c", script, "-", str(path)], env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=20
    )
    assert done.returncode == 0, done.stderr
    sourced = dict(pair.split("=", 1) for pair in done.stdout.decode().split("\0") if "=" in pair)
    read = dotenv_values(path)
    assert {key: sourced.get(key) for key in read} == read
    assert {"PATH", "PWD", "OLDPWD", "SHLVL", "HOME", "LOGNAME", "_"} | read.keys() >= sourced.keys(), (
        "a shell sets these itself"
    )


def test_the_shipped_env_files_hold_the_same_stand_ins_and_the_guides_settings(tmp_path: Path) -> None:
    found = load_settings(cwd=tmp_path, environ={})
    files = found.profile_values
    assert set(files) == set(PROFILE_FILES)
    names = {name for service in found.services for name in service.local_names}
    for values in files.values():
        assert {name: values[name] for name in names} == dict(found.values)
        assert "INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT" in values
        assert {value for name, value in values.items() if looks_secret(name)} == {"local-stand-in-only"}
    assert files[TestExecutionMode.OFFLINE]["TEST_OFFLINE"] == "true"
    assert files[TestExecutionMode.CRITICAL_ONLY]["TEST_CRITICAL_ONLY"] == "true"
    assert files[TestExecutionMode.DEGRADED]["INFRASTRUCTURE_DEGRADED_MODE"] == "true"


def test_sourcing_a_profile_as_the_guide_says_keeps_staging_apart(tmp_path: Path) -> None:
    sourced = {key: value for key, value in dotenv_values(shipped("config") / ".env.test.resilient").items() if value}
    found = load_settings(cwd=tmp_path, environ=sourced)
    assert not any(service.configured for service in found.services)
    assert found.wishes.degraded_at_least
