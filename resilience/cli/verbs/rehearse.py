"""Run the tests on taught stand-ins while staging is well, and say how many end as on staging."""

from __future__ import annotations

import asyncio
import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Json
from resilience.cli.output import builtins_of, leave, pass_through, print_json

with on_demand():
    from resilience.runs import rehearsing

if TYPE_CHECKING:
    from resilience.runs.rehearsing import Rehearsal


app = verb()
_SHOWN = 20


@app.command(context_settings={"allow_extra_args": True, "allow_interspersed_args": False})
def rehearse(
    command: Annotated[
        list[str] | None, typer.Argument(help="A command after --; else those of mode full.", metavar="[-- COMMAND...]")
    ] = None,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
) -> None:
    """The tests on taught stand-ins, without staging: fidelity.

    \b
      resilience rehearse                        the commands of mode full
      resilience rehearse -- pytest tests/api    another command
      resilience rehearse --json
    """
    settings = settings_from(config, environment)
    commands = [command[0] if len(command) == 1 else shlex.join(command)] if command else []
    done = asyncio.run(
        rehearsing.rehearse(settings, commands, output=pass_through(sys.stderr) if as_json else None, say=_say)
    )
    if as_json:
        told = {
            name: {**builtins_of(one), "percent": one.percent, "differing": builtins_of(done.differing[name])}
            for name, one in done.fidelity.items()
        }
        print_json({"schema": 1, "services": told, "not_rehearsed": done.not_rehearsed})
    else:
        _show(done)
    leave(0 if any(one.ran for one in done.fidelity.values()) else 21)


def _show(done: Rehearsal) -> None:
    """Print a line a service, and below it each test that did not end as on staging."""
    for name, one in done.fidelity.items():
        sys.stdout.write(f"{name}: {one.said}\n")
        for test in done.differing[name][:_SHOWN]:
            why = f": {test.why}" if test.why else ""
            sys.stdout.write(f"  {test.test}: {test.on_staging} on staging, {test.on_stand_ins} here{why}\n")
        if len(done.differing[name]) > _SHOWN:
            sys.stdout.write(f"  and {len(done.differing[name]) - _SHOWN} more: --json\n")
    if done.not_rehearsed:
        sys.stdout.write(f"{done.not_rehearsed} tests of the lesson were held back or not selected here.\n")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
