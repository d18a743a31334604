"""Undo what was applied: put every file back to the byte, and end the stand-ins that were started."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from resilience.core.errors import LockedError, RunbookError
from resilience.core.records import Restored
from resilience.fallback import journal as journals
from resilience.host.lock import locked
from resilience.host.vantage import vantage

StopStandIns = Callable[[Sequence[str]], Awaitable[tuple[str, ...]]]
OnStep = Callable[[str], None]


async def restore(
    state: Path,
    *,
    stop: StopStandIns,
    files: Sequence[Path] = (),
    force: bool = False,
    keep_stand_ins: bool = False,
    shell_run: str = "",
    on_step: OnStep | None = None,
    take_over: bool = False,
) -> Restored:
    """Put everything back to the byte and stop the stand-ins that apply started. No database of staging is touched.

    `shell_run` is the run whose values the calling shell took over (Settings.applied_run); where it is this one, the
    result names the variables that the shell must unset itself. What was there is compared at the end, and the undo
    data are given up only when it is there again to the byte.

    `files` are those that apply writes here. Raises EditedError where somebody edited a file since (`force` keeps a copy),
    LockedError on another host, RunbookError where one of `files` was applied and its undo data are gone.
    """
    steps: list[str] = []

    def tell(what: str) -> None:
        steps.append(what)
        if on_step:
            on_step(what)

    with locked(state, "restore", take_over=take_over):
        journal = journals.load(state)
        if journal is None:
            journals.check_none_left_behind(state, files)
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
        put_back, kept = journals.restore_files(state, journal, force=force, on_step=tell)
        # One that was killed while stand-ins came up had no time to note them; `stop` ends what nobody wrote down.
        to_end = journal.stand_ins or journal.status != "applied"
        try:
            stopped = await stop(journal.stand_ins) if to_end and not keep_stand_ins else ()
        except OSError as exc:
            raise RunbookError(
                f"{', '.join(put_back)}: as before; the stand-ins could not be ended: {exc.strerror or exc}. "
                "The undo data are kept.",
                hint="resilience restore",
            ) from exc
        if stopped:
            tell(f"stopped {', '.join(stopped)}")
        same = journals.identical(journal)
        if not same:
            raise RunbookError(
                f"{', '.join(put_back)} is not as it was before apply; the undo data are kept.",
                hint="resilience restore --force",
            )
        journals.close(state)
    exported = journal.exported or shell_run == journal.run
    return Restored(
        run=journal.run,
        restored_at=datetime.now(UTC),
        files=put_back,
        identical=same,
        stopped=stopped,
        shell_variables=journal.names if exported else (),
        kept_copies=kept,
        steps=tuple(steps),
    )
