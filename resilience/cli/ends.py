"""Turn whatever ends a command, an error or a signal, into one line on stderr and an exit code of contracts.md."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any, NoReturn

import typer

from resilience.core.errors import ResilienceError
from resilience.host import signals

# Typer carries a click of its own and names only some of its errors; this is the root of those it shows to people.
_ClickException: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


class EndedBySignalError(ResilienceError):
    """A signal ended the command, and what it was at has been put down."""

    def __init__(self, due: str = "", hint: str = "") -> None:
        """`due` is what the command leaves to be undone, which its last line must say; `hint` the command for it."""
        what = "terminated" if signals.terminated() else "interrupted"
        super().__init__(f"{what}; {due}." if due else f"{what}.", hint=hint)
        self.exit_code = signals.exit_code()


def end_by(exc: BaseException) -> NoReturn:
    """Say in one line what ended the command, and exit with its code; no traceback reaches a user.

    A closed pipe, as behind `| head`, is no error: 0. An error of click's own is 2.
    """
    match exc:
        case ResilienceError():
            _complain(str(exc), exc.exit_code)
        case typer.Exit():
            sys.exit(exc.exit_code)
        case typer.Abort():
            _complain("interrupted.", 130)
        case KeyboardInterrupt():
            _complain(str(EndedBySignalError()), EndedBySignalError().exit_code)
        case BrokenPipeError():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
    if not isinstance(exc, _ClickException):
        if signals.heard():
            # A signal in the middle of an import leaves a module half loaded, whose next use is an ImportError.
            _complain(str(EndedBySignalError()), EndedBySignalError().exit_code)
        _fail(exc)
    if type(exc).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{exc.format_message()}\n")
        sys.exit(2)
    _complain(_mistyped(exc), 2)


def _mistyped(exc: Any) -> str:
    """Return what click found wrong, and the help that explains it; what looks like the tests' own options goes behind `--`."""
    text, context = exc.format_message().rstrip("."), getattr(exc, "ctx", None)
    path = context.command_path if context is not None else "resilience"
    if path == "resilience test" and type(exc).__name__ == "NoSuchOption" and not exc.possibilities:
        return f"{text}. Hint: the tests' own command goes behind --: resilience test -- pytest {exc.option_name}"
    return f"{text}. Hint: {path} -h"


def _fail(exc: BaseException) -> NoReturn:
    """End by what nobody foresaw: the traceback goes to a file of the user's own."""
    # Start-up: what no command needs but one that fails.
    import tempfile

    from resilience.core.redact import Redactor

    # Values of secret settings are not at hand here; structure is all that can be redacted.
    text = Redactor(()).text("".join(traceback.format_exception(exc)))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="resilience-", suffix=".log", delete=False) as file:
            file.write(text)
        hint = f"attach {file.name} to an issue"
    except OSError as full:
        hint = f"no log could be written ({full.strerror or full}); df -h"
    _complain(
        f"the runbook failed ({type(exc).__name__}: {Redactor(()).text(str(exc))[:200]}); nothing is known about your tests. "
        f"Hint: {hint}",
        30,
    )


def _complain(text: str, code: int) -> NoReturn:
    sys.stderr.write(f"resilience: {text}\n")
    sys.exit(code)
