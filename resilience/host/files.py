"""Write files so that a crash leaves the old one or the new one, never half."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from resilience.core.envtext import read_env_text

if TYPE_CHECKING:
    import psutil


def write_atomically(
    path: Path, data: bytes, *, mode: int | None = None, owner: tuple[int, int] | None = None, durable: bool = True
) -> None:
    """Write aside, fsync, rename. `mode`: permission bits; None keeps those of the file there, else 0600.

    `owner`: user and group that get the file, as far as we may give it. `durable=False` leaves out the fsyncs, for files
    that can be made again. Raises OSError; then the old file stands.
    """
    make_folder(path.parent)
    if mode is None:
        try:
            mode = path.stat().st_mode & 0o7777
        except FileNotFoundError:
            mode = 0o600
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".aside", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if owner is not None:
                with suppress(PermissionError):
                    os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)  # after the owner, as giving a file away takes bits from it
            if durable:
                os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
    if durable:
        sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder; `.resilience` in a team's repository is ignored by git from its first file on, and is its owner's.

    Where others could write there, whatever the umask says, they could put a state folder of their own in the place of ours.
    """
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for above in (folder, *folder.parents):
        if above.name == ".resilience":
            with suppress(OSError):
                above.chmod(above.stat().st_mode & 0o7755)
            with suppress(FileExistsError), (above / ".gitignore").open("x") as file:
                file.write("*\n")
            return


def make_private_folder(folder: Path) -> None:
    """Make the state folder, which only its owner may enter; of an earlier version's the bits are taken away.

    A folder that was there and is not ours by its name, such as one that RESILIENCE_STATE names, is left as it is.
    """
    new = not folder.is_dir()
    make_folder(folder)
    if new or (folder.name == "state" and folder.parent.name == ".resilience"):
        with suppress(OSError):
            if folder.stat().st_mode & 0o077:
                folder.chmod(0o700)


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables of an env file, none where it is not there. Raises SettingsError by line for a broken one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    return {name: value for name, (value, _line) in read_env_text(text, str(path)).items()}


SCRATCH = ("resilience-tests", "resilience-pdf", "rb")
"""What our temporary folders begin with. The last is short because a socket's path holds at most 107 characters."""


def scratch(prefix: str) -> Path:
    """Make a private temporary folder named after this process, and remove those of processes of ours that were killed."""
    sweep((prefix, *SCRATCH))
    return Path(tempfile.mkdtemp(prefix=f"{prefix}-{os.getpid()}-"))


def sweep(prefixes: Iterable[str] = SCRATCH, *, within_s: float = 0.0) -> tuple[Path, ...]:
    """Remove the temporary folders of processes of ours that were killed, and return them: tests' raw output is in them.

    A kernel whose starter was killed ends a second later and removes nothing, so that for those is waited `within_s`.
    """
    removed: list[Path] = []
    until = time.monotonic() + within_s
    while True:
        ending = False
        for folder, pid in _ours(prefixes):
            owner = _owner(folder, pid)
            if owner is None:
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
            elif within_s and _is_without_starter(owner):
                ending = True
        if not ending or time.monotonic() >= until:
            return tuple(removed)
        time.sleep(0.05)


def _ours(prefixes: Iterable[str]) -> Iterator[tuple[Path, int]]:
    """Yield the temporary folders that are named after a process, if they are this user's."""
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError:
        return  # it is found by writing into it, which a full disk refuses; an undo must go on all the same
    for prefix in dict.fromkeys(prefixes):
        for folder in temporary.glob(f"{prefix}-*-*"):
            pid = folder.name.removeprefix(f"{prefix}-").partition("-")[0]
            with suppress(OSError):
                found = folder.lstat()
                if pid.isdigit() and found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode):
                    yield folder, int(pid)


def _owner(folder: Path, pid: int) -> psutil.Process | None:
    """Return the process after which the folder is named; None where it has ended, reaped or not.

    Whose pid another process has by now is told by that process's start: it is later than the last change of the folder.
    """
    import psutil  # not on the way to an assessment, which writes files too

    try:
        process = psutil.Process(pid)
        lives = process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= folder.lstat().st_mtime + 1
    except (psutil.NoSuchProcess, FileNotFoundError):
        return None
    except psutil.AccessDenied:
        lives = True
    return process if lives else None


def _is_without_starter(process: psutil.Process) -> bool:
    """Say whether this is a kernel (jupyter_client names its own process to it) of which that process is gone.

    One that has ended since it was looked at counts as well: its folder is to be looked at once more.
    """
    import psutil  # as above

    try:
        environ = process.environ()
        if not environ and process.status() == psutil.STATUS_ZOMBIE:
            return True
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, OSError):
        return False
    starter = environ.get("JPY_PARENT_PID", "")
    return starter.isdigit() and not psutil.pid_exists(int(starter))


def sync_folder(folder: Path) -> None:
    """Make renames and removals in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_asides(path: Path) -> None:
    """Remove what `write_atomically` left beside `path` when it was killed."""
    for aside in path.parent.glob(f".{path.name}.*.aside"):
        with suppress(FileNotFoundError):
            aside.unlink()
