"""Turn words typed at three in the morning into stages of the runbook, and records into what is read there.

Importing this loads next to nothing, so that signals are heeded from the start; Typer comes with the first word, drivers,
pandas and papermill with the verbs that need them.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from resilience.host import signals
from resilience.host.platforms import support_of


def main() -> NoReturn:
    """Run the command line. Whatever goes wrong becomes one line and an exit code of contracts.md.

    Codes are those of `core.records.ExitCode`; an error that nobody foresaw is 30, with its traceback in a file of
    the user's own.
    """
    try:
        code = _run()
    except KeyboardInterrupt:
        # Between two doors, or while an end was being said: Python itself would end by SIGINT, whichever signal it was.
        sys.stderr.write(f"resilience: {'terminated' if signals.terminated() else 'interrupted'}.\n")
        code = signals.exit_code()
    finally:
        if signals.heard():
            signals.leave_the_exit_code_to_us()
    sys.exit(code)


def _run() -> int:
    _refuse_a_system_where_it_cannot_work()
    signals.heed()
    try:
        # Here, as Typer takes 0.2 s to load, in which a signal would end us with neither a word nor our exit code.
        from resilience.cli.group import Verbs
        from resilience.cli.streams import prepare_streams

        if signals.heard():
            raise KeyboardInterrupt  # what was being loaded swallowed it, as some modules do with whatever is raised
        prepare_streams()
        _give_watch_its_default(sys.argv)
        code = Verbs().main(standalone_mode=False, prog_name="resilience")
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - the last door: no traceback reaches a user
        from resilience.cli.ends import end_by

        end_by(exc)
    return code if isinstance(code, int) else 0


def _refuse_a_system_where_it_cannot_work() -> None:
    """Say it in one line: the first import of what such a system lacks would say it in a traceback."""
    support = support_of(sys.platform, os.uname().release if hasattr(os, "uname") else "")
    if not support.works:
        sys.stderr.write(f"resilience: {support.name} is not supported: {support.known}. Hint: {support.hint}\n")
        sys.exit(2)


def _give_watch_its_default(words: list[str]) -> None:
    """Let `--watch` stand alone for the guide's 300 seconds."""
    for position, word in enumerate(words):
        if word == "--":
            return
        following = words[position + 1 : position + 2]
        if word == "--watch" and (not following or following[0].startswith("-")):
            words.insert(position + 1, "300")
            return


if __name__ == "__main__":
    main()
