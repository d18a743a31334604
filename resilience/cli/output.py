"""Turn records into a JSON document on stdout, and a code into the end of the command."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import typer

from resilience.cli.demand import on_demand
from resilience.cli.streams import is_unicode

with on_demand():
    from resilience.core import codec, words
    from resilience.host import streams
    from resilience.show import terminal

if TYPE_CHECKING:
    from resilience.core.records import Incident


def builtins_of(record: object) -> Any:
    return codec.to_builtins(record) if record is not None else None


def print_json(document: object) -> None:
    """Write one JSON document to stdout, not escaped beyond need; a reader that is gone is no error."""
    text = json.dumps(document, indent=1, ensure_ascii=not is_unicode(sys.stdout), default=str) + "\n"
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        terminal.let_go(sys.stdout)


def codes(incident: Incident) -> dict[str, Any]:
    """Return the exit code of a command that does something, and beside it what its run came to."""
    return {
        "exit_code": incident.exit_code if incident.command is None else incident.command.exit_code,
        "run_verdict": incident.verdict.value,
        "run_exit_code": incident.exit_code,
    }


def leave(code: int, exit_zero: bool = False, *, looked: bool = False) -> NoReturn:
    """End the command with this code; `--exit-zero` makes it 0 and says what that hides."""
    if exit_zero and code:
        sys.stderr.write(f"--exit-zero hides exit code {code}: {words.exit_code_phrase(code, looked=looked)}\n")
        code = 0
    raise typer.Exit(code)


def log_to_stderr(verbose: bool) -> None:
    """Send log lines to stderr: errors alone, or with --verbose from INFO on."""
    logging.basicConfig(
        stream=sys.stderr, format="%(levelname)s: %(message)s", level=logging.INFO if verbose else logging.ERROR
    )


def pass_through(stream: TextIO) -> Callable[[bytes], None]:
    """Return what writes the tests' own output to this stream, byte by byte as it came."""

    def write(data: bytes) -> None:
        stream.buffer.write(data)
        stream.buffer.flush()

    return lambda data: streams.written(lambda: write(data), stream)
