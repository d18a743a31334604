"""Turn the notes that our plug-in keeps of the test each process of a suite is in into whose a request is."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MAIN = "main"
"""The note of a pytest without workers; a worker of pytest-xdist has one by its own name."""
_READ = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """The test that a process of the suite is in. `fixture` is what is set up or torn down for more tests than this one.

    `attempt` counts the process's tests, so that a test which is run again is another one, and of a fixture its set-ups.
    """

    test: str
    fixture: str = ""
    attempt: int = 0
    worker: str = ""

    @property
    def owner(self) -> str:
        """Whose an exchange at this moment is: the fixture's that outlives the test, else the test's."""
        return f"fixture {self.fixture}" if self.fixture else f"test {self.test}"


def folder_in(data: Path) -> Path:
    """Return where the notes of a checkout's suites lie."""
    return data / "under-way"


def begin(folder: Path) -> None:
    """Make the folder, and remove the notes of a suite that was killed: they would name tests that no longer run."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in os.listdir(folder):
        with suppress(OSError):
            (folder / name).unlink()


def under_way(folder: Path, worker: str = "") -> UnderWay | None:
    """Return the test that this worker is in; without a worker, that of the only process of tests there is.

    None where nobody can tell: no test runs, or several processes do.
    """
    try:
        names = [worker] if worker else os.listdir(folder)
        if len(names) != 1:
            return None
        # Not open(): this is asked for each request of a suite, and takes a third of the time so.
        file = os.open(f"{folder}/{names[0]}", os.O_RDONLY)
        try:
            return _read(os.read(file, _READ), names[0])
        finally:
            os.close(file)
    except OSError:
        return None


def _read(data: bytes, worker: str) -> UnderWay | None:
    """Return what a note says; its first eight bytes are its length, as a shorter note is written over a longer one."""
    try:
        told = json.loads(data[8 : 8 + int(data[:8])])
        test, fixture, attempt = str(told["test"]), str(told["fixture"]), int(told["attempt"])
    except (ValueError, TypeError, LookupError):
        return None
    return UnderWay(test=test, fixture=fixture, attempt=attempt, worker=worker) if test else None
