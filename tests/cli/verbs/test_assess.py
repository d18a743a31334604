"""A look exits by what it found, says it in the first line, and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type, runs

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


def test_a_broken_line_in_a_profile_is_named_before_anything_is_looked_at(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    (team / "config").mkdir()
    (team / "config" / ".env.test.resilient").write_text("A=1\nB 2\n")
    type_in("assess").complains(".env.test.resilient:2")
    assert not staging.asked.is_set()


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
    assert "resilience drill" in said.stderr


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


def test_what_a_url_alone_cannot_do_is_not_proposed(type_in: Type, home: Path, staging: SmallStaging) -> None:
    staging.status = 503
    said = type_in("assess", "--url", f"http://127.0.0.1:{staging.port}/health").out
    assert "Next: resilience init" in said
    assert "TESTS" not in said
    for verb in ("apply", "plan", "resilience test"):
        assert verb not in said


def test_the_last_line_says_the_verdict_again_with_details_as_well(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    staging.status = 503
    for arguments in ([], ["--details"]):
        lines = type_in("assess", *arguments).out.splitlines()
        assert lines[0].startswith("STAGING: DOWN (backend_api: 503)")
        assert lines[-1] == "STAGING: DOWN. TESTS: BLOCKED by infrastructure"
    assert "Why mode" in "\n".join(lines), "details give the reasons"


def test_what_another_host_applied_is_said_to_be_applied_there(type_in: Type, team: Path) -> None:
    noted = {"run": "r", "folder": "f", "host": "elsewhere", "user": "u", "pid": 1, "created": 0.0, "mode": "degraded"}
    file = team / ".resilience" / "state" / "journal.json"
    file.parent.mkdir(parents=True)
    for status, word in (("applied", "applied"), ("applying", "unfinished")):
        file.write_text(json.dumps({**noted, "status": status, "started_at": "2026-11-22T03:14:07Z"}))
        said = " ".join(type_in("assess").out.split())
        assert f"A fallback is {word} on host elsewhere: mode degraded, by u, since " in said
        assert "resilience restore on host elsewhere, where it was applied" in said
        assert "resilience apply" not in said
