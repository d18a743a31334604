"""Say what is applied, what runs and who holds the lock, and what to type."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from resilience import stand_ins as local
from resilience.cli.arguments import settings_from
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Json
from resilience.cli.output import print_json
from resilience.core import codec
from resilience.core.errors import RecordError, UsageError
from resilience.core.records import SCHEMA, Incident, StageName
from resilience.core.settings import Settings
from resilience.fallback import journal as journals
from resilience.host import lock
from resilience.host.vantage import vantage
from resilience.runs import runbook
from resilience.show import terminal

app = verb()


@app.command()
def status(
    hand_over: Annotated[bool, typer.Option("--hand-over", help="In full sentences, for the next engineer.")] = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
) -> None:
    """What is applied, what runs, who holds the lock; --hand-over prints it for the next engineer."""
    settings = settings_from(config, environment)
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
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "applied": None,
        "lock": None if held is None else {"who": str(held), "verb": held.verb, "since": held.since, "pid": held.pid},
        "stand_ins": [codec.to_builtins(stand_in) for stand_in in stand_ins],
        "latest_run": None,
        "env_file": str(settings.env_file),
        "next": "resilience assess",
    }
    if journal is not None:
        dead = [stand_in.service for stand_in in stand_ins if not stand_in.ready]
        document["applied"] = {
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
            "here": journal.host == vantage().host,
        }
        document["next"] = _next(journal, dead)
    try:
        folder = runbook.latest(settings)
        incident = codec.from_json((folder / "incident.json").read_bytes(), Incident, source=folder / "incident.json")
    except (UsageError, OSError):
        pass
    except RecordError as exc:
        document["latest_run"] = {"folder": str(runbook.latest(settings)), "error": str(exc)}
    else:
        stages = {stage.name.value: stage.status.value for stage in incident.stages}
        killed = next((name.value for name in _LOCKING if held is None and stages.get(name.value) == "started"), "")
        document["latest_run"] = {
            "run": incident.run,
            "folder": str(folder),
            "verdict": incident.verdict.value,
            "exit_code": incident.exit_code,
            "stages": stages,
            "killed_in": killed,
        }
        if killed and (journal is None or document["applied"]["here"]):
            document["next"] = f"resilience resume {incident.run}" + (", or resilience restore" if journal else "")
    return document


_LOCKING = (StageName.APPLY_FALLBACK, StageName.RUN_TESTS)
"""The stages that hold the lock: one that began while nobody holds it was killed."""


def _next(journal: journals.Journal, dead: list[str]) -> str:
    if journal.host != vantage().host:
        return f"on host {journal.host}: resilience restore"
    if journal.unfinished:
        return (
            f"resilience resume {Path(journal.folder).parent.name}/{Path(journal.folder).name}, or resilience restore"
        )
    if dead:
        return f"resilience services up {' '.join(dead)}"
    return "resilience test, then resilience recover once staging is back"


def show(document: dict[str, Any], settings: Settings, *, hand_over: bool = False) -> None:
    """Print what `gather` found; `hand_over` in full sentences with each step, for the next engineer."""
    out = terminal.out
    applied, held, latest = document["applied"], document["lock"], document["latest_run"]
    if applied is None:
        terminal.headline(out, "FALLBACK: none is applied here")
    else:
        word = "UNFINISHED" if applied["status"] == "unfinished" else applied["status"].upper()
        terminal.headline(
            out,
            f"FALLBACK: {word} (mode {applied['mode']}, by {applied['user']}@{applied['host']} since {applied['started_at']})",
        )
        if hand_over:
            out.print(
                f"Run {applied['run']}, commit {applied['commit'][:12] or 'unknown'}, folder {applied['folder']}",
                markup=False,
                soft_wrap=True,
            )
            for step in applied["steps"]:
                out.print(f"  {step['at']}  {step['what']}", markup=False, soft_wrap=True)
            out.print(f"Restore puts back: {', '.join(applied['files'])}", markup=False, soft_wrap=True)
        elif applied["status"] == "unfinished":
            out.print(f"Last step done: {applied['steps'][-1]['what']}", markup=False)
        if applied["dead_stand_ins"]:
            out.print(f"[red]Died since: {', '.join(applied['dead_stand_ins'])}[/red]")
    out.print("Lock: " + ("free" if held is None else f"held by {held['who']}"), markup=False)
    for stand_in in local.status(settings):
        out.print(terminal.stand_in_line(stand_in))
    if warning := local.warning(settings):
        out.print(f"[yellow]{warning}[/yellow]")
    if latest:
        killed = latest.get("killed_in")
        what = f"killed in {killed}" if killed else latest.get("verdict", latest.get("error"))
        out.print(f"Latest run: {latest.get('run', latest['folder'])}: {what}", markup=False, soft_wrap=True)
        if hand_over and "stages" in latest:
            for name, status in latest["stages"].items():
                out.print(f"  {name}: {status}", markup=False)
            out.print(f"Report: {latest['folder']}/report.html", markup=False, soft_wrap=True)
    out.print(f"[bold]Next:[/bold] {document['next']}", soft_wrap=True)
