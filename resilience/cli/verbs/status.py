"""Say what is applied, what runs and who holds the lock, and what to type."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Json
from resilience.cli.output import print_json
from resilience.core.errors import RecordError, UsageError

with on_demand():
    from resilience import stand_ins as local
    from resilience.core import codec, records
    from resilience.fallback import journal as journals
    from resilience.host import files, lock, vantage
    from resilience.runs import escalating, folder as folders, owner, recalling
    from resilience.show import terminal

if TYPE_CHECKING:
    from resilience.core.settings import Settings


app = verb()


@app.command()
def status(
    hand_over: Annotated[bool, typer.Option("--hand-over", help="In full sentences, for the next engineer.")] = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
) -> None:
    """How staging is, what is applied, what ran last, what is next.

    \b
      resilience status
      resilience status --hand-over            in sentences, for the next engineer
    """
    settings = settings_from(config, environment)
    files.sweep()
    found = gather(settings)
    if as_json:
        print_json(found)
    else:
        show(found, settings, hand_over=hand_over)


def gather(settings: Settings) -> dict[str, Any]:
    """Return the document of `status --json`. Reading never locks and changes nothing."""
    journal = journals.load(settings.state)
    held = lock.holder(settings.state)
    stand_ins = local.status(settings)
    dead = [stand_in.service for stand_in in stand_ins if not stand_in.ready]
    latest = _latest_run(settings, locked=held is not None)
    return {
        "schema": records.SCHEMA,
        "applied": None if journal is None else _applied(journal, dead),
        "lock": None if held is None else {"who": str(held), "verb": held.verb, "since": held.since, "pid": held.pid},
        "stand_ins": [codec.to_builtins(stand_in) for stand_in in stand_ins],
        "latest_run": latest,
        "outage": _outage(settings),
        "env_file": str(settings.env_file),
        "next": _next(journal, dead, latest),
    }


def _outage(settings: Settings) -> dict[str, Any] | None:
    """Return what the history knows of the outage that lasts, by its last look; None where there is none."""
    lasting = escalating.lasting_outage(settings)
    if lasting is None:
        return None
    known = recalling.recalled_now(settings, lasting.id)
    return {
        "incident": lasting.id,
        "since": lasting.since.isoformat(timespec="seconds"),
        "last_look": lasting.last_look,
        "cost": known.cost if known is not None else "",
        "again": known.again if known is not None else "",
        "escalation": [codec.to_builtins(notice) for notice in lasting.notices],
    }


def _applied(journal: journals.Journal, dead: list[str]) -> dict[str, Any]:
    return {
        "run": journal.run,
        "mode": journal.mode,
        "status": "unfinished" if journal.unfinished else journal.status,
        "host": journal.host,
        "user": journal.user,
        "started_at": journal.started_at.isoformat(timespec="seconds"),
        "commit": journal.commit,
        "folder": journal.folder,
        "steps": [{"at": step.at.isoformat(timespec="milliseconds"), "what": step.what} for step in journal.steps],
        "files": [file.path for file in journal.files],
        "stand_ins": list(journal.stand_ins),
        "dead_stand_ins": dead,
        "here": _is_here(journal),
    }


def _latest_run(settings: Settings, *, locked: bool) -> dict[str, Any] | None:
    """Return what the newest run's record says, or why it cannot be read; None where there is no run."""
    try:
        folder = folders.latest(settings)
        incident = owner.as_found(folders.read_incident(folder))
    except (UsageError, OSError):
        return None
    except RecordError as exc:
        return {"folder": str(folder), "error": str(exc)}
    stages = {stage.name.value: stage.status.value for stage in incident.stages}
    # These stages hold the lock: one that began while nobody holds it was killed.
    locking = (records.StageName.APPLY_FALLBACK, records.StageName.RUN_TESTS)
    begun = [name.value for name in locking if stages.get(name.value) == "started"]
    return {
        "run": incident.run,
        "folder": str(folder),
        "verdict": incident.verdict.value,
        "exit_code": incident.exit_code,
        "stages": stages,
        "killed_in": begun[0] if begun and not locked else "",
        "elsewhere": owner.elsewhere(incident),
    }


def _next(journal: journals.Journal | None, dead: list[str], latest: Mapping[str, Any] | None) -> str:
    """Return what to type: first where, then what a killed run needs, then what the fallback does."""
    if journal is not None and not _is_here(journal):
        return f"on host {journal.host}: resilience restore"
    if latest is not None and latest.get("killed_in"):
        return f"resilience resume {latest['run']}" + (", or resilience restore" if journal else "")
    if journal is None:
        return "resilience assess"
    if journal.unfinished:
        folder = Path(journal.folder)
        return f"resilience resume {folder.parent.name}/{folder.name}, or resilience restore"
    if dead:
        return f"resilience services up {' '.join(dead)}"
    return "resilience test, then resilience recover once staging is back"


def _is_here(journal: journals.Journal) -> bool:
    return journal.host == vantage.vantage().host


def show(document: Mapping[str, Any], settings: Settings, *, hand_over: bool = False) -> None:
    """Print what `gather` found; `hand_over` in full sentences with each step, for the next engineer."""
    out, held = terminal.out, document["lock"]
    if document["applied"] is None:
        terminal.headline(out, "FALLBACK: none is applied here")
    else:
        _show_applied(document["applied"], hand_over)
    out.print("Lock: " + ("free" if held is None else f"held by {held['who']}"), markup=False)
    for stand_in in local.status(settings):
        out.print(terminal.stand_in_line(stand_in))
    if warning := local.warning(settings):
        out.print(f"[yellow]{warning}[/yellow]")
    if document["outage"]:
        outage = document["outage"]
        _say(
            f"Outage: {outage['incident']}, since {outage['since']}; at the last look staging was {outage['last_look']}"
        )
        for label, value in (("Cost so far", outage["cost"]), ("Before", outage["again"])):
            if value:
                _say(f"{label}: {value}")
        notices = tuple(codec.from_json(codec.to_json(one), records.Notice) for one in outage["escalation"])
        terminal.show_notices(notices, paste=hand_over)
    if document["latest_run"]:
        _show_latest_run(document["latest_run"], hand_over)
    out.print(f"[bold]Next:[/bold] {document['next']}", soft_wrap=True)


def _show_applied(applied: Mapping[str, Any], hand_over: bool) -> None:
    """Say who applied what and since when; the last step where it broke off, all of them for a hand-over."""
    who = f"mode {applied['mode']}, by {applied['user']}@{applied['host']} since {applied['started_at']}"
    terminal.headline(terminal.out, f"FALLBACK: {applied['status'].upper()} ({who})")
    if hand_over:
        commit = applied["commit"][:12] or "unknown"
        _say(f"Run {applied['run']}, commit {commit}, folder {applied['folder']}")
        for step in applied["steps"]:
            _say(f"  {step['at']}  {step['what']}")
        _say(f"Restore puts back: {', '.join(applied['files'])}")
    elif applied["status"] == "unfinished":
        terminal.out.print(f"Last step done: {applied['steps'][-1]['what']}", markup=False)
    if applied["dead_stand_ins"]:
        terminal.out.print(f"[red]Died since: {', '.join(applied['dead_stand_ins'])}[/red]")


def _show_latest_run(latest: Mapping[str, Any], hand_over: bool) -> None:
    killed = latest.get("killed_in")
    what = f"killed in {killed}" if killed else latest.get("verdict", latest.get("error"))
    if host := latest.get("elsewhere"):
        what = f"without an end; its owner is on {host}, and whether it still works is not known from here"
    _say(f"Latest run: {latest.get('run', latest['folder'])}: {what}")
    if hand_over and "stages" in latest:
        for name, status in latest["stages"].items():
            _say(f"  {name}: {status}")
        _say(f"Report: {latest['folder']}/report.html")


def _say(line: str) -> None:
    terminal.out.print(line, markup=False, soft_wrap=True)
