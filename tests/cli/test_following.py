"""resilience.cli.following: one watch behind two verbs, which on a terminal shows the services below what changed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.host.lock import locked
from tests.kits.run_kit import change, settings_of
from tests.kits.servers.receiver import Receiver
from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type

ONE_LOOK = "[watch]\nconfirm_s = 0.01\ninterval_s = 0.01\n"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def lines_of(folder: Path, *words: str, until: str) -> list[str]:
    """Return what a verb prints up to the line that holds `until`, and what it said on stderr; it is then stopped."""
    verb = subprocess.Popen(
        [sys.executable, "-u", "-m", "resilience.cli", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    found: list[str] = []
    try:
        assert verb.stdout is not None
        while not found or until not in found[-1]:
            found.append(verb.stdout.readline())
            assert found[-1], "it ended before"
    finally:
        verb.send_signal(signal.SIGINT)
        _, err = verb.communicate(timeout=20)
    assert verb.returncode == 130, err
    return [*found, err]


def test_assess_watch_and_watch_are_one_and_tell_an_outage_once(
    type_in: Type, team: Path, staging: SmallStaging, receiver: Receiver
) -> None:
    """What the one has told the other does not tell again: their state is the same."""
    change(team, "[runbook]\n", f'[alerts]\nwebhook_url = "{receiver.url}/hook"\n{ONE_LOOK}\n[runbook]\n')
    staging.status = 503
    *lines, _ = lines_of(team, "assess", "--watch", "0.01", until="OPENED")
    assert [line.split(" ", 2)[2].split(":")[0] for line in lines] == ["STAGING", "backend_api", "OPENED"]
    assert "OPENED" not in type_in("watch", "--rounds", "3").out
    assert [one["kind"] for one in receiver.bodies] == ["opened"]


def test_beside_another_watch_it_prints_only(team: Path, staging: SmallStaging, receiver: Receiver) -> None:
    change(team, "[runbook]\n", f'[alerts]\nwebhook_url = "{receiver.url}/hook"\n{ONE_LOOK}\n[runbook]\n')
    staging.status = 503
    with locked(settings_of(team).state / "watch", "watch"):
        *lines, err = lines_of(team, "assess", "--watch", "0.01", until="OPENED")
    assert "backend_api: unknown → down" in "".join(lines)
    assert "Another watch runs here" in err
    assert receiver.bodies == []


def test_a_url_alone_is_watched_and_leaves_nothing_behind(tmp_path: Path, staging: SmallStaging) -> None:
    staging.status = 503
    url = f"http://127.0.0.1:{staging.port}/health"
    *lines, _ = lines_of(tmp_path, "assess", "--url", url, "--watch", "0.01", until="OPENED")
    assert "GIVEN BY URL: DOWN" in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_shows_how_each_service_is_and_when_that_was_seen(
    team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(team, "[runbook]\n", ONE_LOOK + "\n[runbook]\n")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "resilience.cli", "watch", "--rounds", "2"]
    with subprocess.Popen(command, cwd=team, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs) as verb:
        os.close(theirs)
        said = b""
        while piece := read(ours):
            said += piece
    os.close(ours)
    assert verb.returncode == 0, said
    assert re.search(rb"last look \d\d:\d\d:\d\d UTC", said)
    assert b"available" in said


def read(terminal: int) -> bytes:
    """Return what was written to a terminal; nothing at its end, which Linux tells as an error."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""
