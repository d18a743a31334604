"""What can go wrong in the runbook itself, each with what was found, what was expected and a command to type.

ResilienceError                     exit code
├── UsageError                      2    an unknown name or a value that cannot be
│   └── SettingsError               2    a configuration that cannot be used
│       └── NotConfiguredError      2    no service is configured at all
├── OrderError                      2    a stage without its predecessor, or a stale one
├── LockedError                     75   another run holds the lock
├── EditedError                     30   somebody edited what was to be restored
├── StandInError                    20   a stand-in did not come up
├── VerdictError                    1    a run in a notebook counts as failed; papermill's exit code tells
├── SecretLeakError                 30   a secret in bytes that were to leave; nothing was written
├── RecordError                     30   a record on disk that cannot be read
└── RunbookError                    30   the runbook failed; nothing is known about the tests

Errors hold fields and build their text; texts are redacted where they are shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class ResilienceError(Exception):
    """Root of all errors of ours. `str()` is one line: what happened, to what, found, expected, hint.

    `exit_code` is what the command line ends with when the error reaches it; `hint` is a command to type, or empty.
    Do not branch on the text: the class and the fields are the contract.
    """

    exit_code = 30

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return " ".join((f"{self.message} Hint: {self.hint}" if self.hint else self.message).split())

    def _render_traceback_(self) -> Sequence[str]:
        """Show one clean line in notebooks and in papermill's log, not a traceback."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(ResilienceError):
    """An unknown name, or a value that cannot be, in what a person typed or wrote; `hint` names what would be right."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting that cannot be used: `name` in `source`, what was `found`, what was `expected`.

    `source` is a file, with its line where that is known. The four are fields as well as text.
    """

    def __init__(self, *, name: str, source: str = "", found: str = "", expected: str = "", hint: str = "") -> None:
        where = f" in {source}" if source else ""
        shown = f"={found}" if found else ""
        wanted = f": {expected} was expected." if expected else "."
        super().__init__(f"{name}{shown}{where}{wanted}", hint=hint)
        self.name, self.source, self.found, self.expected = name, source, found, expected


class NotConfiguredError(SettingsError):
    """No service is configured, so nothing can be known. `name` is what is not, `found` how far it is."""

    def __init__(self, *, name: str, source: str = "", found: str = "", hint: str = "") -> None:
        super().__init__(name=name, source=source, found=found, expected="at least one", hint=hint)
        self.message = f"no {name} is configured{f' ({found})' if found else ''}."


class OrderError(UsageError):
    """A stage was asked for that lacks what an earlier one leaves, or finds it too old.

    The hint names the notebook and the command that leave what is missing.
    """


class LockedError(ResilienceError):
    """Another process of this checkout applies, restores or tests. 75 is EX_TEMPFAIL of sysexits.h: try again later."""

    exit_code = 75


class EditedError(ResilienceError):
    """A file was edited after apply; restoring would lose the edit.

    `resilience restore --force` restores all the same, and keeps a copy of what was edited.
    """


class StandInError(ResilienceError):
    """A stand-in cannot be had, did not come up, or is not the one that answers on its port."""

    exit_code = 20


class VerdictError(ResilienceError):
    """A run in a notebook counts as failed: a stage broke, or the tests said so and `fail_on` asks for it.

    Raised in a run's last cell: an exception is the one thing that makes papermill exit with 1.
    """

    exit_code = 1


class SecretLeakError(ResilienceError):
    """A secret was found in bytes that were to leave; the value is never named.

    The last gate before bytes are published. It means that redaction has a gap, which is a defect of ours to be
    reported.
    """


class RecordError(ResilienceError):
    """A record on disk is cut, foreign, or from a newer version.

    `source` is the file; the record is left as it is, for a newer version or a person may read it.
    """

    def __init__(self, *, source: str, found: str, expected: str, hint: str = "") -> None:
        super().__init__(f"{source or 'the record'}: {expected} was expected, found: {found}.", hint=hint)
        self.source = source


class RunbookError(ResilienceError):
    """The runbook itself failed; nothing is known about the tests."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return 'did you mean "x"?' or a list of what is known, for a name that is not.

    Case does not count. The nearest name is given where at least 60 % of it agrees (difflib's own threshold):

    >>> did_you_mean("databse", ["database", "redis"])
    'did you mean "database"?'
    >>> did_you_mean("mail", ["database", "redis"])
    'known: database, redis'
    """
    names = {known_name.lower(): known_name for known_name in sorted(known)}
    if not names:
        return "nothing is known"
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    return f'did you mean "{names[close[0]]}"?' if close else f"known: {', '.join(names.values())}"
