"""Turn bytes into files that hold no secret: written aside, scanned, then renamed into place; or refused."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from resilience.core.errors import SecretLeakError
from resilience.report.texts import Redacts

_CHUNK = 8 * 1024 * 1024
_OVERLAP = 16 * 1024
"""A secret that lies across two chunks is still seen whole; longer ones than this are not."""


class Held:
    """Files that are written, scanned and on the disk, but not under their names yet: those that tell how a run ended.

    They get their names together, as the last thing before the run's own record: a kill before that leaves none of them.
    """

    def __init__(self) -> None:
        self._renames: dict[Path, Path] = {}

    def add(self, aside: Path, path: Path) -> None:
        self._renames[path] = aside

    def publish(self) -> tuple[str, ...]:
        """Give every file its name; return a sentence for each that could not get it."""
        lost = []
        for path, aside in self._renames.items():
            try:
                aside.replace(path)
            except OSError as exc:
                lost.append(f"{path.name}: could not be written ({exc.strerror or exc})")
                aside.unlink(missing_ok=True)
        self._renames.clear()
        return tuple(lost)

    def drop(self) -> None:
        """Remove what did not get its name, and was made for a report that was cut short."""
        while self._renames:
            self._renames.popitem()[1].unlink(missing_ok=True)


def publish(
    path: Path,
    content: str | bytes | Iterable[str],
    redactor: Redacts | None,
    *,
    texts: str | None = None,
    held: Held | None = None,
    durable: bool = True,
) -> Path:
    """Write the file as a whole or not at all. `texts` is all of it that is not numbers of ours, where that is known.

    With `held` it gets its name later, by `Held.publish`. `durable` False does not wait for the disk: a kill still leaves
    the whole file or none, a power cut may leave an empty one, so that is for files that are made again from the record.

    Raises SecretLeakError, naming file and offset but never the value, where a secret is in the bytes; nothing is
    left then.

    `redactor` None leaves the scan out, for who has no secrets. Durable bytes are on the disk (fsync) before the name
    appears. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    whole = content.encode("utf-8", "replace") if isinstance(content, str) else content
    try:
        with aside.open("wb") as file:
            if isinstance(whole, bytes):
                file.write(whole)
            else:
                for piece in whole:
                    file.write(piece.encode("utf-8", "replace"))
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if redactor is not None:
            clean = texts is not None and redactor.leaks(texts.encode("utf-8", "replace")) is None
            if not clean and (offset := _leak(whole, aside, redactor)) is not None:
                raise refused(path, offset)
        if held is None:
            aside.replace(path)
        else:
            held.add(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return path


def _leak(whole: bytes | Iterable[str], aside: Path, redactor: Redacts) -> int | None:
    """Return where a secret begins in what was written: what is small is not read again for it."""
    small = isinstance(whole, bytes) and len(whole) <= _CHUNK
    return redactor.leaks(whole) if small and isinstance(whole, bytes) else scan(aside, redactor)


def scan(path: Path, redactor: Redacts) -> int | None:
    """Return the offset of the first byte of a secret in the file, or None. Large files are read in pieces."""
    with path.open("rb") as file:
        base, tail = 0, b""
        while chunk := file.read(_CHUNK):
            data = tail + chunk
            offset = redactor.leaks(data)
            if offset is not None:
                return base + offset
            tail = data[-_OVERLAP:]
            base += len(data) - len(tail)
    return None


def refused(path: Path, offset: int) -> SecretLeakError:
    return SecretLeakError(
        f"{path.name}: a secret stands at byte {offset}; the file was not written.",
        hint="find out which text carried it (incident.json is redacted too), or leave that file out",
    )


def check(folder: Path, redactor: Redacts, patterns: Iterable[str] = ("**/*",)) -> tuple[Path, ...]:
    """Scan every file that stands in a run's folder, executed notebooks and logs included; return those scanned.

    Raises SecretLeakError at the first that holds a secret, naming file and offset.

    Symbolic links are not followed. For who publishes a folder that others may have written into.
    """
    seen: list[Path] = []
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            if path in seen or not path.is_file() or path.is_symlink():
                continue
            if (offset := scan(path, redactor)) is not None:
                raise SecretLeakError(
                    f"{path.relative_to(folder)}: a secret stands at byte {offset}; do not publish this folder.",
                    hint=f"delete or redact {path.name}, then check again",
                )
            seen.append(path)
    return tuple(seen)
