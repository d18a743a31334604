"""Let staging teach its stand-ins, by GETs of its own routes, by a file of recordings, or by the schema of its databases."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Json
from resilience.cli.output import builtins_of, leave, print_json
from resilience.core.errors import UsageError

with on_demand():
    from resilience.runs import due as deciding, rehearsing, teaching, teaching_data
    from resilience.teach import store

if TYPE_CHECKING:
    from resilience.core.settings import Settings
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
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what a lesson would take of databases, and keep nothing.")
    ] = False,
    due: Annotated[
        bool, typer.Option("--due", help="For a scheduler: teach and rehearse only if it is time for it.")
    ] = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
) -> None:
    """Let staging teach its stand-ins: routes, a HAR, databases.

    \b
      resilience teach                          routes, contracts, databases
      resilience teach database --plan          what it would take, masked how
      resilience teach backend_api --har FILE   what a browser saved
      resilience teach --drift                  has staging changed since?
      resilience teach --due                    for cron: only if it is time
    """
    settings = settings_from(config, environment)
    names = list(services or ())
    if sum(map(bool, (har, drift, plan, due))) > 1:
        raise UsageError("--har, --drift, --plan and --due: one of them was expected.", hint="resilience teach --drift")
    if plan:
        _plan(settings, names, as_json)
    if due:
        _what_is_due(settings, names, as_json)
    if har:
        if len(names) != 1:
            raise UsageError(
                "--har: one service was expected beside it.", hint="resilience teach backend_api --har FILE"
            )
        learned = asyncio.run(teaching.learn_file(settings, names[0], _bytes_of(har)))
    else:
        learned = asyncio.run(_learned(settings, names, learn=not drift))
    _tell(learned, as_json)
    leave(0 if learned.generations or not learned.asked else 30)


async def _learned(settings: Settings, names: list[str], *, learn: bool) -> Learned:
    """Hold the lessons of databases and those of routes and contracts, of the services named or of all.

    Where there are databases alone, that none has routes is no error. Without `learn` nothing is asked of a database.
    """
    databases = [one.name for one in teaching_data.teachable(settings, names)] if learn else []
    others = [name for name in names if name not in databases]
    rest = any(one.teach and one.name not in databases for one in settings.services) if not names else bool(others)
    first = await teaching_data.teach(settings, databases, _say) if databases else None
    if first is not None and not rest:
        return first
    second = await teaching.teach_routes(settings, others, _say, learn=learn)
    if first is None:
        return second
    return teaching.Learned(
        generations=(*first.generations, *second.generations),
        notes=(*first.notes, *second.notes),
        drift=second.drift,
        asked=first.asked + second.asked,
    )


def _databases(settings: Settings, names: list[str]) -> list[str]:
    """Return the databases to plan for. Raises UsageError where there is none."""
    found = [service.name for service in teaching_data.teachable(settings, names)]
    if not found:
        raise UsageError("no database teaches.", hint='teach = ["schema"] below its [[service]]')
    return found


def _plan(settings: Settings, names: list[str], as_json: bool) -> NoReturn:
    lines = asyncio.run(teaching_data.plan(settings, _databases(settings, names)))
    if as_json:
        print_json({"schema": 1, "plan": list(lines)})
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    leave(0)


def _what_is_due(settings: Settings, names: list[str], as_json: bool) -> NoReturn:
    """Teach and rehearse where it is time for it; say so where it is not. What is not well now is tried again at the next call."""
    kept, now = store.Store(settings.state), datetime.now(UTC)
    learned = teaching.Learned(notes=("no lesson is due",), asked=0)
    if deciding.lesson_due(settings, kept, now):
        try:
            learned = asyncio.run(_learned(settings, names, learn=True))
        except UsageError as exc:
            learned = replace(learned, notes=(str(exc),))  # its tests alone teach it, which no scheduler runs here
    if deciding.rehearsal_due(settings, kept, now):
        done = asyncio.run(rehearsing.rehearse(settings, output=_nowhere, say=_say))
        told = tuple(f"{name}: {one.said}" for name, one in done.fidelity.items())
        learned = replace(learned, notes=(*learned.notes, *told))
    _tell(learned, as_json)
    leave(0 if learned.generations or not learned.asked else 30)


def _nowhere(_: bytes) -> None:
    """Let what the tests print go to no log of a scheduler."""


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
