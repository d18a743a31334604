"""Start, stop and show the stand-ins on this machine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from resilience.cli.arguments import services_named, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Fresh, Json
from resilience.cli.output import builtins_of, leave, print_json
from resilience.show import sticky

with on_demand():
    from resilience import stand_ins as local
    from resilience.services import registry
    from resilience.show import terminal

if TYPE_CHECKING:
    from resilience.core.kind import Kind
    from resilience.core.records import StandIn
    from resilience.core.settings import Service, Settings


_HELP = """Start, stop and show the stand-ins on this machine.

\b
  resilience services up database redis
  resilience services status
  resilience services down
"""

app = verb(help=_HELP, no_args_is_help=True)


@app.command()
def up(
    names: Annotated[list[str] | None, typer.Argument()] = None,
    fresh: Fresh = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
) -> None:
    """Start the stand-ins of these services, or of all that have one."""
    settings = settings_from(config, environment)
    chosen = services_named(settings, names)
    with sticky.line("starting stand-ins"):
        started = asyncio.run(_start(chosen, settings, fresh))
    sticky.end()
    _show_stand_ins(started, as_json)
    leave(20 if any(not stand_in.ready for stand_in in started) else 0)


async def _start(chosen: Sequence[Service], settings: Settings, fresh: bool) -> tuple[StandIn, ...]:
    async with local.placed(chosen, settings) as placement:
        for line in placement.why.values():
            terminal.err.print(line)
        there = settings.at_ports(placement.ports)
        names = {service.name for service in chosen}
        return await local.start([one for one in there.services if one.name in names], there, fresh=fresh)


@app.command()
def down(
    names: Annotated[list[str] | None, typer.Argument()] = None, config: Config = "", environment: Environment = ""
) -> None:
    """Stop stand-ins that were started here. Data are kept."""
    settings = settings_from(config, environment)
    chosen = [service.name for service in services_named(settings, names)] if names else None
    stopped = asyncio.run(local.stop(settings, chosen))
    sys.stdout.write(f"stopped: {', '.join(stopped) or 'nothing was running'}\n")


@app.command()
def status(config: Config = "", environment: Environment = "", as_json: Json = False) -> None:
    """Which stand-ins run, where, with which data."""
    _show_stand_ins(local.status(settings_from(config, environment)), as_json)


@app.command()
def kinds(as_json: Json = False) -> None:
    """Which types a [[service]] may have, how they are addressed, and what stands in for them."""
    ours = [_told_of(kind) for kind in registry.KINDS]
    others = [name for name in registry.KINDS.names() if name not in {str(one["type"]) for one in ours}]
    if as_json:
        print_json({"schema": 1, "kinds": ours, "of_other_packages": others})
        return
    for one in ours:
        untried = f"; {one['untried']}" if one["untried"] else ""
        sys.stdout.write(f"{one['type']:13} {one['addresses']}; stand-in: {one['stand_in']}{untried}\n")
    for name in others:
        sys.stdout.write(f"{name:13} of another package\n")


def _told_of(kind: Kind) -> dict[str, str]:
    """Return what a person choosing a type wants to know of it. Kinds of other packages are not loaded for that."""
    own = "start, compose or image"
    if kind.is_mocked:
        own = f"a mock, {own}"
    elif kind.doubles is not None:
        own = f"a real server ({kind.doubles.install}), {own}"
    addresses = " ".join(f"{kind.url_prefix}{scheme}://" for scheme in kind.schemes)
    return {"type": kind.name, "title": kind.title, "addresses": addresses, "stand_in": own, "untried": kind.untried}


def _show_stand_ins(stand_ins: Sequence[StandIn], as_json: bool) -> None:
    if as_json:
        print_json({"schema": 1, "services": [builtins_of(stand_in) for stand_in in stand_ins]})
        return
    for stand_in in stand_ins:
        terminal.out.print(terminal.stand_in_line(stand_in))
    if not stand_ins:
        terminal.out.print("No stand-in runs. Start them: resilience services up")
