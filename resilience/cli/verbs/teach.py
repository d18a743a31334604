"""Let staging teach its stand-ins, by GETs of its own routes or by a file of recordings."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Json
from resilience.cli.output import builtins_of, leave, print_json
from resilience.core.errors import UsageError

with on_demand():
    from resilience.runs import teaching

if TYPE_CHECKING:
    from resilience.runs.teaching import Learned


app = verb()
_LARGEST = 1 << 30


@app.command()
def teach(
    services: Annotated[
        list[str] | None, typer.Argument(help="Their names; else all that teach.", metavar="[SERVICE...]")
    ] = None,
    har: Annotated[
        str, typer.Option("--har", help="Learn from this HAR of a browser, for the one service named.")
    ] = "",
    drift: Annotated[
        bool, typer.Option("--drift", help="Only compare staging with what it taught; learn nothing.")
    ] = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
) -> None:
    """Let staging teach its stand-ins: routes by GET, or a HAR.

    \b
      resilience teach                                  all that have teach_routes
      resilience teach backend_api --har session.har    what a browser saved
      resilience teach --drift                          has staging changed since?
    """
    settings = settings_from(config, environment)
    names = list(services or ())
    if har and drift:
        raise UsageError("--har and --drift: one of them was expected.", hint="resilience teach --drift")
    if har:
        if len(names) != 1:
            raise UsageError(
                "--har: one service was expected beside it.", hint="resilience teach backend_api --har FILE"
            )
        learned = asyncio.run(teaching.learn_file(settings, names[0], _bytes_of(har)))
    else:
        learned = asyncio.run(teaching.teach_routes(settings, names, _say, learn=not drift))
    _tell(learned, as_json)
    leave(0 if learned.generations or not learned.asked else 30)


def _bytes_of(name: str) -> bytes:
    """Return the file's bytes. Raises UsageError where it cannot be read, or would not fit into memory."""
    path = Path(name)
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{name} is larger than {_LARGEST >> 30} GiB.", hint="save a part of it")
        return path.read_bytes()
    except OSError as exc:
        raise UsageError(f"{name} cannot be read: {exc.strerror}.", hint=f"ls -l {name}") from exc


def _tell(learned: Learned, as_json: bool) -> None:
    if as_json:
        taught = [
            {"service": one.service, "generation": one.number, **{name: one.manifest[name] for name in _TOLD}}
            for one in learned.generations
        ]
        found = {name: builtins_of(one) for name, one in learned.drift.items()}
        print_json({"schema": 1, "taught": taught, "drift": found, "notes": list(learned.notes)})
    else:
        sys.stdout.write("".join(f"{note}\n" for note in learned.notes))


_TOLD = ("source", "at", "build", "exchanges", "gaps")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
