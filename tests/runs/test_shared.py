"""resilience.runs.shared: a history in PostgreSQL answers as a file does, whoever may only write makes no tables."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import date

import asyncpg
import pytest

from resilience.core.period import period_of
from resilience.runs import shared
from resilience.runs.history import History, HistoryError
from resilience.runs.shared import SharedHistory
from resilience.runs.trends import read_trends
from tests.kits import incident_factory as factory
from tests.kits.ports import free_port
from tests.runs.test_merging import MINUTE, START, run, sample

ALL = period_of("all", "", today=date(2026, 12, 31))


@pytest.fixture
def url(shared_database):
    with shared_database() as found:
        yield found


def test_trends_are_those_of_a_file_with_the_same_records(tmp_path, url: str) -> None:
    stories = [factory.drill(), factory.night(), factory.green()]
    with History(tmp_path / "history.sqlite") as own, SharedHistory(url) as theirs:
        for story in stories:
            for kept in (own, theirs):
                kept.record(story.samples, story.incident)
        ours, found = read_trends(own, "staging", ALL), read_trends(theirs, "staging", ALL)
        assert found.services() == ours.services() != ()
        assert found.chart_days() == ours.chart_days() != ()
        assert found.incidents == ours.incidents != ()
        assert (found.tests, found.runs) == (ours.tests, ours.runs)
        for incident in own.incidents():
            assert theirs.incident_runs(incident.id) == own.incident_runs(incident.id)
            assert theirs.bad_services(incident.id) == own.bad_services(incident.id)
            assert list(theirs.incident_samples(incident.id)) == list(own.incident_samples(incident.id))


def test_old_samples_go_as_in_a_file_and_figures_stay(tmp_path, url: str) -> None:
    with History(tmp_path / "history.sqlite") as own, SharedHistory(url) as theirs:
        gone = []
        for kept in (own, theirs):
            kept.record([sample(START, None), sample(START + MINUTE, None)], run("bad", "a"))
            kept.record([sample(START + 100 * MINUTE)], run("later", "a", START + 100 * MINUTE))
            gone.append([kept.prune(days, now=START + days * 1441 * MINUTE) for days in (1, 2, 30)])
        assert gone[0] == gone[1]
        assert read_trends(own, "staging", ALL).services() == read_trends(theirs, "staging", ALL).services()


def test_a_server_that_is_mute_costs_its_time_out_once_and_leaves_no_thread() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        with pytest.raises(HistoryError) as refused:
            SharedHistory(f"postgresql://u:pass-word@127.0.0.1:{mute.getsockname()[1]}/x", connect_s=0.2)
        assert time.monotonic() - began < 5
    assert "pass-word" not in str(refused.value)
    assert "shared history" not in {thread.name for thread in threading.enumerate()}


def test_a_refused_connection_and_a_wrong_password_are_said_without_it(shared_server) -> None:
    for url in (
        f"postgresql://u:pass-word@127.0.0.1:{free_port()}/x",
        shared_server.url().replace("p%23ss", "pass-word"),
        "postgresql://u:pass-word@127.0.0.1:nonsense/x",
    ):
        with pytest.raises(HistoryError) as refused:
            SharedHistory(url)
        assert "pass-word" not in str(refused.value)


def test_what_failed_half_way_leaves_nothing_of_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with SharedHistory(url) as theirs:
        monkeypatch.setattr(theirs, "_reached", lambda *_: theirs.db.execute("SELECT 1 / 0"))
        with pytest.raises(HistoryError, match="division by zero"):
            theirs.record([sample(START)], run("one", "a"))
        monkeypatch.undo()
        assert theirs.runs() == ()
        assert theirs.record([sample(START)], run("one", "a")) == 1


def test_a_role_with_few_rights_writes_and_reads_what_its_owner_made(shared_server, url: str) -> None:
    SharedHistory(url).close()

    async def grant() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(shared.ROLE.replace("'…'", "'few'"))
        await connection.close()

    asyncio.run(grant())
    few = url.replace("tester:p%23ss", "resilience:few")
    with SharedHistory(few) as theirs:
        assert theirs.record([sample(START)], run("one", "a")) == 1
        assert len(theirs.runs()) == 1
        with pytest.raises(HistoryError, match="must be owner"):
            theirs.db.execute("DROP TABLE sample")


def test_a_newer_version_is_refused_and_left_alone(url: str) -> None:
    with SharedHistory(url) as theirs:
        theirs.db.execute("UPDATE version SET version = 99")
    with pytest.raises(HistoryError, match="newer version"):
        SharedHistory(url)
