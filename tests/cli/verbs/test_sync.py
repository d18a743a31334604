"""What waits for the shared history is sent by hand as well, and whoever shares nothing is told how."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kits.ports import free_port
from tests.kits.servers.postgres import Postgres
from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type


def test_without_a_shared_history_there_is_nothing_to_send(type_in: Type, team: Path) -> None:
    type_in("sync").complains("no history is shared", "RESILIENCE_HISTORY=")


def test_what_waited_for_the_shared_history_is_sent_and_read_there(
    type_in: Type, team: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESILIENCE_HISTORY", f"postgresql://tester:p%23ss@127.0.0.1:{free_port()}/postgres")
    assert type_in("assess").code == 0
    told = type_in("sync")
    assert told.code == 30
    assert "0 records sent" in told.out
    assert "1 wait: " in told.out
    assert type_in("history").err.startswith("Of this checkout alone: ")
    server = Postgres()
    try:
        monkeypatch.setenv("RESILIENCE_HISTORY", server.create().start().url())
        assert type_in("sync").out == "shared history: 1 record sent, 1 sample new; nothing waits\n"
        assert type_in("assess").code == 0
        assert type_in("sync", "--json").json["history"]["waiting"] == 0
        told = type_in("history", "--json")
        assert told.err == ""
        assert told.json["services"][0]["samples"] == 2
    finally:
        server.remove()


def test_a_run_whose_store_was_down_is_brought_by_sync(
    type_in: Type, team: Path, staging: SmallStaging, tmp_path: Path
) -> None:
    pytest.importorskip("fsspec")
    store = tmp_path / "store"
    store.write_text("in the way")
    told = type_in("run", "--no-apply", "--out", f"file://{store}")
    assert "not uploaded yet" in told.err
    assert told.out.splitlines()[-1].endswith("report.html")
    assert Path(told.out.splitlines()[-1]).exists()
    assert type_in("sync").code == 30
    store.unlink()
    told = type_in("sync")
    assert told.code == 0
    assert told.out.startswith(f"uploaded: file://{store}/")
    assert len(list(store.rglob("manifest.json"))) == 1
