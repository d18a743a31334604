"""The undo puts the very file back: symlinks, hard links, owner, mode and time stay, and no new block is needed."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resilience.core.errors import EditedError
from resilience.fallback import journal, originals
from tests.kits.fallback_kit import apply_values, put_back
from tests.kits.records import config

MINE = b"# mine\nMINE=1\n" + b"# a longer file than what is applied\n" * 400


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    env = tmp_path / "config" / ".env.test.active"
    env.write_bytes(MINE)
    env.chmod(0o640)
    os.utime(env, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    return tmp_path


def test_the_very_file_comes_back_with_its_owner_time_and_bits(checkout: Path) -> None:
    settings = config(checkout)
    if os.geteuid() == 0:
        os.chown(settings.env_file, 12345, 23456)
    before = settings.env_file.stat()
    apply_values(settings, {"A": "1"})
    applied = settings.env_file.stat()
    assert (applied.st_uid, applied.st_gid) == (before.st_uid, before.st_gid), "who could read it can read it"
    restored = put_back(settings)
    after = settings.env_file.stat()
    assert restored.identical
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (before.st_ino, before.st_mtime_ns, before.st_mode)
    assert (after.st_uid, after.st_gid, after.st_nlink) == (before.st_uid, before.st_gid, 1)
    assert not any("as before" in step for step in restored.steps)


def test_a_symlinked_file_is_written_and_restored_behind_its_link(checkout: Path) -> None:
    settings = config(checkout)
    shared = checkout / "shared.env"
    settings.env_file.rename(shared)
    settings.env_file.symlink_to("../shared.env")
    apply_values(settings, {"A": "1"})
    assert settings.env_file.is_symlink()
    assert b"A=" in shared.read_bytes()
    assert put_back(settings).identical
    assert os.readlink(settings.env_file) == "../shared.env"
    assert shared.read_bytes() == MINE


def test_a_link_that_leads_nowhere_still_does_after_the_undo(checkout: Path) -> None:
    settings = config(checkout)
    settings.env_file.unlink()
    settings.env_file.symlink_to("../later.env")
    apply_values(settings, {"A": "1"})
    assert (checkout / "later.env").exists()
    assert put_back(settings).identical
    assert os.readlink(settings.env_file) == "../later.env"
    assert not (checkout / "later.env").exists()


def test_a_link_that_became_a_file_is_an_edit_and_force_makes_it_a_link_again(checkout: Path) -> None:
    settings = config(checkout)
    shared = checkout / "shared.env"
    settings.env_file.rename(shared)
    settings.env_file.symlink_to("../shared.env")
    apply_values(settings, {"A": "1"})
    data = settings.env_file.read_bytes()
    settings.env_file.unlink()
    settings.env_file.write_bytes(data)
    with pytest.raises(EditedError, match="link"):
        put_back(settings)
    assert put_back(settings, force=True).identical
    assert os.readlink(settings.env_file) == "../shared.env"
    assert shared.read_bytes() == MINE


def test_a_hard_link_is_one_again(checkout: Path) -> None:
    settings = config(checkout)
    other = checkout / "other-name"
    other.hardlink_to(settings.env_file)
    apply_values(settings, {"A": "1"})
    assert other.read_bytes() == MINE, "only the name that was asked for is written"
    apply_values(settings, {"A": "2"})
    assert put_back(settings).identical
    assert other.samefile(settings.env_file)
    assert other.stat().st_nlink == 2


def test_a_file_edited_under_its_other_name_meanwhile_is_put_back_from_the_bytes_and_said(checkout: Path) -> None:
    settings = config(checkout)
    other = checkout / "other-name"
    other.hardlink_to(settings.env_file)
    apply_values(settings, {"A": "1"})
    other.write_bytes(b"EDITED=1\n")
    restored = put_back(settings)
    assert settings.env_file.read_bytes() == MINE
    assert other.read_bytes() == b"EDITED=1\n"
    assert any("hard links" in step for step in restored.steps)
    assert {path.name for path in settings.state.iterdir()} <= {"lock"}


def test_a_state_folder_that_is_on_another_file_system_by_now_is_no_obstacle(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where apply ran on the host and restore runs in a container, in which the state folder is a volume."""
    settings = config(checkout)
    before = settings.env_file.stat()
    apply_values(settings, {"A": "1"})
    replace = os.replace

    def between_volumes(source: Path | str, target: Path | str) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        replace(source, target)

    monkeypatch.setattr(os, "replace", between_volumes)
    assert put_back(settings).identical
    assert settings.env_file.read_bytes() == MINE
    assert settings.env_file.stat().st_mtime_ns == before.st_mtime_ns
    assert {path.name for path in settings.state.iterdir()} <= {"lock"}


def test_where_no_second_name_can_be_made_a_copy_is_kept_and_what_is_lost_is_said(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(checkout)
    (checkout / "other-name").hardlink_to(settings.env_file)
    before = settings.env_file.stat()

    def refused(*_: object, **__: object) -> None:
        raise PermissionError("no hard links on this file system")

    monkeypatch.setattr(os, "link", refused)
    apply_values(settings, {"A": "1"})
    restored = put_back(settings)
    after = settings.env_file.stat()
    assert restored.identical
    assert (after.st_mtime_ns, after.st_mode, after.st_uid) == (before.st_mtime_ns, before.st_mode, before.st_uid)
    assert any("hard links" in step for step in restored.steps)
    assert sorted(path.name for path in settings.env_file.parent.iterdir()) == [settings.env_file.name]


FULL = """
import resource, signal, sys
from pathlib import Path
from tests.kits.fallback_kit import put_back
from tests.kits.records import config

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
assert put_back(config(Path(sys.argv[1]))).identical
"""


def test_the_undo_needs_no_room_on_the_disk(checkout: Path) -> None:
    settings = config(checkout, env_target=checkout / ".env")
    settings.env_file.write_bytes(MINE)
    apply_values(settings, {"A": "1"})
    done = subprocess.run([sys.executable, "-c", FULL, str(checkout)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert settings.env_file.read_bytes() == MINE
    assert journal.load(settings.state) is None


def test_an_apply_that_meets_a_full_disk_leaves_the_files_as_before(checkout: Path) -> None:
    settings = config(checkout, env_target=checkout / ".env")
    before = settings.env_file.stat()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    was = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    ended = []
    try:
        for room in (0, 10, 2_000, 19_000, 20_500, 24_000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
            try:
                apply_values(settings, {f"NAME_{number}": "x" * 40 for number in range(30)})
            except OSError:
                ended.append(room)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            if room in ended:
                assert settings.env_file.stat().st_ino == before.st_ino
                assert settings.env_file.read_bytes() == MINE
                assert not (checkout / ".env").exists()
                assert journal.load(settings.state) is None
    finally:
        signal.signal(signal.SIGXFSZ, was)
    assert ended[:3] == [0, 10, 2_000]


def test_an_original_of_a_dead_apply_is_no_original_of_the_next(checkout: Path) -> None:
    settings = config(checkout)
    settings.state.mkdir(parents=True)
    noted = originals.note(settings.env_file)
    stale = originals.places(noted, settings.state)[0]
    stale.write_bytes(b"OLD=1\n")
    apply_values(settings, {"A": "1"})
    assert put_back(settings).identical
    assert settings.env_file.read_bytes() == MINE
