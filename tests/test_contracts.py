"""What contracts.md promises to scripts, tried as a script would: from outside, by name, file and exit code."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kits.alone import ALONE
from tests.kits.ports import free_ports
from tests.kits.small_staging import SmallStaging, project
from tests.kits.stand_in_kit import processes_naming

RESILIENCE = (sys.executable, "-m", "resilience.cli")


@pytest.fixture
def staging() -> Iterator[SmallStaging]:
    with SmallStaging() as server:
        yield server


@pytest.fixture
def team(tmp_path: Path, staging: SmallStaging) -> Path:
    return project(tmp_path / "team", staging.port)


def resilience(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a script does: its own process, in the team's folder, with no terminal."""
    return subprocess.run(
        [*RESILIENCE, *words],
        cwd=folder,
        env={**os.environ, "XDG_STATE_HOME": str(folder.parent / "xdg"), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_developers_variable_that_names_a_staging_on_this_machine_is_the_one_to_unset(
    team: Path, staging: SmallStaging
) -> None:
    config = team / "resilience.toml"
    config.write_text(
        config.read_text()
        .replace(f"http://127.0.0.1:{staging.port}/health", "${STAGING_BACKEND_URL}")
        # The stand-in's variable is also what the team's own code reads, and names a tunnel to staging just now.
        .replace("critical = true\n", 'critical = true\nlocal = "${BACKEND_URL}/health"\n')
    )
    url = f"http://127.0.0.1:{staging.port}"
    done = resilience(team, "assess", BACKEND_URL=url, STAGING_BACKEND_URL=f"{url}/health")
    assert done.returncode == 2
    assert "unset STAGING_BACKEND_URL; or, " in done.stderr
    assert "unset BACKEND_URL" in done.stderr


def test_select_takes_the_place_of_the_modes_selection_also_for_the_configured_commands(team: Path) -> None:
    (team / "pytest.ini").write_text(f"[pytest]\naddopts = {ALONE}\nmarkers = payments\n")
    (team / "tests" / "test_shop.py").write_text(
        "import pytest\n\n\n@pytest.mark.payments\ndef test_one():\n    pass\n\n\ndef test_two():\n    assert False\n"
    )
    done = resilience(team, "test", "--select", "payments", "--json")
    totals = json.loads(done.stdout)["totals"]
    assert (totals["passed"], totals["deselected"], totals["failed"]) == (1, 1, 0)


@pytest.mark.parametrize("words", [("assess",), ("assess", "--json"), ("mode",), ("plan",)])
def test_a_reader_that_leaves_early_does_not_change_the_exit_code(
    team: Path, staging: SmallStaging, words: tuple[str, ...]
) -> None:
    staging.status = 503
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*RESILIENCE, *words], cwd=team, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (20, "")


@pytest.mark.parametrize(("name", "code"), [("INT", 130), ("TERM", 143), ("HUP", 143)])
def test_a_job_in_a_scripts_background_is_ended_by_signals_too(team: Path, name: str, code: int) -> None:
    """A shell starts such a job with SIGINT ignored, which Python takes over."""
    (team / "tests" / "test_shop.py").write_text(
        "import pathlib, time\n\n\ndef test_long():\n    pathlib.Path('began').touch()\n    time.sleep(60)\n"
    )
    script = f"""{" ".join(RESILIENCE)} test & job=$!
        while [ ! -e began ] && kill -0 $job; do sleep 0.05; done
        kill -{name} $job; wait $job"""
    done = subprocess.run(["sh", "-c", script], cwd=team, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == code, done.stderr
    incident = json.loads((team / "outputs" / "latest" / "incident.json").read_text())
    assert (incident["verdict"], incident["exit_code"]) == ("interrupted", code)


def is_open(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("applied_again", [False, True])
def test_what_a_killed_apply_had_started_is_ended_by_restore(
    team: Path, staging: SmallStaging, applied_again: bool
) -> None:
    """It is killed after the stand-in came up and before it could be noted: while it is being prepared."""
    (port,) = free_ports(1)
    config = team / "resilience.toml"
    config.write_text(
        config.read_text().replace(
            "critical = true\n",
            f'critical = true\nlocal = "http://127.0.0.1:{port}/health"\nprepare = ["touch began; exec sleep 3"]\n',
        )
    )
    (team / ".env.test.active").write_bytes(b"A=b\r\n\r\n# mine")
    staging.status = 503
    state = {**os.environ, "XDG_STATE_HOME": str(team.parent / "xdg")}
    applying = subprocess.Popen(
        [*RESILIENCE, "apply"], cwd=team, env=state, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 20
    while not (team / "began").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    applying.kill()
    applying.wait()
    assert is_open(port)
    status = json.loads(resilience(team, "status", "--json").stdout)
    assert status["applied"]["status"] == "unfinished"
    assert "resume" in status["next"]
    assert "restore" in status["next"]
    if applied_again:
        config.write_text(config.read_text().replace("exec sleep 3", "true"))
        again = json.loads(resilience(team, "apply", "--json").stdout)
        assert [(one["provider"], one["started_here"]) for one in again["applied"]["stand_ins"]] == [("mock", True)]
    done = resilience(team, "restore")
    assert done.returncode == 0, done.stderr
    assert not is_open(port)
    assert (team / ".env.test.active").read_bytes() == b"A=b\r\n\r\n# mine"
    assert not processes_naming(team.parent)
    assert json.loads(resilience(team, "services", "status", "--json").stdout)["services"] == []


def test_a_test_run_leaves_the_texts_of_its_report_and_is_remembered(team: Path) -> None:
    done = resilience(team, "test")
    assert done.returncode == 0, done.stderr
    folder = (team / "outputs" / "latest").resolve()
    assert done.stdout.splitlines()[-1] == f"Report: {folder / 'report.html'}"
    assert {"incident.json", "report.md", "report.html", "junit.xml", "samples.csv", "logs"} <= set(os.listdir(folder))
    with sqlite3.connect(team / "outputs" / "history.sqlite") as history:
        assert history.execute("select count(*) from run").fetchone() == (1,)


def test_what_is_kept_in_a_repository_is_ignored_by_git_without_init_too(team: Path) -> None:
    assert resilience(team, "assess").returncode == 0
    assert (team / ".resilience" / ".gitignore").read_text() == "*\n"


def test_a_look_by_url_leaves_nothing_behind(tmp_path: Path, staging: SmallStaging) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = resilience(empty, "assess", "--json", "--url", f"http://127.0.0.1:{staging.port}/")
    assert done.returncode == 0, done.stderr
    assert not list(empty.iterdir())


@pytest.mark.parametrize("words", [(), ("services",)])
def test_without_a_verb_the_help_is_shown_as_it_is(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = resilience(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: resilience")
    assert not done.stderr.rstrip().endswith("--help")


def test_a_run_that_only_looked_says_nothing_of_tests_that_passed(team: Path) -> None:
    done = resilience(team, "run", "--no-apply")
    assert done.returncode == 0, done.stderr
    assert "Exit code 0: staging is available" in done.stdout
    assert "passed" not in done.stdout
    folder = team / "outputs" / "latest"
    assert {
        "incident.json",
        "report.html",
        "report.md",
        "junit.xml",
        "samples.csv",
        "charts",
        "notebooks",
        "logs",
    } <= set(os.listdir(folder))
    assert {path.suffix for path in (folder / "charts").iterdir()} == {".png", ".svg"}
    assert not (team / ".env.test.active").exists()


def test_python_names_the_interpreter_of_the_tests_and_of_prepare(team: Path, staging: SmallStaging) -> None:
    (port,) = free_ports(1)
    theirs = team / ".venv" / "bin"
    theirs.mkdir(parents=True)
    (theirs / "python").write_text(f'#!/bin/sh\necho "$0" >> "{team}/ran"\nexec {sys.executable} "$@"\n')
    (theirs / "python").chmod(0o755)
    config = team / "resilience.toml"
    config.write_text(
        config.read_text()
        .replace("[runbook]\n", '[runbook]\npython = ".venv/bin/python"\n')
        .replace(f'"{sys.executable} -m pytest', '"python -m pytest')
        .replace(
            "critical = true\n",
            f'critical = true\nlocal = "http://127.0.0.1:{port}/health"\nprepare = ["python -c pass"]\n',
        )
    )
    staging.status = 503
    assert resilience(team, "apply").returncode == 0
    prepared = (team / "ran").read_text()
    assert prepared == f"{theirs}/python\n"
    resilience(team, "test")
    assert (team / "ran").read_text().startswith(prepared * 2)
    assert resilience(team, "restore").returncode == 0


def test_env_says_which_values_of_the_shell_it_cannot_give_back(team: Path, staging: SmallStaging) -> None:
    (port,) = free_ports(1)
    config = team / "resilience.toml"
    config.write_text(
        config.read_text().replace(
            "critical = true\n",
            f'critical = true\nlocal = "http://127.0.0.1:{port}/"\nexports = {{ API = "{{local}}", MORE = "x" }}\n',
        )
    )
    staging.status = 503
    assert resilience(team, "apply").returncode == 0
    try:
        done = resilience(team, "env", API="https://staging.example")
        assert "values of its own for API; " in done.stderr
        assert f"export API=http://127.0.0.1:{port}/" in done.stdout
        assert resilience(team, "env").stderr == ""
    finally:
        assert resilience(team, "restore").returncode == 0
