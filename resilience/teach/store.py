"""Turn what a lesson came to into a generation on disk that is whole or not there, and read it back only if every byte is.

    <state>/taught/<service>/<generation>/manifest.json, recordings.har, blobs/<SHA-256>

Folders are 0700 and files 0600. A generation is written aside, fsynced and renamed: a kill, a full disk or a power cut leaves
the old one. The manifest names each file with its SHA-256, and is named by a digest of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from resilience.core.errors import LockedError, ResilienceError
from resilience.core.settings import Settings
from resilience.core.taught import Drift, Fidelity, Taught, said
from resilience.host.files import make_private_folder, sync_folder, write_atomically

FORMAT = 1
MANIFEST = "manifest.json"
CONTRACT = "contract"
"""The source of a generation that holds an OpenAPI document, and no recordings."""
CONTRACT_FILE = "contract.json"
KEEP = 3
"""So many generations of one source are kept."""
_ASIDE = re.compile(r"\.new-(\d+)-[0-9a-f]+")
_NUMBER = re.compile(r"\d{4,}")
_BESIDE = ("rehearsal.json", "code.json")
"""What is learned of a generation after it was written."""


class StoreError(ResilienceError):
    """What was taught cannot be written, or is not what was written."""

    exit_code = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A generation whose manifest could be read. `problem` says why it must not be served; empty: every byte was checked."""

    folder: Path
    manifest: Mapping[str, Any]
    problem: str = ""

    @property
    def number(self) -> int:
        return int(self.folder.name)

    @property
    def service(self) -> str:
        return self.folder.parent.name

    @property
    def source(self) -> str:
        return str(self.manifest.get("source", ""))

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(str(self.manifest["at"]))

    def read(self, name: str) -> bytes:
        """Return one of its files. Raises StoreError where it is not the one that was written."""
        try:
            data = (self.folder / name).read_bytes()
        except OSError as exc:
            raise StoreError(f"{self._shown(name)} cannot be read: {exc.strerror}", hint=_TEACH_AGAIN) from exc
        if hashlib.sha256(data).hexdigest() != self.manifest["files"].get(name):
            raise StoreError(f"{self._shown(name)} is not what was written.", hint=_TEACH_AGAIN)
        return data

    def _shown(self, name: str) -> str:
        return f"taught/{self.service}/{self.folder.name}/{name}"


_TEACH_AGAIN = "resilience taught --verify; then teach again, or resilience taught --delete"


class Store:
    """What was taught in one checkout. Reading needs no lock; who writes holds `lesson`."""

    def __init__(self, state: Path) -> None:
        self.folder = state / "taught"

    @contextmanager
    def lesson(self) -> Iterator[None]:
        """Hold the lock of lessons, one at a time; what a killed one left is removed. Raises LockedError."""
        make_private_folder(self.folder.parent)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with open(self.folder / "lock", "a+b", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LockedError("another lesson is being taught.", hint="wait for its end") from None
            self.sweep()
            yield

    def sweep(self) -> None:
        """Remove what lessons that were killed left aside; the lock says that none is under way."""
        for service in self._folders():
            for aside in service.iterdir():
                if _ASIDE.fullmatch(aside.name):
                    shutil.rmtree(aside, ignore_errors=True)

    def write(
        self, service: str, manifest: Mapping[str, Any], files: Mapping[str, bytes], *, renews: bool = True
    ) -> Generation:
        """Write a generation and return it. Raises StoreError where the disk does not take it: then nothing changed.

        `renews`: what the service says is as new as this, and so no longer stale.
        """
        above = self.folder / service
        aside = above / f".new-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            above.mkdir(mode=0o700, exist_ok=True)
            aside.mkdir(mode=0o700)
            try:
                for name, data in files.items():
                    _write(aside / name, data)
                told = {
                    **manifest,
                    "format": FORMAT,
                    "service": service,
                    "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
                }
                _write(aside / MANIFEST, _canonical({**told, "digest": _digest(told)}))
                number = max((one.number for one in self.generations(service)), default=0) + 1
                target = above / f"{number:04d}"
                sync_folder(aside)
                aside.rename(target)
                sync_folder(above)
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                raise
            if renews:
                with suppress(FileNotFoundError):
                    (above / "stale.json").unlink()
        except OSError as exc:
            raise StoreError(
                f"what {service} taught could not be written: {exc.strerror}; the generation before stands.",
                hint="df -h; resilience taught",
            ) from exc
        self.prune(service)
        return check(Generation(folder=target, manifest=told))

    def generations(self, service: str) -> tuple[Generation, ...]:
        """Return the generations of a service, oldest first; those whose manifest cannot be read say so."""
        try:
            folders = sorted(
                one for one in (self.folder / service).iterdir() if _NUMBER.fullmatch(one.name) and one.is_dir()
            )
        except OSError:
            return ()
        return tuple(map(read_generation, folders))

    def current(self, service: str) -> tuple[Generation, ...]:
        """Return what counts: of each source the newest generation, checked byte by byte."""
        newest = {one.source: one for one in self.generations(service)}
        return tuple(check(one) for one in newest.values())

    def services(self) -> tuple[str, ...]:
        return tuple(sorted(folder.name for folder in self._folders()))

    def prune(self, service: str, *, now: datetime | None = None, delete_after_days: float | None = None) -> None:
        """Remove what is too old, and of each source all but the last three."""
        kept: dict[str, int] = {}
        for one in reversed(self.generations(service)):
            kept[one.source] = kept.get(one.source, 0) + 1
            old = False
            if now is not None and delete_after_days is not None and not one.problem:
                old = now - one.at > timedelta(days=delete_after_days)
            if kept[one.source] > KEEP or old:
                shutil.rmtree(one.folder, ignore_errors=True)

    def mark_stale(self, service: str, why: str) -> None:
        """Say beside what a service taught before why the latest lesson did not replace it."""
        if self.generations(service):
            told = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "why": why}
            with suppress(OSError):
                write_atomically(self.folder / service / "stale.json", json.dumps(told).encode(), mode=0o600)

    def stale(self, service: str) -> str:
        """Return why the latest lesson of this service failed; empty where it did not."""
        try:
            return str(json.loads((self.folder / service / "stale.json").read_bytes())["why"])
        except (OSError, ValueError, LookupError, TypeError):
            return ""

    def note_fidelity(self, generation: Generation, fidelity: Fidelity, passed: tuple[str, ...]) -> None:
        """Write beside a generation how the team's tests ended on it, and which passed."""
        told = {
            "at": fidelity.at.isoformat(timespec="seconds"),
            "same": fidelity.same,
            "ran": fidelity.ran,
            "gaps": fidelity.gaps,
            "differ": fidelity.differ,
            "passed": sorted(passed),
            "of": _mark(generation),
        }
        write_atomically(generation.folder / "rehearsal.json", _canonical(told), mode=0o600)

    def note_drift(self, service: str, found: Drift) -> None:
        """Write beside what a service taught how staging was found to differ from it."""
        told = {
            "at": found.at.isoformat(timespec="seconds"),
            "since": found.since.isoformat(timespec="seconds") if found.since else "",
            "checked": found.checked,
            "drift": list(found.drift),
            "added": list(found.added),
            "unchecked": list(found.unchecked),
        }
        write_atomically(self.folder / service / "drift.json", _canonical(told), mode=0o600)

    def drift(self, service: str) -> Drift | None:
        """Return what the last check found; None where there was none."""
        try:
            told = json.loads((self.folder / service / "drift.json").read_bytes())
            return Drift(
                at=datetime.fromisoformat(told["at"]),
                since=datetime.fromisoformat(told["since"]) if told["since"] else None,
                checked=int(told["checked"]),
                drift=tuple(map(str, told["drift"])),
                added=tuple(map(str, told["added"])),
                unchecked=tuple(map(str, told["unchecked"])),
            )
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def note_code(self, generation: Generation, changes: Sequence[str]) -> None:
        """Write beside a generation by what the code's own schema differs from it; none: it does not."""
        told = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "changes": list(changes),
            "of": _mark(generation),
        }
        with suppress(OSError):
            write_atomically(generation.folder / "code.json", _canonical(told), mode=0o600)

    def delete(self, service: str = "") -> tuple[str, ...]:
        """Remove all that a service taught, or all there is; return the services whose folders went."""
        gone = tuple(name for name in self.services() if not service or name == service)
        for name in gone:
            shutil.rmtree(self.folder / name)
        if not service:
            shutil.rmtree(self.folder, ignore_errors=True)
        return gone

    def _folders(self) -> tuple[Path, ...]:
        try:
            return tuple(one for one in self.folder.iterdir() if one.is_dir() and not one.is_symlink())
        except OSError:
            return ()


def rehearsal_of(generation: Generation) -> tuple[Fidelity | None, frozenset[str]]:
    """Return how the tests ended on this very generation, and which passed; nothing where nobody rehearsed on it."""
    try:
        told = json.loads((generation.folder / "rehearsal.json").read_bytes())
        if told["of"] != _mark(generation):
            return None, frozenset()
        fidelity = Fidelity(
            at=datetime.fromisoformat(told["at"]),
            same=int(told["same"]),
            ran=int(told["ran"]),
            gaps=int(told["gaps"]),
            differ=int(told["differ"]),
        )
        return fidelity, frozenset(map(str, told["passed"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None, frozenset()


def of_the_code(generation: Generation) -> tuple[str, ...]:
    """Return by what the code's own shape differed from this very generation when it was last prepared; none where it did not."""
    try:
        told = json.loads((generation.folder / "code.json").read_bytes())
        return tuple(map(str, told["changes"])) if told["of"] == _mark(generation) else ()
    except (OSError, ValueError, LookupError, TypeError):
        return ()


def _mark(generation: Generation) -> str:
    return str(generation.manifest.get("digest", "")) or _digest(generation.manifest)


def taught_of(store: Store, service: str, *, verify: bool = False) -> tuple[Taught, ...]:
    """Return what is known of each generation of a service, the newest first; `verify` checks the old ones' bytes as well."""
    generations = store.generations(service)
    newest = {one.source: one.number for one in generations}
    stale, drift = store.stale(service), store.drift(service)
    found: list[Taught] = []
    for one in reversed(generations):
        current = newest[one.source] == one.number
        checked = check(one) if verify or current else one
        manifest = one.manifest
        known = not checked.problem or bool(manifest)
        found.append(
            Taught(
                service=service,
                generation=one.number,
                source=one.source or "unknown",
                at=one.at if manifest else datetime.fromtimestamp(one.folder.stat().st_mtime, UTC),
                exchanges=int(manifest.get("exchanges", 0)) if known else 0,
                tests=len(manifest.get("tests", ())) if known else 0,
                size=sum(file.stat().st_size for file in one.folder.rglob("*") if file.is_file()),
                build=str(manifest.get("build", "")),
                current=current,
                gaps=tuple(map(str, manifest.get("gaps", ()))),
                stale=stale if current else "",
                drift=None if found else drift,
                damaged=checked.problem,
                fidelity=rehearsal_of(one)[0],
                operations=int(manifest.get("contract", {}).get("operations", 0)) if known else 0,
                what=str(manifest.get("what", "")),
                of_the_code=of_the_code(one) if current else (),
                personal={str(name): int(count) for name, count in manifest.get("personal", {}).items()},
            )
        )
    return tuple(found)


def lines(store: Store, services: Iterable[str], now: datetime, stale_days: float) -> tuple[str, ...]:
    """Return a line for what is current of each service: its age, its amount, its fidelity, and what is wrong with it."""
    return tuple(said(one, now, stale_days) for service in services for one in taught_of(store, service) if one.current)


def standing(settings: Settings, now: datetime) -> tuple[str, ...]:
    """Return `lines` of all services that teach; none, and nothing is read, where none does."""
    names = [service.name for service in settings.services if service.teach]
    return lines(Store(settings.state), names, now, settings.teach.stale_days) if names else ()


def check(generation: Generation) -> Generation:
    """Return the generation with what is wrong with its bytes, if anything: a file more counts as well as one less."""
    if generation.problem:
        return generation
    files = generation.manifest["files"]
    there = {
        file.relative_to(generation.folder).as_posix()
        for file in generation.folder.rglob("*")
        if file.is_file() and file.name not in (MANIFEST, *_BESIDE)
    }
    if there != set(files):
        first = sorted(there ^ set(files))[0]
        what = "is missing" if first in files else "was not written by a lesson"
        return Generation(
            folder=generation.folder, manifest=generation.manifest, problem=f"its file {first} {what}"
        )  # fmt: skip
    for name in files:
        try:
            generation.read(name)
        except StoreError as exc:
            return Generation(folder=generation.folder, manifest=generation.manifest, problem=str(exc).rstrip("."))
    return generation


def read_generation(folder: Path) -> Generation:
    """Return a generation with its manifest, or with why that cannot be believed."""
    try:
        told = json.loads((folder / MANIFEST).read_bytes())
        given = told.pop("digest")
        if given != _digest(told):
            raise ValueError("it is not what was written")
        if told["format"] != FORMAT:
            raise ValueError(f"its format is {told['format']}, this version reads {FORMAT}")
        if told["service"] != folder.parent.name or not isinstance(told["files"], dict):
            raise ValueError(f"it is of {told['service']}")
        datetime.fromisoformat(told["at"])
    except OSError as exc:
        return Generation(folder=folder, manifest={}, problem=f"its manifest cannot be read: {exc.strerror}")
    except (ValueError, LookupError, TypeError, AttributeError) as exc:
        return Generation(folder=folder, manifest={}, problem=f"its manifest cannot be believed: {exc}")
    return Generation(folder=folder, manifest=told)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _canonical(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _digest(manifest: Mapping[str, Any]) -> str:
    told = {name: value for name, value in manifest.items() if name != "digest"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
