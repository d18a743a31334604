"""`resilience judge`: events on stdin become what the tests came to and what to run again; nothing is run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.kits.light_kit import CONFIG, Backend


@pytest.fixture
def team(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path


def lines(port: int) -> str:
    session = {"s": "1.a"}
    chain = [{"type": "ConnectionRefusedError", "mro": ["ConnectionRefusedError", "ConnectionError", "OSError"], "via": "root",
              "of": -1, "text": "refused", "errno": 111, "addresses": [["127.0.0.1", port]]}]  # fmt: skip
    now = time.time()
    events: list[dict[str, Any]] = [
        {"k": "start", "at": now, "root": "/team", "key": "k", "pytest": "9", "python": "3.11"},
        {"k": "ids", "first": 0, "ids": ["t.py::test_a", "t.py::test_b"]},
        {"k": "collected", "at": now, "n": 2, "marked": {}},
        {"k": "b", "i": 0, "l": 1},
        {"k": "fail", "at": now, "id": 0, "text": "refused", "when": "call", "d": 0.01, "chain": chain,
         "spoke": [["127.0.0.1", port]]},
        {"k": "t", "i": 0, "o": "failed", "d": 0.01},
        {"k": "b", "i": 1, "l": 2},
        {"k": "t", "i": 1, "o": "passed", "d": 0.01},
        {"k": "finish", "at": now, "exit": 1},
    ]  # fmt: skip
    return "".join(json.dumps({**event, **session}) + "\n" for event in events)


def judge(team: Path, given: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "resilience.cli", "judge"]
    return subprocess.run(words, cwd=team, input=given, capture_output=True, text=True, timeout=60, check=False)


def test_events_come_back_as_outcomes_with_what_to_run_again_and_what_that_needs(team: Path) -> None:
    backend = Backend()
    (team / "resilience.toml").write_text(CONFIG.format(url=backend.url))
    done = judge(team, lines(backend.port))
    said = json.loads(done.stdout)
    assert {test["id"]: test["outcome"] for test in said["tests"]}["t.py::test_b"] == "passed"
    assert {test["id"]: test["outcome"] for test in said["tests"]}["t.py::test_a"] in (
        "infrastructure_unavailable",
        "undecided",
    )
    assert said["again"] == ["t.py::test_a"]
    assert said["needs"] == ["backend_api"]
    assert said["lines"][0].startswith("STAGING: DOWN")
    assert done.returncode == said["exit_code"] == 20


@pytest.mark.parametrize("given", ["", "\n\n"])
def test_no_events_are_refused_with_what_to_type(team: Path, given: str) -> None:
    (team / "resilience.toml").write_text(CONFIG.format(url="http://127.0.0.1:1"))
    done = judge(team, given)
    assert done.returncode == 2
    assert "resilience judge < events.jsonl" in done.stderr


def test_followed_by_nobody_who_speaks_its_words_it_says_so(team: Path) -> None:
    (team / "resilience.toml").write_text(CONFIG.format(url="http://127.0.0.1:1"))
    words = [sys.executable, "-m", "resilience.cli", "judge", "--follow"]
    done = subprocess.run(words, cwd=team, input="hello\n", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_pytest_that_is_gone_ends_it_without_a_word(team: Path, tmp_path: Path) -> None:
    (team / "resilience.toml").write_text(CONFIG.format(url="http://127.0.0.1:1"))
    folder = tmp_path / "exchange"
    folder.mkdir()
    (folder / "events.jsonl").touch()
    first = json.dumps({"folder": str(folder), "run": "r", "key": "k", "command": "pytest"}) + "\n"
    words = [sys.executable, "-m", "resilience.cli", "judge", "--follow"]
    done = subprocess.run(words, cwd=team, input=first, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
