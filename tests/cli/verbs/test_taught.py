"""What is taught is listed with its age, verified byte by byte, and deleted with its key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from resilience.runs.configuration import load_settings
from resilience.teach import key
from resilience.teach.store import Store
from tests.kits.typing_in import Type


def teach(team: Path, service: str = "backend_api") -> Store:
    store = Store(load_settings(None).state)
    at = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    manifest = {
        "at": at, "source": "traffic", "exchanges": 7, "tests": {"a::t": 7}, "build": "1.4.2",
        "gaps": ["signed Host header"], "personal": {"e-mail addresses": 2},
    }  # fmt: skip
    with store.lesson():
        store.write(service, manifest, {"recordings.har": b"{}"})
    return store


def test_nothing_is_taught_until_asked(type_in: Type, team: Path) -> None:
    said = type_in("taught")
    assert (said.code, said.out) == (0, "Nothing is taught. While staging is well: resilience test --teach\n")
    assert type_in("taught", "--json").json == {"schema": 1, "taught": []}


def test_it_is_listed_with_age_build_gaps_and_what_of_people_is_in_it(type_in: Type, team: Path) -> None:
    teach(team)
    said = type_in("taught")
    assert said.code == 0
    assert "backend_api taught 3 h ago (1 tests, 7 answers): generation 1 by traffic" in said.out
    assert "build 1.4.2" in said.out
    assert "  gap: signed Host header\n  of people: 2 e-mail addresses\n" in said.out
    (found,) = type_in("taught", "backend_api", "--json").json["taught"]
    assert (found["generation"], found["exchanges"], found["damaged"]) == (1, 7, "")


def test_a_wrong_byte_is_said_and_exits_30(type_in: Type, team: Path) -> None:
    store = teach(team)
    (store.folder / "backend_api" / "0001" / "recordings.har").write_bytes(b"[]")
    teach(team)
    assert type_in("taught").code == 0, "the newest is whole"
    said = type_in("taught", "--verify")
    assert said.code == 30
    assert "damaged: taught/backend_api/0001/recordings.har is not what was written" in said.out


def test_it_is_deleted_with_the_key_where_it_was_the_last(type_in: Type, team: Path) -> None:
    store = teach(team)
    teach(team, "gone_since")
    data = load_settings(None).data
    key.make(data, {})
    assert type_in("taught", "nobody", "--delete").code == 2
    assert "gone_since" in type_in("taught", "gone_since", "--delete").out
    assert key.path_in(data).exists()
    assert store.services() == ("backend_api",)
    assert type_in("taught", "--delete", "--json").json == {"schema": 1, "deleted": ["backend_api"], "data_deleted": []}
    assert not store.folder.exists()
    assert not key.path_in(data).exists()
