"""Keep in a folder, file by file, what could not be given to a history yet, and take it up again in the order it came."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from resilience.core import codec
from resilience.core.errors import RecordError
from resilience.core.records import Incident, Sample


def put(folder: Path, samples: Sequence[Sample], incident: Incident) -> Path:
    """Keep samples and what is known of their run in a file of its own, on disk before this returns. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{time.time_ns()}-{os.getpid()}"
    body = b"".join(codec.to_json(record, indent=0) + b"\n" for record in (incident, *samples))
    aside = folder / f".{stem}.part"
    with aside.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    return aside.replace(folder / f"{stem}.jsonl")


def waiting(folder: Path) -> list[Path]:
    """Return the files that wait, oldest first."""
    return sorted(folder.glob("*.jsonl"))


def taken(folder: Path, notes: list[str]) -> Iterator[tuple[Path, Sequence[Sample], Incident]]:
    """Yield what waits, oldest first; the caller removes the file once it is kept elsewhere.

    A file that cannot be read is set aside as `.unread`, with a line in `notes`: nothing behind it waits for it. One that
    another process has taken meanwhile is left out.
    """
    for path in waiting(folder):
        try:
            head, _, rest = path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            continue
        try:
            incident = codec.from_json(head, Incident, source=path.name)
            samples = [codec.from_json(line, Sample, source=path.name) for line in rest.splitlines() if line]
        except RecordError as exc:
            path.rename(path.with_suffix(".unread"))
            notes.append(str(exc))
            continue
        yield path, samples, incident


def tidy(folder: Path) -> None:
    """Remove the folder where nothing is left in it."""
    with contextlib.suppress(OSError):
        folder.rmdir()
