"""What is needed to undo is on disk before the first change, and what cannot be read is said."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from resilience.core.errors import EditedError, LockedError, RecordError
from resilience.fallback import journal
from resilience.fallback.journal import Journal, Origin
from resilience.host.vantage import vantage
from tests.kits.fallback_kit import apply_values, put_back
from tests.kits.records import config


def begin(state: Path, *paths: Path, run: str = "run-1", **more: object) -> Journal:
    return journal.begin(state, Origin(run=run, **more), mode="degraded", paths=paths, names=("A",))  # type: ignore[arg-type]


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    file = tmp_path / "active"
    file.write_bytes(b"MINE=1\n")
    file.chmod(0o640)
    return file


def test_the_original_is_on_disk_before_anything_is_written_and_only_its_owner_may_read_it(
    tmp_path: Path, env_file: Path
) -> None:
    begin(tmp_path / "state", env_file)
    stored = journal.load(tmp_path / "state")
    assert stored is not None
    [file] = stored.files
    assert (file.path, file.existed, file.bytes_before(), file.mode) == (str(env_file), True, b"MINE=1\n", 0o640)
    assert (tmp_path / "state" / journal.FILE).stat().st_mode & 0o777 == 0o600
    assert env_file.read_bytes() == b"MINE=1\n"


def test_the_digest_of_new_bytes_is_on_disk_before_the_bytes_are(tmp_path: Path, env_file: Path) -> None:
    state = tmp_path / "state"
    seen: list[tuple[str, bytes, int]] = []

    def look(what: str) -> None:
        stored = journal.load(state)
        assert stored is not None
        seen.append((what, env_file.read_bytes(), len(stored.files[0].written)))

    journal.write(state, begin(state, env_file), env_file, b"A=1\n", on_step=look)
    assert seen == [("about to write active", b"MINE=1\n", 1), ("wrote active", b"A=1\n", 1)]
    assert env_file.stat().st_mode & 0o777 == 0o640


def test_a_second_apply_keeps_the_first_original_and_what_the_first_knew(tmp_path: Path, env_file: Path) -> None:
    state = tmp_path / "state"
    first = journal.step(state, begin(state, env_file, endpoints={"db": "db:1"}), "up", stand_ins=("redis",))
    journal.write(state, first, env_file, b"A=1\n")
    second = begin(state, env_file, tmp_path / "second", run="run-2")
    assert [file.bytes_before() for file in second.files] == [b"MINE=1\n", b""]
    assert [file.existed for file in second.files] == [True, False]
    assert (second.run, second.started_at) == ("run-2", first.started_at)
    assert (second.stand_ins, dict(second.endpoints)) == (("redis",), {"db": "db:1"})


def test_an_edit_is_named_by_its_variables_and_its_values_are_not_shown(tmp_path: Path, env_file: Path) -> None:
    state = tmp_path / "state"
    written = journal.write(state, begin(state, env_file), env_file, b"A=1\nTOKEN=applied-value\n")
    journal.check_unedited(written)
    env_file.write_bytes(b"A=1\nTOKEN=edited-value\n")
    with pytest.raises(EditedError, match="changed: TOKEN; values masked") as caught:
        journal.check_unedited(written)
    assert "edited-value" not in str(caught.value)
    env_file.write_bytes(b"A=1\nTOKEN=applied-value\n# a word\n")
    with pytest.raises(EditedError, match="comments or order"):
        journal.check_unedited(written)
    env_file.unlink()
    with pytest.raises(EditedError, match="was deleted after apply"):
        journal.check_unedited(written)
    env_file.write_bytes(b"MINE=1\n")
    journal.check_unedited(written)


def test_files_are_put_back_by_bytes_bits_and_existence(tmp_path: Path, env_file: Path) -> None:
    state, new = tmp_path / "state", tmp_path / "new"
    noted = begin(state, env_file, new)
    for path in (env_file, new):
        noted = journal.write(state, noted, path, b"A=1\n")
    env_file.chmod(0o600)
    assert not journal.identical(noted)
    restored, kept = journal.restore_files(state, noted)
    assert (restored, kept) == ((str(env_file), str(new)), ())
    assert journal.identical(noted)
    assert (env_file.read_bytes(), env_file.stat().st_mode & 0o777, new.exists()) == (b"MINE=1\n", 0o640, False)
    journal.close(state)
    journal.close(state)
    assert journal.load(state) is None


def test_the_variables_of_before_are_those_of_the_original_also_after_applying(tmp_path: Path, env_file: Path) -> None:
    state = tmp_path / "state"
    assert journal.variables_before(state, env_file) == {"MINE": "1"}
    noted = journal.write(state, begin(state, env_file), env_file, b"A=1\n")
    assert journal.variables_before(state, env_file) == {"MINE": "1"}
    assert set(journal.variables_noted(noted)) == {("MINE", "1"), ("A", "1")}
    assert base64.b64decode(noted.files[0].last) == b"A=1\n"


def test_a_journal_is_unfinished_when_its_process_is_gone_before_it_was_applied(tmp_path: Path, env_file: Path) -> None:
    mine = begin(tmp_path / "state", env_file)
    assert (mine.pid, mine.host) == (os.getpid(), vantage().host)
    assert abs(mine.created - psutil.Process().create_time()) < 1
    assert not mine.unfinished
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    assert replace(mine, pid=gone.pid).unfinished
    assert replace(mine, created=mine.created - 100).unfinished, "a recycled pid is another process"
    assert replace(mine, host="elsewhere").unfinished
    assert not replace(mine, pid=gone.pid, status="applied").unfinished


def test_only_the_host_that_applied_may_change_what_is_applied(tmp_path: Path, env_file: Path) -> None:
    state = tmp_path / "state"
    journal.step(state, begin(state, env_file), "elsewhere", host="elsewhere")
    with pytest.raises(LockedError, match="on host elsewhere") as caught:
        begin(state, env_file)
    assert "on elsewhere: resilience restore" in caught.value.hint


def test_a_broken_journal_is_named_not_ignored(tmp_path: Path) -> None:
    settings = config(tmp_path)
    apply_values(settings, {"A": "1"})
    file = settings.state / "journal.json"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(RecordError, match=r"journal\.json") as caught:
        put_back(settings)
    assert "by hand" in caught.value.hint
