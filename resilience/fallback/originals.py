"""Keep a file's original on disk under a second name, and put that very file back in its place."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from resilience.host.files import remove_asides, sync_folder, write_atomically

_PREFIX = "original-"


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoFile:
    """One file as it was before the first change: bytes in base64, permission bits, whether it was there.

    `written` are the digests of what we wrote since; any other content was somebody's edit.
    """

    path: str
    existed: bool
    original: str
    mode: int
    written: tuple[str, ...] = ()
    last: str = ""
    """What we wrote last, in base64, to name the variables that an edit changed."""
    link: str = ""
    """What `path` said where it was a symlink."""
    real: str = ""
    """The file behind that symlink, which is what is written and put back."""
    uid: int = -1
    gid: int = -1
    mtime_ns: int = 0
    links: int = 0
    """Its names on the disk; 0 in the journal of a version that did not note them."""

    def bytes_before(self) -> bytes:
        return base64.b64decode(self.original)

    @property
    def target(self) -> Path:
        """The file that is written and put back: behind the symlink where there is one."""
        return Path(self.real or self.path)


def note(path: Path) -> UndoFile:
    """Return what the file is now."""
    link = os.readlink(path) if path.is_symlink() else ""
    real = os.path.realpath(path) if link else ""
    try:
        data, found = path.read_bytes(), path.stat()
    except FileNotFoundError:
        return UndoFile(path=str(path), existed=False, original="", mode=0o600, link=link, real=real)
    return UndoFile(
        path=str(path),
        existed=True,
        original=base64.b64encode(data).decode(),
        mode=found.st_mode & 0o7777,
        link=link,
        real=real,
        uid=found.st_uid,
        gid=found.st_gid,
        mtime_ns=found.st_mtime_ns,
        links=found.st_nlink,
    )


def places(file: UndoFile, state: Path) -> tuple[Path, Path]:
    """Return where the original may be kept: in the state folder, or beside it where that is another file system."""
    digest = hashlib.sha256(file.path.encode()).hexdigest()[:12]
    return state / f"{_PREFIX}{digest}", file.target.with_name(f".{file.target.name}.{_PREFIX}{digest}")


def keep(file: UndoFile, state: Path) -> None:
    """Give the original a second name, so that the undo is a rename: it needs no room on the disk and keeps all of a file.

    Where the file system knows no second names, a copy beside it takes its room now and not in the undo. What is kept
    already, of an earlier apply that is not undone yet, stays. Raises OSError; then nothing was changed.
    """
    if not file.existed or file.target.read_bytes() != file.bytes_before() or _kept(file, state):
        return
    forget(file, state)
    for place in places(file, state):
        with suppress(OSError):
            os.link(file.target, place)
            sync_folder(place.parent)
            return
    beside = places(file, state)[1]
    try:
        write_atomically(beside, file.bytes_before(), mode=file.mode, owner=(file.uid, file.gid))
        os.utime(beside, ns=(file.mtime_ns, file.mtime_ns))
    except OSError:
        with suppress(FileNotFoundError):
            beside.unlink()
        raise


def put_back(file: UndoFile, state: Path) -> None:
    """Make the file what it was. The kept original is renamed to its place; without it the noted bytes are written.

    They are written, too, where the state folder is on another file system by now, as a container's volume.
    """
    path, target = Path(file.path), file.target
    if not file.existed:
        with suppress(FileNotFoundError):
            target.unlink()
            sync_folder(target.parent)
    elif (kept := _kept(file, state)) and _renamed(kept, target):
        sync_folder(target.parent)
    elif _bytes_of(target) != file.bytes_before():
        write_atomically(target, file.bytes_before(), mode=file.mode, owner=(file.uid, file.gid))
    if file.existed:
        _put_back_attributes(file)
    if file.link and not (path.is_symlink() and os.readlink(path) == file.link):
        path.unlink(missing_ok=True)
        path.symlink_to(file.link)
    remove_asides(target)
    forget(file, state)


def forget(file: UndoFile, state: Path) -> None:
    """Remove the second name of an original that is in its place, or that is none."""
    for place in places(file, state):
        with suppress(FileNotFoundError):
            place.unlink()


def forget_all(state: Path) -> None:
    """Remove what an apply kept in the state folder and that no journal speaks of."""
    for place in state.glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):
            place.unlink()


def is_as_before(file: UndoFile) -> bool:
    """Say whether bytes, permission bits, existence and the symlink are as they were."""
    path = Path(file.path)
    if file.link and not (path.is_symlink() and os.readlink(path) == file.link):
        return False
    if path.exists() != file.existed:
        return False
    return not file.existed or (path.read_bytes() == file.bytes_before() and path.stat().st_mode & 0o7777 == file.mode)


def not_as_before(file: UndoFile) -> tuple[str, ...]:
    """Return what could not be put back beside the bytes: owner, time, hard links."""
    if not file.existed or not file.links:
        return ()
    now = file.target.stat()
    differs = {
        "owner": (now.st_uid, now.st_gid) != (file.uid, file.gid),
        "time of change": now.st_mtime_ns != file.mtime_ns,
        "hard links": now.st_nlink != file.links,
    }
    return tuple(name for name, differ in differs.items() if differ)


def _kept(file: UndoFile, state: Path) -> Path | None:
    """Return the kept original; None where there is none, or where it was changed under another name of the same file."""
    return next((place for place in places(file, state) if _bytes_of(place) == file.bytes_before()), None)


def _renamed(kept: Path, target: Path) -> bool:
    """Bring the kept original to its place, where that is the same file system; say whether it is there."""
    if target.exists() and kept.samefile(target):
        return True
    try:
        os.replace(kept, target)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        return False
    return True


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _put_back_attributes(file: UndoFile) -> None:
    now = file.target.stat()
    if now.st_mode & 0o7777 != file.mode:
        os.chmod(file.target, file.mode)
    if file.links and now.st_mtime_ns != file.mtime_ns:
        with suppress(OSError):
            os.utime(file.target, ns=(file.mtime_ns, file.mtime_ns))
