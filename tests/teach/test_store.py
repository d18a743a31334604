"""A generation is whole or not there, and a changed byte is never served."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resilience.core.errors import LockedError
from resilience.core.taught import Fidelity
from resilience.teach.store import Generation, Store, StoreError, rehearsal_of, taught_of

AT = datetime(2026, 11, 25, 3, tzinfo=UTC)
FILES = {"recordings.har": b'{"log": {}}', "blobs/ab": b"\x00\x01"}


def manifest(**more: Any) -> dict[str, Any]:
    return {"at": AT.isoformat(), "source": "traffic", "exchanges": 2, "tests": {"a::t": 2}, **more}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "state")
    with store.lesson():
        yield store


def test_what_was_written_is_read_back_and_is_its_owners_alone(store: Store) -> None:
    written = store.write("api", manifest(), FILES)
    (found,) = store.current("api")
    assert (found.number, found.problem, found.read("blobs/ab")) == (1, "", b"\x00\x01")
    assert written.folder == found.folder
    for path in (store.folder, *store.folder.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("name", ["manifest.json", "recordings.har", "blobs/ab"])
def test_one_wrong_byte_anywhere_makes_a_generation_unusable(store: Store, name: str) -> None:
    folder = store.write("api", manifest(), FILES).folder
    good = (folder / name).read_bytes()
    for at in range(len(good)):
        (folder / name).write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        found = store.current("api")
        assert all(one.problem for one in found), f"byte {at} of {name}"
    (folder / name).write_bytes(good)
    assert [one.problem for one in store.current("api")] == [""]


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda folder: (folder / "blobs/ab").unlink(), "blobs/ab is missing"),
        (lambda folder: (folder / "blobs/more").write_bytes(b""), "was not written by a lesson"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "cannot be believed"),
        (lambda folder: folder.rename(folder.parent.parent / "other" / folder.name), ""),
    ],
    ids=["a file less", "a file more", "no manifest", "another manifest", "moved to another service"],
)
def test_what_is_not_whole_says_so(store: Store, break_it: Any, said: str) -> None:
    (store.folder / "other").mkdir()
    break_it(store.write("api", manifest(), FILES).folder)
    if said:
        (found,) = taught_of(store, "api")
        assert said in found.damaged
    else:
        (found,) = taught_of(store, "other")
        assert "it is of api" in found.damaged


def test_a_manifest_of_another_format_is_not_believed(store: Store) -> None:
    folder = store.write("api", manifest(), FILES).folder
    told = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_text(json.dumps({**told, "format": 2}))
    assert "not what was written" in store.generations("api")[0].problem


def test_a_full_disk_leaves_the_generation_before(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("api", manifest(), FILES)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device; the generation before stands"):
        store.write("api", manifest(exchanges=3), FILES)
    monkeypatch.undo()
    assert [one.manifest["exchanges"] for one in store.current("api")] == [2]
    assert [path.name for path in (store.folder / "api").iterdir()] == ["0001"]


def test_a_lesson_that_was_killed_while_it_wrote_leaves_the_generation_before(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    with store.lesson():
        store.write("api", manifest(), FILES)
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(f"""
            import os, signal
            from pathlib import Path
            from resilience.teach import store
            def dies(folder): os.kill(os.getpid(), signal.SIGKILL)
            store.sync_folder = dies
            kept = store.Store(Path({str(tmp_path / "state")!r}))
            with kept.lesson():
                kept.write("api", {manifest(exchanges=9)!r}, {FILES!r})
        """)],
        check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert len(list((store.folder / "api").iterdir())) == 2, "what it wrote stands aside"
    assert [one.manifest["exchanges"] for one in store.current("api")] == [2]
    with store.lesson():
        assert [path.name for path in (store.folder / "api").iterdir()] == ["0001"]


def test_two_lessons_never_run_at_once(store: Store) -> None:
    with pytest.raises(LockedError, match="another lesson"), store.lesson():
        pass


def test_a_new_lesson_replaces_the_one_before_of_its_source_and_the_last_three_are_kept(store: Store) -> None:
    for number in range(5):
        store.write("api", manifest(exchanges=number), FILES)
    store.write("api", manifest(source="routes", exchanges=50), FILES)
    assert [one.number for one in store.generations("api")] == [3, 4, 5, 6]
    assert sorted(one.manifest["exchanges"] for one in store.current("api")) == [4, 50]
    told = taught_of(store, "api")
    assert [(one.generation, one.current) for one in told] == [(6, True), (5, True), (4, False), (3, False)]


def test_what_is_too_old_is_deleted(store: Store) -> None:
    store.write("api", manifest(), FILES)
    store.prune("api", now=AT + timedelta(days=29), delete_after_days=30)
    assert len(store.generations("api")) == 1
    store.prune("api", now=AT + timedelta(days=31), delete_after_days=30)
    assert store.generations("api") == ()


def test_a_failed_lesson_is_said_beside_the_old_generation_until_the_next_good_one(store: Store) -> None:
    store.mark_stale("api", "nothing was there yet")
    assert store.stale("api") == ""
    store.write("api", manifest(), FILES)
    store.mark_stale("api", "staging turned bad in the middle")
    assert taught_of(store, "api")[0].stale == "staging turned bad in the middle"
    store.write("api", manifest(), FILES)
    assert [one.stale for one in taught_of(store, "api")] == ["", ""]


def test_a_rehearsal_is_of_the_generation_it_was_on_and_of_no_other(store: Store) -> None:
    generation = store.write("api", manifest(), FILES)
    fidelity = Fidelity(at=AT, same=19, ran=20, gaps=1)
    store.note_fidelity(generation, fidelity, ("a::t",))
    (found,) = store.current("api")
    assert rehearsal_of(found) == (fidelity, {"a::t"})
    assert found.problem == "", "what is written beside it changes none of its bytes"
    other = store.write("api", manifest(exchanges=3), FILES)
    (other.folder / "rehearsal.json").write_bytes((found.folder / "rehearsal.json").read_bytes())
    assert rehearsal_of(other) == (None, frozenset())
    assert rehearsal_of(Generation(folder=found.folder / "nowhere", manifest={})) == (None, frozenset())


def test_all_is_deleted_or_what_one_service_taught(store: Store) -> None:
    for name in ("api", "auth"):
        store.write(name, manifest(), FILES)
    assert store.delete("api") == ("api",)
    assert store.services() == ("auth",)
    assert store.delete() == ("auth",)
    assert not store.folder.exists()
