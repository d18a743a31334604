"""What standing in needs to know of a checkout, and nothing more of its settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from resilience.core.settings import Deadlines


class Folders(Protocol):
    """Where a checkout and the data of its stand-ins lie: `Places`, or settings."""

    @property
    def root(self) -> Path: ...
    @property
    def data(self) -> Path: ...


class Checkout(Folders, Protocol):
    """What starting needs besides: how long it may take, which hosts are denied, and how the team's commands are run.

    Settings fit, and so does a plain object of a test; `Folders` alone is enough for what only looks at records.
    """

    @property
    def state(self) -> Path: ...
    @property
    def source(self) -> Path | None: ...
    @property
    def deadlines(self) -> Deadlines: ...
    @property
    def deny_hosts(self) -> Sequence[str]: ...
    @property
    def env_command(self) -> str: ...
    def path(self, before: str, /) -> str: ...


def supervised_folder(folders: Folders) -> Path:
    """Return the supervisor's folder of this checkout."""
    return folders.data / "supervisor"


def logs_folder(folders: Folders) -> Path:
    """Return where the logs of stand-ins lie."""
    return folders.data / "logs"
