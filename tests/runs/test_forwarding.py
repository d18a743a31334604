"""resilience.runs.forwarding: nobody waits for the shared history, and nothing that it was to be told is lost or counted twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from resilience.core.errors import SettingsError
from resilience.core.secret import Secret
from resilience.core.settings import HistorySettings, Settings
from resilience.runs import forwarding, memory, shared
from resilience.runs.shared import SharedHistory
from tests.kits.ports import free_port
from tests.kits.run_kit import settings_of
from tests.kits.small_staging import project
from tests.runs.test_merging import MINUTE, START, run, sample


@pytest.fixture
def url(shared_database):
    with shared_database() as found:
        yield found


def sharing(folder: Path, url: str) -> Settings:
    team = folder / "team"
    return replace(
        settings_of(team if team.exists() else project(team, 1)), history=HistorySettings(shared=Secret(url))
    )


def test_what_a_run_says_is_in_both_histories(tmp_path: Path, url: str) -> None:
    settings = sharing(tmp_path, url)
    assert memory.record(settings, run("one", "a"), [sample(START), sample(START + MINUTE, None)])
    own = memory.history(settings)
    assert own is not None
    with own, SharedHistory(url) as theirs:
        assert theirs.incidents() == own.incidents() != ()
        assert theirs.runs() == own.runs() != ()
    assert not forwarding.folder(settings).exists()


def test_while_it_is_away_the_run_goes_on_and_the_next_one_brings_it(tmp_path: Path, url: str) -> None:
    away = sharing(tmp_path, f"postgresql://nobody:secret-word@127.0.0.1:{free_port()}/x")
    assert memory.record(away, run("one", "a"), [sample(START)])
    assert memory.record(away, run("two", "a", START + MINUTE), [sample(START + MINUTE)])
    done = forwarding.forward(away)
    assert (done.records, done.waiting) == (0, 2)
    assert "secret-word" not in done.why
    assert done.why
    back = sharing(tmp_path, url)
    assert forwarding.forward(back) == forwarding.Forwarded(samples=2, records=2)
    assert forwarding.forward(back) == forwarding.Forwarded()
    with SharedHistory(url) as theirs:
        assert [past.run for past in theirs.runs()] == ["one", "two"]


def test_after_a_failure_a_look_does_not_ask_again_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = sharing(tmp_path, f"postgresql://127.0.0.1:{free_port()}/x")
    asked = []
    real = shared.PostgresDatabase
    monkeypatch.setattr(shared, "PostgresDatabase", lambda *args, **more: (asked.append(1), real(*args, **more))[1])
    for minute in range(3):
        memory.record(settings, run(f"look {minute}", "a"), [sample(START + minute * MINUTE)])
    assert len(asked) == 1
    forwarding.forward(settings)
    assert len(asked) == 2


def test_a_file_that_cannot_be_read_keeps_nothing_from_being_sent(tmp_path: Path, url: str) -> None:
    settings = sharing(tmp_path, url)
    folder = forwarding.folder(settings)
    folder.mkdir(parents=True)
    (folder / "0-1.jsonl").write_text("no record\n")
    memory.record(settings, run("one", "a"), [sample(START)])
    assert [path.name for path in folder.iterdir()] == ["0-1.unread"]
    with SharedHistory(url) as theirs:
        assert len(theirs.runs()) == 1


def test_a_drill_is_not_told(tmp_path: Path, url: str) -> None:
    settings = sharing(tmp_path, url)
    memory.record(settings, replace(run("one", "a"), drill="database-unavailable"), [sample(START, None)])
    with SharedHistory(url) as theirs:
        assert theirs.runs() == ()


def test_one_outage_seen_from_many_hosts_is_one(tmp_path: Path, url: str) -> None:
    for host in "abcde":
        settings = sharing(tmp_path / host, url)
        memory.record(settings, run("look", host), [sample(START + MINUTE * ord(host), None)])
    with SharedHistory(url) as theirs:
        (found,) = theirs.incidents()
        assert (found.opened_at, found.runs) == (START + MINUTE * ord("a"), 5)


@pytest.mark.parametrize("key", ["url", "local"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_the_database_that_is_judged_never_keeps_its_own_history(
    tmp_path: Path, key: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = project(tmp_path / "team", 1)
    port = free_port()
    (team / "resilience.toml").write_text(
        f'[[service]]\nname = "db"\ntype = "postgresql"\nurl = "postgresql://u@127.0.0.1:{port}/x"\n'
        f'local = "postgresql://u@127.0.0.1:{port + 1}/x"\n'
    )
    wrong = port if key == "url" else port + 1
    monkeypatch.setenv("RESILIENCE_HISTORY", f"postgresql://u:pass-word@{host}:{wrong}/history")
    with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{wrong}, the address of the service db") as refused:
        settings_of(team)
    assert "pass-word" not in str(refused.value)
    monkeypatch.setenv("RESILIENCE_HISTORY", f"postgresql://u:pass-word@{host}:{port + 2}/history")
    settings = settings_of(team)
    assert str(port + 2) in settings.history.shared.reveal()
    assert "pass-word" in [secret.reveal() for secret in settings.secrets]


@pytest.mark.parametrize("value", ["mysql://127.0.0.1/x", "history.sqlite", "postgresql://"])
def test_what_is_no_url_of_a_postgresql_is_refused(tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESILIENCE_HISTORY", value)
    with pytest.raises(SettingsError, match="RESILIENCE_HISTORY"):
        settings_of(project(tmp_path / "team", 1))


_WRITER = """
import sys
from datetime import timedelta
from pathlib import Path
from tests.runs.test_forwarding import sharing
from tests.runs.test_merging import START, run, sample
from resilience.runs import memory

host, url, folder, count = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
settings = sharing(folder, url)
for number in range(count):
    at = START + timedelta(seconds=number)
    incident = run(f"run {number}", host, at)
    memory.record(settings, incident, [sample(at + timedelta(milliseconds=n), None if n % 7 == 0 else 0.01) for n in range(20)])
    print(number, flush=True)
"""


def test_writers_that_are_killed_lose_nothing_they_said_was_kept_and_nothing_counts_twice(
    tmp_path: Path, url: str
) -> None:
    """Four hosts at once, each killed at a moment of its own and begun anew, until it has said all."""
    hosts = {}
    for host in "abcd":
        (tmp_path / host).mkdir()
        hosts[host] = 0
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    for kill_after in (3, None):
        children = {
            host: subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(_WRITER), host, url, str(tmp_path / host), "12"],
                stdout=subprocess.PIPE, text=True, env=environment,
            )
            for host in hosts
        }  # fmt: skip
        for number, child in enumerate(children.values()):
            assert child.stdout is not None
            if kill_after is None:
                continue
            for _ in range(kill_after + number):
                child.stdout.readline()
            child.send_signal(signal.SIGKILL)
        for host, child in children.items():
            child.communicate(timeout=60)
            hosts[host] = child.returncode
    assert hosts == dict.fromkeys("abcd", 0)
    for host in hosts:
        forwarding.forward(sharing(tmp_path / host, url))
    with SharedHistory(url) as theirs:
        assert theirs.db.execute("SELECT count(*) FROM run").fetchone()[0] == 4 * 12
        assert theirs.db.execute("SELECT count(*) FROM sample").fetchone()[0] == 4 * 12 * 20
        (day,) = theirs.days("staging", until=START + timedelta(hours=1))
        assert day.samples == 4 * 12 * 20
