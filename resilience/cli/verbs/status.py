"""Say what is applied, what runs and who holds the lock, and what to type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
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
    from resilience.core import codec, moments, next_steps, records, words
    from resilience.fallback import journal as journals, standing
    from resilience.host import files, lock
    from resilience.runs import escalating, folder as folders, memory, owner, recalling
    from resilience.show import terminal
    from resilience.teach import store

if TYPE_CHECKING:
    from resilience.core.next_steps import Step
    from resilience.core.settings import Settings
    from resilience.core.taught import Taught


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
    left = journals.left_behind(settings.state, settings.places.env_files)
    steps = _steps(settings, journal, dead, latest, left)
    return {
        "schema": records.SCHEMA,
        "staging": _last_look(settings),
        "applied": None if journal is None else _applied(journal, dead),
        "left_behind": None if left is None else {"file": str(left.path), "run": left.run, "why": str(left)},
        "lock": None if held is None else {"who": str(held), "verb": held.verb, "since": held.since, "pid": held.pid},
        "stand_ins": [codec.to_builtins(stand_in) for stand_in in stand_ins],
        "taught": [codec.to_builtins(one) for name in _teaching(settings) for one in _current(settings, name)],
        "latest_run": latest,
        "outage": _outage(settings),
        "env_file": str(settings.env_file),
        "next": next_steps.in_one_line(steps),
        "steps": [{"command": step.command, "why": step.why} for step in steps],
    }


def _teaching(settings: Settings) -> list[str]:
    return [service.name for service in settings.services if service.teach]


def _current(settings: Settings, name: str) -> list[Taught]:
    return [one for one in store.taught_of(store.Store(settings.state), name) if one.current]


def _last_look(settings: Settings) -> dict[str, Any] | None:
    """Return how staging was when it was last looked at from here; None where nobody looked, or that cannot be read."""
    with suppress(OSError, RecordError):
        health = codec.from_json(memory.snapshot(settings.state).read_bytes(), records.InfrastructureHealth)
        return {
            "overall_status": health.overall_status.value,
            "looked_at": health.started_at.isoformat(timespec="seconds"),
            "line": words.staging_line(health),
        }
    return None


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
        "here": standing.is_here(journal),
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
        "said": _said(incident),
        "started_at": incident.started_at.isoformat(timespec="seconds"),
        "exit_code": incident.exit_code,
        "stages": stages,
        "killed_in": begun[0] if begun and not locked else "",
        "elsewhere": owner.elsewhere(incident),
    }


def _said(incident: records.Incident) -> str:
    """Return what a run came to, in the words of its report; one that tested nothing says how staging was."""
    tested = incident.tests or incident.critical_tests or incident.full_tests
    blocked = incident.decision is not None and incident.decision.blocked
    judged = incident.verdict in (records.Verdict.UNKNOWN, records.Verdict.INFRASTRUCTURE_UNAVAILABLE)
    if judged and tested is None and not blocked:
        return f"no test was run; {words.run_code_phrase(incident)}"
    mode = incident.decision.mode if incident.decision is not None else None
    # What was known until then is below in a report, and not here.
    return words.verdict_phrase(incident.verdict, mode).removesuffix("; what was known until then is below")


def _steps(
    settings: Settings,
    journal: journals.Journal | None,
    dead: list[str],
    latest: Mapping[str, Any] | None,
    left: journals.LeftBehind | None,
) -> Sequence[Step]:
    """Return what to type. How staging was does not count: what is typed next depends on how it is."""
    killed = str(latest["run"]) if latest is not None and latest.get("killed_in") else ""
    file = str(left.path) if left is not None else ""
    configured = settings.source is not None
    situation = standing.situation_of(journal, dead, killed=killed, configured=configured, left_behind=file)
    return next_steps.next_steps(situation)


def show(document: Mapping[str, Any], settings: Settings, *, hand_over: bool = False) -> None:
    """Print what `gather` found, the state of things first; `hand_over` in sentences, for the next engineer."""
    now = datetime.now(UTC)
    out = terminal.out
    if hand_over:
        for sentence in _sentences(document, now):
            terminal.say(sentence)
    else:
        terminal.headline(out, _staging(document["staging"], now), _fallback(document, now))
        if document["applied"] is not None and document["applied"]["status"] == "unfinished":
            terminal.say(f"Last step done: {document['applied']['steps'][-1]['what']}")
    for stand_in in local.status(settings):
        out.print(terminal.stand_in_line(stand_in))
    if names := _teaching(settings):
        for line in store.lines(store.Store(settings.state), names, now, settings.teach.stale_days):
            terminal.say(line)
    if document["applied"] is not None and document["applied"]["dead_stand_ins"]:
        out.print(f"[red]Died since: {', '.join(document['applied']['dead_stand_ins'])}[/red]")
    if warning := local.warning(settings):
        out.print(f"[yellow]{warning}[/yellow]")
    if not hand_over:
        terminal.say(_lock(document["lock"]))
    if document["outage"]:
        _show_outage(document["outage"], now, paste=hand_over)
    if document["latest_run"]:
        if not hand_over:
            terminal.say(f"Latest run: {_latest(document['latest_run'], now)}")
        if "verdict" in document["latest_run"]:
            terminal.show_report(Path(document["latest_run"]["folder"]) / "report.html")
    terminal.show_steps([next_steps.Step(**step) for step in document["steps"]])


def _staging(look: Mapping[str, Any] | None, now: datetime) -> str:
    if look is None:
        return "STAGING: nobody has looked at it from here yet"
    return f"{look['line']} (looked at {_when(look['looked_at'], now)})"


def _fallback(document: Mapping[str, Any], now: datetime) -> str:
    applied, left = document["applied"], document["left_behind"]
    if left is not None:
        return f"FALLBACK: NOT KNOWN: {left['why']}"
    if applied is None:
        return "FALLBACK: none is applied here"
    who = f"mode {applied['mode']}, by {applied['user']}@{applied['host']}, since {_when(applied['started_at'], now)}"
    return f"FALLBACK: {applied['status'].upper()} ({who})"


def _lock(held: Mapping[str, Any] | None) -> str:
    return "Lock: free" if held is None else f"Lock: held by {held['who']}"


def _latest(latest: Mapping[str, Any], now: datetime) -> str:
    """Return the latest run and what it came to, in the words of its report."""
    if "verdict" not in latest:
        return f"{latest['folder']}: {latest['error']}"
    what = latest["said"]
    if latest["killed_in"]:
        what = f"killed in {latest['killed_in']}"
    if host := latest["elsewhere"]:
        what = f"without an end; its owner is on {host}, and whether it still works is not known from here"
    return f"{latest['run']}: {what} (begun {_when(latest['started_at'], now)})"


def _show_outage(outage: Mapping[str, Any], now: datetime, *, paste: bool) -> None:
    terminal.say(f"Outage: {outage['incident']}, since {_when(outage['since'], now)}")
    for label, value in (("Cost so far", outage["cost"]), ("Before", outage["again"])):
        if value:
            terminal.say(f"{label}: {value}")
    notices = tuple(codec.from_json(codec.to_json(one), records.Notice) for one in outage["escalation"])
    terminal.show_notices(notices, paste=paste)


def _sentences(document: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Yield what the next engineer must know, a sentence each: staging, the fallback with each step, the lock, the latest run."""
    look, applied, held, latest = (document[name] for name in ("staging", "applied", "lock", "latest_run"))
    if look is None:
        yield "Nobody has looked at staging from here yet."
    else:
        yield f"Staging was looked at last at {_when(look['looked_at'], now)}, and that look said: {look['line']}."
    if document["left_behind"] is not None:
        yield document["left_behind"]["why"]
    elif applied is None:
        yield "No fallback is applied here, so that nothing is to be put back."
    else:
        state = "is applied" if applied["status"] == "applied" else f"is {applied['status']}"
        yield (
            f"A fallback {state} in mode {applied['mode']}: {applied['user']} began it on {applied['host']} "
            f"at {_when(applied['started_at'], now)}, at commit {applied['commit'][:12] or 'unknown'}."
        )
        yield f"It belongs to run {applied['run']}, whose records are in {applied['folder']}."
        steps = [f"at {datetime.fromisoformat(step['at']):%H:%M:%S} UTC {step['what']}" for step in applied["steps"]]
        yield f"These steps were done: {'; '.join(steps)}."
        yield f"Restore puts back to the byte {words.listing(applied['files'])}, and touches no database of staging."
    yield "Nobody holds the lock." if held is None else f"The lock is held by {held['who']}."
    if latest:
        yield f"The latest run is {_latest(latest, now)}."
        if "stages" in latest:
            stages = [
                f"{name.replace('_', ' ')} {status.replace('_', ' ')}" for name, status in latest["stages"].items()
            ]
            yield f"Its stages: {words.listing(stages)}."


def _when(at: str, now: datetime) -> str:
    moment = datetime.fromisoformat(at)
    return f"{moments.clock(moment, now=now)}, {moments.ago(moment, now=now)}"
