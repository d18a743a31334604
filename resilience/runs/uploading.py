"""Copy a run's folder, whole, to an object store: written here first, promised on disk, and sent until it is there."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from resilience.core.errors import RecordError, UsageError
from resilience.core.records import Verdict
from resilience.core.settings import Settings
from resilience.host.demand import on_demand
from resilience.host.files import make_private_folder, write_atomically
from resilience.runs import folder as folders, owner

try:
    with on_demand():
        import fsspec
except ImportError:  # an extra: all but `--out s3://…` goes without it, and `check` says what to install
    fsspec = None

MANIFEST = "manifest.json"
"""The last object of a run to be written: where it is, all files that it lists are there whole."""
PATIENCE_S = 60.0
"""Seconds that a run waits at its end for its upload; what is not there by then waits for the next run, or for `sync`."""
_LEFT_OUT = re.compile(r"(^|/)\.")
"""Files of a run that are the machine's own: locks, reserves, parts."""
_INSTALL = "pip install 'resilience-runbook[bucket]', or the fsspec package of that store"
_OPTIONS: dict[str, dict[str, object]] = {
    "file": {"auto_mkdir": True},
    "s3": {
        "config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 2}},
        "use_listings_cache": False,
    },
}
"""Scheme → what its file system is told. A store that is down costs seconds with these; as they are, they wait for minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """What became of a run's upload. `to` is where its report is, or is to be; `why` says why it waits, empty where it is there."""

    run: str
    to: str
    files: int = 0
    size: int = 0
    why: str = ""


def is_store(out: str) -> bool:
    """Say whether `--out` names a store, and not a folder of this machine."""
    return "://" in out


def check(out: str) -> str:
    """Return the URL of a store as it is kept; raise UsageError for one that cannot be used, before anything is written.

    Keys belong into the environment or the store's own configuration: a URL is kept on disk and shown.
    """
    url = urlsplit(out)
    if url.username or url.password or url.query:
        raise UsageError(
            f"--out {url.scheme}://…: a URL without user, password or parameters was expected.",
            hint="export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the variables of that store",
        )
    if not url.netloc and url.scheme not in ("file", "memory"):
        raise UsageError(f"--out {out}: it names no bucket.", hint="--out s3://BUCKET/FOLDER")
    if fsspec is None:
        raise UsageError(f"--out {url.scheme}://…: what writes to stores is not installed.", hint=_INSTALL)
    try:
        fsspec.get_filesystem_class(url.scheme)
    except (ImportError, ValueError) as exc:
        raise UsageError(f"--out {url.scheme}://…: no such store is known here ({exc}).", hint=_INSTALL) from exc
    return out.rstrip("/")


def promise(settings: Settings, run: str, folder: Path, to: str) -> None:
    """Keep on disk that this run is to be copied to `to`; from then on it is, also where this process is killed."""
    make_private_folder(_waiting(settings))
    entry = {"run": run, "folder": str(folder), "to": f"{to}/{run}"}
    write_atomically(_waiting(settings) / f"{run.replace('/', '-')}.json", json.dumps(entry).encode(), mode=0o600)


def send(settings: Settings, *, patience_s: float = PATIENCE_S) -> tuple[Uploaded, ...]:
    """Copy every run that waits and has ended; return what became of each. It never raises for a store that is down.

    After `patience_s` it goes on in the background for as long as this process lives, and the rest waits.
    """
    entries, stuck = _entries(settings)
    done: list[Uploaded] = []

    def work() -> None:
        for path, entry in entries:
            done.append(_send(path, entry))

    if entries:
        thread = threading.Thread(target=work, name="upload", daemon=True)
        thread.start()
        thread.join(patience_s)
    finished = tuple(done)
    late = (
        Uploaded(run=entry["run"], to=entry["to"], why=f"not there after {patience_s:.0f} s")
        for _, entry in entries[len(finished) :]
    )
    return (*finished, *late, *stuck)


def waiting(settings: Settings) -> tuple[str, ...]:
    """Return the runs that wait for their upload."""
    return tuple(path.stem for path in sorted(_waiting(settings).glob("*.json")))


def _waiting(settings: Settings) -> Path:
    return settings.state / "uploads"


def _entries(settings: Settings) -> tuple[list[tuple[Path, dict[str, str]]], list[Uploaded]]:
    """Return what can be sent, oldest first, and what cannot with the reason; runs that go on are neither.

    A promise whose run's folder is gone is forgotten: there is nothing left to send.
    """
    found, stuck = [], []
    for path in sorted(_waiting(settings).glob("*.json")):
        try:
            entry = json.loads(path.read_bytes())
            folder, run, to = Path(entry["folder"]), str(entry["run"]), str(entry["to"])
        except (OSError, ValueError, KeyError, TypeError) as exc:
            stuck.append(
                Uploaded(run=path.stem, to=str(path), why=f"its promise cannot be read ({type(exc).__name__})")
            )
            continue
        try:
            incident = folders.read_incident(folder)
        except FileNotFoundError:
            path.unlink(missing_ok=True)
        except (RecordError, OSError) as exc:
            stuck.append(Uploaded(run=run, to=to, why=f"its record cannot be read ({type(exc).__name__})"))
        else:
            if incident.verdict is not Verdict.RUNNING or owner.is_killed(incident):
                found.append((path, entry))
    return found, stuck


def _send(path: Path, entry: dict[str, str]) -> Uploaded:
    """Copy one run, its manifest last, and take its promise back; whatever goes wrong is a reason for it to wait."""
    folder, to = Path(entry["folder"]), entry["to"]
    scheme, _, below = to.partition("://")
    try:
        store: Any = fsspec.filesystem(scheme, **_OPTIONS.get(scheme, {}))
        files: dict[str, dict[str, object]] = {}
        size = 0
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder).as_posix()
            if file.is_symlink() or not file.is_file() or _LEFT_OUT.search(name):
                continue
            body = file.read_bytes()
            store.pipe_file(f"{below}/{name}", body)
            size += len(body)
            files[name] = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        manifest = {
            "schema": 1,
            "run": entry["run"],
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "files": files,
        }
        store.pipe_file(f"{below}/{MANIFEST}", json.dumps(manifest, indent=1).encode())
    except Exception as exc:  # noqa: BLE001 - each store has errors of its own, and none may cost a run its report
        return Uploaded(run=entry["run"], to=to, why=_reason(exc))
    with suppress(OSError):
        path.unlink()
    return Uploaded(run=entry["run"], to=f"{to}/report.html", files=len(files), size=size)


def _reason(exc: Exception) -> str:
    text = " ".join(str(exc).split())[:160]
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def lines(found: tuple[Uploaded, ...]) -> tuple[str, ...]:
    """Return what to say of each upload."""
    return tuple(
        f"uploaded: {one.to} ({one.files} files)"
        if not one.why
        else f"not uploaded yet: {one.to}: {one.why}. Hint: resilience sync"
        for one in found
    )
