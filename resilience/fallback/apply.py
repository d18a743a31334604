"""Do what a plan says, journaled so that it can be undone after a crash at any point; and undo it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from resilience.core.envtext import render
from resilience.core.errors import LockedError, ResilienceError, RunbookError
from resilience.core.plan import files_written, words_to_note, words_to_start, words_to_write
from resilience.core.records import Applied, EnvChange, Plan, Restored, StandIn
from resilience.core.secret import Secret
from resilience.core.settings import Service, Settings
from resilience.core.variables import APPLIED
from resilience.fallback import journal as journals
from resilience.host.files import read_env_file, write_atomically
from resilience.host.lock import locked
from resilience.host.log import log_applied
from resilience.host.vantage import vantage
from resilience.settings.build import build
from resilience.settings.environment import find_root, load_settings, shipped
from resilience.settings.secrets import secret_texts

_EXPORTED = "exported"

StartStandIns = Callable[[Sequence[Service]], Awaitable[tuple[StandIn, ...]]]
StopStandIns = Callable[[Sequence[str]], Awaitable[tuple[str, ...]]]
OnStep = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedHere(Applied):
    """What was applied, on the host where it was: it can give its environment to this process for a while."""

    @contextmanager
    def environ(self) -> Iterator[Mapping[str, str]]:
        """Set the variables that the child processes get in `os.environ`, and put everything back at the end."""
        values = read_env_file(Path(self.env_file))
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield values
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


async def apply(
    plan: Plan,
    values: Mapping[str, str],
    settings: Settings,
    *,
    run: str,
    folder: Path | str = "",
    endpoints: Mapping[str, str] | None = None,
    commit: str = "",
    start: StartStandIns,
    on_step: OnStep | None = None,
    on_progress: OnStep | None = None,
    take_over: bool = False,
) -> AppliedHere:
    """Start the stand-ins, then write the env file. Applied twice with the same plan it changes nothing more.

    `on_step` is told each step of the plan in the plan's words as it begins, `on_progress` what is journaled meanwhile.
    Where a stand-in does not come up, nothing is written, what was started stays for the second decision, and `failed`
    names it. Raises LockedError, OSError (a read-only folder, a full disk): then the files are as before.
    """
    began = perf_counter()
    paths = [settings.env_file, *([settings.env_target] if settings.env_target else [])]
    steps: list[str] = []

    def tell(what: str) -> None:
        steps.append(what)
        if on_step:
            on_step(what)

    say = on_progress or on_step
    with locked(settings.state, "apply", run=run, take_over=take_over):
        earlier = journals.load(settings.state)
        if earlier is not None and earlier.status == "applied":
            values = {**values, APPLIED: earlier.run}
            run = earlier.run
        text = render(values, header=_header(plan, run)).encode()
        same = earlier is not None and earlier.status == "applied" and all(_holds(path, text) for path in paths)
        journal = earlier if same else None
        if journal is None:
            if earlier is not None:
                journals.check_unedited(earlier)
            tell(words_to_note(files_written(settings)))
            journal = journals.begin(
                settings.state,
                run=run,
                folder=folder,
                mode=plan.mode.value,
                paths=paths,
                commit=commit,
                endpoints=endpoints,
                names=tuple(values),
                on_step=say,
            )
        for planned in plan.stand_ins:
            tell(words_to_start(planned))
        wanted = [service for service in settings.services if service.name in {s.service for s in plan.stand_ins}]
        stand_ins = await start(wanted) if wanted else ()
        failed = tuple(stand_in.service for stand_in in stand_ins if not stand_in.ready)
        if not same:
            started = tuple(stand_in.service for stand_in in stand_ins if stand_in.started_here)
            journal = journals.step(
                settings.state,
                journal,
                "stand-ins are up" if not failed else "a stand-in did not come up",
                on_step=say,
                stand_ins=tuple(dict.fromkeys((*journal.stand_ins, *started))),
            )
            if not failed:
                for path, name in zip(paths, files_written(settings), strict=True):
                    tell(words_to_write(len(values), name))
                    journal = journals.write(settings.state, journal, path, text, on_step=say)
                journal = journals.step(settings.state, journal, "applied", on_step=say, status="applied")
            elif not any(file.written for file in journal.files) and not journal.stand_ins:
                journals.close(settings.state)
    applied = AppliedHere(
        run=run,
        mode=plan.mode,
        applied_at=datetime.now(UTC),
        host=vantage().host,
        env_file=str(settings.env_file),
        stand_ins=stand_ins,
        changes=plan.changes,
        steps=tuple(steps),
        duration_s=perf_counter() - began,
        already=same,
        failed=failed,
    )
    if not failed:
        log_applied(applied)
    return applied


def settings_for_restore(
    config: str = "", *, environment: str = "", cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Settings, str]:
    """Return the settings that an undo needs, and why the configuration could not be read ("" where it could).

    The journal knows what to put back. So where the configuration is broken or gone, the nearest state folder with a
    journal, from here up to the repository's root, is enough; the values that the journal and the environment hold are the
    secrets. A journal of another user is not followed, as it names files to write. Without a journal to follow,
    what is wrong with the configuration is raised as ever.
    """
    environ = os.environ if environ is None else environ
    cwd = Path(cwd or Path.cwd()).resolve()
    settings: Settings | None = None
    broken: ResilienceError | None = None
    try:
        settings = load_settings(config or None, environment=environment, cwd=cwd, environ=environ)
    except ResilienceError as exc:
        broken = exc
    if settings is not None and (settings.source != shipped("config") / "runbook.toml" or _has_journal(settings.state)):
        return settings, ""
    asked = config or environ.get("RESILIENCE_CONFIG", "")
    bare = next((bare for bare in _bare_settings(asked, cwd, environ) if _has_journal(bare.state)), None)
    if bare is None or not _is_ours(bare.state / journals.FILE, cwd):
        if broken is not None:
            raise broken
        assert settings is not None
        return settings, ""
    journal = journals.load(bare.state)
    assert journal is not None
    texts = secret_texts([*journals.variables_noted(journal), *environ.items()])
    secrets = tuple(Secret(text) for text in sorted(texts, key=lambda text: (-len(text), text)) if text.strip())
    return replace(bare, secrets=secrets), str(broken) if broken else "there is none here any more"


def _bare_settings(asked: str, cwd: Path, environ: Mapping[str, str]) -> Iterator[Settings]:
    """Return settings that say where things are and no more, for each folder that may be the root."""
    where = {name: environ[name] for name in ("HOME", "XDG_STATE_HOME", "RESILIENCE_STATE") if name in environ}
    where[APPLIED] = environ.get(APPLIED, "")
    roots = []
    if asked:
        source = (cwd / Path(asked).expanduser()).resolve()
        roots.append(find_root(source if source.suffix == ".toml" else source / "resilience.toml"))
    for folder in (cwd, *cwd.parents):
        roots.append(folder)
        if (folder / ".git").exists():
            break
    for root in dict.fromkeys(roots):
        yield build(
            "", source=None, root=root, environ=where, profile_texts={}, home=Path(where.get("HOME") or Path.home())
        )


def _has_journal(state: Path) -> bool:
    return (state / journals.FILE).is_file()


def _is_ours(path: Path, cwd: Path) -> bool:
    return not hasattr(os, "getuid") or path.stat().st_uid in (0, os.getuid(), cwd.stat().st_uid)


async def restore(
    settings: Settings,
    *,
    stop: StopStandIns,
    force: bool = False,
    keep_stand_ins: bool = False,
    environ: Mapping[str, str],
    on_step: OnStep | None = None,
    take_over: bool = False,
) -> Restored:
    """Put everything back to the byte and stop the stand-ins that apply started. No database is touched.

    Raises EditedError where somebody edited a file since (`force` keeps a copy), LockedError on another host.
    """
    steps: list[str] = []

    def tell(what: str) -> None:
        steps.append(what)
        if on_step:
            on_step(what)

    with locked(settings.state, "restore", take_over=take_over):
        journal = journals.load(settings.state)
        if journal is None:
            return Restored(
                run="",
                restored_at=datetime.now(UTC),
                files=(),
                identical=True,
                nothing_to_do=True,
                steps=("nothing was applied",),
            )
        if journal.host != vantage().host:
            raise LockedError(
                f"the fallback was applied on host {journal.host}; only there can it be restored.",
                hint=f"on {journal.host}: resilience restore",
            )
        files, kept = journals.restore_files(settings.state, journal, force=force, on_step=tell)
        # One that was killed while stand-ins came up had no time to note them; `stop` ends what nobody wrote down.
        to_end = journal.stand_ins or journal.status != "applied"
        stopped = await stop(journal.stand_ins) if to_end and not keep_stand_ins else ()
        if stopped:
            tell(f"stopped {', '.join(stopped)}")
        same = journals.identical(journal)
        if not same:
            raise RunbookError(
                f"{', '.join(files)} is not as it was before apply; the undo data are kept.",
                hint="resilience restore --force",
            )
        journals.close(settings.state)
    exported = journal.exported or environ.get(APPLIED, "") == journal.run
    return Restored(
        run=journal.run,
        restored_at=datetime.now(UTC),
        files=files,
        identical=same,
        stopped=stopped,
        shell_variables=journal.names if exported else (),
        kept_copies=kept,
        steps=tuple(steps),
    )


def note_exported(settings: Settings, names: Iterable[str]) -> None:
    """Note that a shell takes over these variables: restore cannot undo that, but it can say so."""
    journal = journals.load(settings.state)
    if journal is not None and not journal.exported:
        journals.step(settings.state, journal, "a shell took over the variables", exported=True)
    known = {*exported_names(settings), *names}
    write_atomically(settings.state / _EXPORTED, "\n".join(sorted(known)).encode(), mode=0o600)


def exported_names(settings: Settings) -> tuple[str, ...]:
    """Return the variables that shells of this checkout took over, also after the restore; names only, no values."""
    try:
        return tuple((settings.state / _EXPORTED).read_text().split())
    except FileNotFoundError:
        return ()


def _header(plan: Plan, run: str) -> tuple[str, ...]:
    return (
        f"Written by resilience apply (mode {plan.mode.value}, run {run}).",
        "Undo with: resilience restore. Edits are noticed and kept, never lost.",
    )


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def changes_shown(changes: Sequence[EnvChange]) -> tuple[str, ...]:
    """Return 'NAME: before → after' lines; secrets are masked already."""
    return tuple(
        f"{change.name}: {'(unset)' if change.before is None else change.before} → {change.after}" for change in changes
    )
