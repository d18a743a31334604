"""Keep on disk, before anything is changed, what is needed to put it back to the byte."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from dotenv import dotenv_values

from resilience.core.envtext import changed_names, read_env_text
from resilience.core.errors import EditedError, LockedError, RecordError, RunbookError
from resilience.core.variables import APPLIED
from resilience.host.demand import on_demand
from resilience.host.files import make_private_folder, read_env_file, remove_asides, sync_folder, write_atomically
from resilience.host.vantage import vantage

with on_demand():
    # Each look asks for a journal, and mostly there is none to read.
    import psutil

    from resilience.core import codec
    from resilience.fallback import originals

FILE = "journal.json"
NOT_AS_BEFORE = "not as before"
"""How a step of the undo begins that could not put something beside the bytes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The run that applies: what an undo, or a later run, must know of it."""

    run: str
    folder: Path | str = ""
    """Where its records are, to resume it after a crash."""
    commit: str = ""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Service → the address that was judged; recovery looks at these, whatever the environment says by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    at: datetime
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What one apply did so far. It holds what the env file holds, so it is readable by its owner only."""

    run: str
    folder: str
    host: str
    user: str
    pid: int
    created: float
    started_at: datetime
    mode: str
    commit: str = ""
    status: str = "applying"
    steps: tuple[Step, ...] = ()
    files: tuple[originals.UndoFile, ...] = ()
    stand_ins: tuple[str, ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    exported: bool = False
    root: str = ""
    """The repository's root, and below it `state`, where this was written; empty in the journal of an older version."""
    state: str = ""
    schema: int = 1

    @property
    def unfinished(self) -> bool:
        """Say whether the process that wrote it is gone in the middle of applying or restoring."""
        if self.status == "applied":
            return False
        with suppress(psutil.NoSuchProcess):
            if self.host == vantage().host:
                return bool(abs(psutil.Process(self.pid).create_time() - self.created) > 1)
        return True


OnStep = Callable[[str], None]


def load(state: Path) -> Journal | None:
    """Return what is applied or half-applied in this checkout, or None. Raises RecordError for a damaged journal.

    Where the checkout was moved or copied since, the paths below its root are those of where it is now.
    """
    path = state / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return _where_it_is_now(codec.from_json(data, Journal, source=path), state)
    except RecordError as exc:
        exc.hint = exc.hint or f"what apply changed must be put back by hand (from git or a backup), then: rm {path}"
        raise


def _where_it_is_now(journal: Journal, state: Path) -> Journal:
    """Let paths below the root follow the state folder: those of a copy would lead an undo into the checkout it was made of."""
    before, now = Path(journal.state), state
    same = before == now or before.resolve() == now.resolve()
    if same or not journal.root or not before.is_relative_to(journal.root):
        return journal
    inner = before.relative_to(journal.root)
    root = now.parents[len(inner.parts) - 1] if inner.parts else now
    if root / inner != now:
        return journal

    def moved(path: str) -> str:
        return (
            str(root / Path(path).relative_to(journal.root))
            if path and Path(path).is_relative_to(journal.root)
            else path
        )

    files = tuple(replace(file, path=moved(file.path), real=moved(file.real)) for file in journal.files)
    return replace(journal, root=str(root), state=str(now), folder=moved(journal.folder), files=files)


def variables_before(state: Path, env_file: Path) -> dict[str, str]:
    """Return the variables of the env file as they were before the first change. Raises SettingsError for a broken line."""
    journal = load(state)
    noted = next((file for file in journal.files if file.path == str(env_file)), None) if journal else None
    if noted is None:
        return read_env_file(env_file)
    text = noted.bytes_before().decode("utf-8")
    return {name: value for name, (value, _line) in read_env_text(text, str(env_file)).items()}


def variables_noted(journal: Journal) -> Iterator[tuple[str, str]]:
    """Return name and value of each variable that the noted files held, before and after, as far as they can be read."""
    for file in journal.files:
        for data in (file.bytes_before(), base64.b64decode(file.last)):
            yield from ((name, value or "") for name, value in _variables(data).items())


def check_host(journal: Journal) -> None:
    """Raise LockedError where another host applied this: its stand-ins run there, and only it can end what it started."""
    if journal.host != vantage().host:
        raise LockedError(
            f"a fallback was applied on host {journal.host} by {journal.user}; it can be changed only there.",
            hint=f"on {journal.host}: resilience restore",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """A file that an apply wrote and that no journal knows: what it held before went with the state folder."""

    path: Path
    run: str
    state: Path

    def __str__(self) -> str:
        return (
            f"{self.path} holds what run {self.run} wrote, and what it held before is not known: "
            f"there are no undo data in {self.state}."
        )

    @property
    def by_hand(self) -> str:
        return f"git checkout -- {self.path}, or rm {self.path}; then resilience services down"


def left_behind(state: Path, files: Iterable[Path]) -> LeftBehind | None:
    """Return the first of these files that bears an apply's mark where nothing is noted of one; None where all is well.

    The state folder is ignored by git, so that `git clean -xdf` takes the undo data and may leave the file.
    """
    if (state / FILE).exists():
        return None
    for path in files:
        with suppress(OSError):
            if run := _variables(path.read_bytes()).get(APPLIED):
                return LeftBehind(path=path, run=run, state=state)
    return None


def check_none_left_behind(state: Path, files: Iterable[Path]) -> None:
    """Raise RunbookError for such a file: to call it restored would be a lie, to note it as an original the next one."""
    if left := left_behind(state, files):
        raise RunbookError(str(left), hint=left.by_hand)


def begin(
    state: Path,
    origin: Origin,
    *,
    mode: str,
    paths: Iterable[Path],
    root: Path | None = None,
    names: Sequence[str] = (),
    on_step: OnStep | None = None,
) -> Journal:
    """Note every file as it is now, unless an earlier apply noted it already: the first original is the true one."""
    seen = vantage()
    earlier = load(state)
    if earlier is not None:
        check_host(earlier)
    known = {file.path: file for file in earlier.files} if earlier else {}
    if earlier is None:
        originals.forget_all(state)
    files = tuple(known.get(str(path)) or originals.note(path) for path in paths)
    files += tuple(file for path, file in known.items() if path not in {str(p) for p in paths})
    journal = Journal(
        run=origin.run,
        folder=str(origin.folder),
        host=seen.host,
        user=seen.user,
        pid=os.getpid(),
        created=psutil.Process().create_time(),
        started_at=earlier.started_at if earlier else datetime.now(UTC),
        mode=mode,
        commit=origin.commit,
        files=files,
        stand_ins=earlier.stand_ins if earlier else (),
        endpoints=origin.endpoints or (earlier.endpoints if earlier else {}),
        names=tuple(sorted({*names, *(earlier.names if earlier else ())})),
        exported=earlier.exported if earlier else False,
        root=str(root) if root else "",
        state=str(state),
        steps=earlier.steps if earlier else (),
    )
    return step(state, journal, "noted what is there now", on_step=on_step)


def step(state: Path, journal: Journal, what: str, *, on_step: OnStep | None = None, **changes: object) -> Journal:
    """Put a finished step, and what it changed in the journal, on disk; then tell `on_step`."""
    journal = replace(journal, steps=(*journal.steps, Step(at=datetime.now(UTC), what=what)), **changes)  # type: ignore[arg-type]
    make_private_folder(state)
    write_atomically(state / FILE, codec.to_json(journal, indent=0), mode=0o600)
    if on_step:
        on_step(what)
    return journal


def write(state: Path, journal: Journal, path: Path, data: bytes, *, on_step: OnStep | None = None) -> Journal:
    """Write a noted file: the digest of the new bytes is on disk before the bytes are."""
    digest = _digest(data)
    files = tuple(
        replace(file, written=tuple(dict.fromkeys((*file.written, digest))), last=base64.b64encode(data).decode())
        if file.path == str(path)
        else file
        for file in journal.files
    )
    journal = step(state, journal, f"about to write {path.name}", on_step=on_step, files=files)
    before = next(file for file in journal.files if file.path == str(path))
    originals.keep(before, state)
    owner = (before.uid, before.gid) if before.existed else None
    write_atomically(before.target, data, mode=before.mode if before.existed else 0o600, owner=owner)
    return step(state, journal, f"wrote {path.name}", on_step=on_step)


def check_unedited(journal: Journal) -> None:
    """Raise EditedError naming the variables that somebody changed since we wrote; values are never shown."""
    for file in journal.files:
        path = Path(file.path)
        if file.link and path.exists() and not (path.is_symlink() and os.readlink(path) == file.link):
            raise EditedError(
                f"{path} was a link to {file.link} and is none any more.",
                hint="keep a copy of what is there and restore the link: resilience restore --force",
            )
        try:
            now = path.read_bytes()
        except FileNotFoundError:
            if file.existed and file.written:
                raise EditedError(
                    f"{path} was deleted after apply.",
                    hint="put back the original all the same: resilience restore --force",
                ) from None
            continue
        digest = _digest(now)
        unwritten = file.existed and digest == _digest(file.bytes_before())
        if digest in file.written or unwritten:
            continue
        names = changed_names(_variables(now), _variables(base64.b64decode(file.last)))
        shown = ", ".join(names[:8]) + (" …" if len(names) > 8 else "") if names else "comments or order"
        raise EditedError(
            f"{path} was edited after apply (changed: {shown}; values masked); restoring would lose the edit.",
            hint="keep a copy of the edit and restore: resilience restore --force",
        )


def restore_files(
    state: Path, journal: Journal, *, force: bool = False, on_step: OnStep | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Put every noted file back: bytes, permission bits, existence. Give (files restored, copies of edits kept)."""
    if not force:
        check_unedited(journal)
    journal = _step_if_there_is_room(
        state,
        journal,
        "restoring",
        on_step=on_step,
        status="restoring",
        pid=os.getpid(),
        created=psutil.Process().create_time(),
    )
    restored, kept = [], []
    for file in journal.files:
        path = Path(file.path)
        if force:
            kept += _keep_edit(path, file)
        originals.put_back(file, state)
        restored.append(file.path)
        journal = _step_if_there_is_room(state, journal, f"put back {path.name}", on_step=on_step)
        if lost := originals.not_as_before(file):
            journal = _step_if_there_is_room(
                state, journal, f"{NOT_AS_BEFORE} of {path.name}: {', '.join(lost)}", on_step=on_step
            )
    return tuple(restored), tuple(kept)


def _step_if_there_is_room(
    state: Path, journal: Journal, what: str, *, on_step: OnStep | None, **changes: object
) -> Journal:
    """Do as `step`; on a full disk the journal stays as it is, from which an undo can begin again at any point."""
    try:
        return step(state, journal, what, on_step=on_step, **changes)
    except OSError:
        if on_step:
            on_step(what)
        return journal


def identical(journal: Journal) -> bool:
    """Say whether every noted file is as it was: bytes, permission bits, existence, and the symlink to it."""
    return all(map(originals.is_as_before, journal.files))


def close(state: Path) -> None:
    """Forget the undo data; call it only when `identical`."""
    with suppress(FileNotFoundError):
        (state / FILE).unlink()
        sync_folder(state)
    remove_asides(state / FILE)
    originals.forget_all(state)


def _keep_edit(path: Path, file: originals.UndoFile) -> list[str]:
    try:
        now = path.read_bytes()
    except FileNotFoundError:
        return []
    if _digest(now) in file.written or (file.existed and now == file.bytes_before()):
        return []
    copy = path.with_name(f"{path.name}.edited-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    # Renamed, which needs no room on a full disk; behind a symlink it is the file that goes, not the link.
    os.replace(path.resolve(), copy)
    return [str(copy)]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _variables(data: bytes) -> dict[str, str | None]:
    return dict(dotenv_values(stream=io.StringIO(data.decode("utf-8", "replace")), interpolate=False))
