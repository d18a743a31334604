"""List what staging taught, verify its bytes, or delete it."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Json
from resilience.cli.output import builtins_of, leave, print_json
from resilience.core.errors import UsageError, did_you_mean

with on_demand():
    from resilience import stand_ins
    from resilience.core import taught as teaching
    from resilience.fallback import journal
    from resilience.teach import key, store

if TYPE_CHECKING:
    from resilience.core.settings import Settings
    from resilience.core.taught import Drift, Taught
    from resilience.teach.store import Store


app = verb()


@app.command()
def taught(
    service: Annotated[str, typer.Argument(help="One service; else all.", metavar="[SERVICE]")] = "",
    verify: Annotated[bool, typer.Option("--verify", help="Read every byte of every generation again.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Delete it, and with the last of it the key.")] = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
) -> None:
    """What staging taught its stand-ins; --verify, --delete.

    \b
      resilience taught                        its age, gaps and fidelity
      resilience taught --verify               every byte of it is read again
      resilience taught backend_api --delete   with the last of it goes the key
    """
    settings = settings_from(config, environment)
    kept = store.Store(settings.state)
    names = _names(kept, settings, service)
    if delete:
        _delete(kept, settings, service, as_json)
        return
    found = [one for name in names for one in store.taught_of(kept, name, verify=verify)]
    if as_json:
        print_json({"schema": 1, "taught": [builtins_of(one) for one in found]})
    else:
        _show(found, settings)
    leave(30 if any(one.damaged for one in found) else 0)


def _names(kept: Store, settings: Settings, service: str) -> tuple[str, ...]:
    """Return the services to tell of: also one that the configuration no longer has, since its recordings are still there."""
    names = kept.services()
    known = {*names, *(one.name for one in settings.services)}
    if service and service not in known:
        raise UsageError(f"service {service!r} is unknown.", hint=did_you_mean(service, known))
    return tuple(name for name in names if not service or name == service)


def _delete(kept: Store, settings: Settings, service: str, as_json: bool) -> None:
    _refuse_in_use(settings)
    with kept.lesson():
        loaded = [one for one in settings.services if not service or one.name == service]
        loaded = [one for one in loaded if any(g.source == teaching.DATABASE for g in kept.generations(one.name))]
        others = [one for one in settings.services if one not in loaded]
        gone = kept.delete(service)
        forgotten = asyncio.run(stand_ins.forget(settings, loaded, keep=None if service else others))
    if not kept.services():
        key.delete(settings.data)
    if as_json:
        print_json({"schema": 1, "deleted": list(gone), "data_deleted": list(forgotten)})
    else:
        sys.stdout.write(f"deleted what was taught of: {', '.join(gone) or 'nothing was there'}\n")
        if forgotten:
            sys.stdout.write(f"deleted the data and logs of the stand-ins of: {', '.join(forgotten)}\n")


def _refuse_in_use(settings: Settings) -> None:
    """Raise UsageError where a fallback is applied: its stand-ins hold what would be deleted."""
    if journal.load(settings.state) is not None:
        raise UsageError("a fallback is applied: its stand-ins hold what was taught.", hint="resilience restore")


def _show_drift(drift: Drift) -> None:
    for line in drift.drift:
        sys.stdout.write(f"  changed since: {line}\n")
    for line in drift.added:
        sys.stdout.write(f"  added since: {line}\n")
    for line in drift.unchecked:
        sys.stdout.write(f"  {line}\n")


def _show(found: list[Taught], settings: Settings) -> None:
    """Print a line a generation, the newest first, and below it what it cannot answer and what of people it holds."""
    now = datetime.now(UTC)
    for one in found:
        old = "" if one.current else " (an earlier one)"
        line = teaching.said(one, now, settings.teach.stale_days)
        build = f", build {one.build}" if one.build else ""
        sys.stdout.write(
            f"{line}: generation {one.generation} by {one.source}, {one.size / 1024:.0f} KiB{build}{old}\n"
        )
        for gap in one.gaps if one.current else ():
            sys.stdout.write(f"  gap: {gap}\n")
        if one.drift is not None:
            _show_drift(one.drift)
        if one.current and one.personal:
            told = ", ".join(f"{count} {name}" for name, count in one.personal.items())
            sys.stdout.write(f"  of people: {told}\n")
    if not found:
        sys.stdout.write("Nothing is taught. While staging is well: resilience test --teach\n")
