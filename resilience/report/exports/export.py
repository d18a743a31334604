"""What a file of this folder offers to be an export of the report: its name, and the files that it makes of a view."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from resilience.report.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file below the run's folder. `texts` is all of it that is not numbers of ours, where that is known.

    `path` is relative to the run's folder. `content` in pieces is written as it comes, so that a day of samples is
    never whole in memory. Where `texts` is given, only that is scanned for secrets: digits of ours may look like a
    password of digits. `durable` False is for one of thousands: waiting for the disk at each took a third of the report.
    """

    path: str
    content: str | Iterable[str]
    texts: str | None = None
    durable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One format for other tools. `name` is the file, or the folder of many files, that people look for.

    `files` may be a generator; what it raises loses this export alone, and the report says so by its name.
    """

    name: str
    files: Callable[[View], Iterable[File]]
    end: Callable[[View], Iterable[File]] | None = None
    """Makes those of its files that say how the run ended: they are written once more when that is known."""
