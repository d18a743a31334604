"""Say what is applied, what runs, who holds the lock and what is missing here, and what to type."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resilience import stand_ins as local
from resilience.core import codec
from resilience.core.errors import NotConfiguredError, RecordError, ResilienceError, UsageError
from resilience.core.records import SCHEMA, Incident, StageName
from resilience.fallback import journal as journals
from resilience.host import lock
from resilience.host.files import make_folder
from resilience.host.vantage import vantage
from resilience.runs import runbook
from resilience.runs.configuration import load_settings
from resilience.show import terminal

if TYPE_CHECKING:
    from resilience.core.settings import Settings


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


async def doctor(config: str, environment: str) -> int:
    """Say what is missing, unset, unreachable or never drilled, each with what to type; 0 where nothing is."""
    from resilience.home.doctor import diagnose

    settings = load_settings(config or None, environment=environment)
    results = None
    try:
        results = (await runbook.look(settings, remember=False)).services
    except NotConfiguredError:
        pass
    except ResilienceError as exc:
        terminal.err.print(str(exc), markup=False)
    findings = diagnose(settings, results=results)
    bad = [finding for finding in findings if not finding.ok]
    for finding in findings:
        sign = "[green]ok[/green]  " if finding.ok else "[yellow]look[/yellow]"
        terminal.out.print(f"{sign} [bold]{finding.what}[/bold]: ", end="")
        terminal.out.print(
            finding.found + (f" (expected: {finding.expected})" if not finding.ok and finding.expected else ""),
            markup=False,
        )
        if not finding.ok and finding.hint:
            terminal.out.print(f"       → {finding.hint}", markup=False, soft_wrap=True)
    terminal.out.print(f"{len(findings) - len(bad)} of {len(findings)} as expected.")
    return 0 if not bad else 10


def init_repository(folder: Path, *, write: bool) -> int:
    """Show what would be written for this repository, and write it where asked to."""
    from resilience.home.init import inspect_repository, write as write_proposal

    proposal = inspect_repository(folder)
    for line in proposal.found:
        terminal.out.print(f"  found: {line}", markup=False)
    terminal.out.print("[bold]resilience.toml[/bold] would say:" if not write else "[bold]resilience.toml[/bold]")
    sys.stdout.write(proposal.toml + "\n")
    sure = write
    if not write and sys.stdin.isatty() and sys.stdout.isatty():
        import typer

        sure = typer.confirm("Write resilience.toml and the git-ignored folder .resilience/?")
    if not sure:
        terminal.out.print("Nothing was written. To write it: resilience init --write")
        return 0
    for path in write_proposal(proposal):
        terminal.out.print(f"Wrote {path}", markup=False)
    terminal.out.print("[bold]Next:[/bold] resilience doctor")
    return 0


def open_notebooks(folder: str, *, browser: bool) -> int:
    """Open a copy of the notebooks in JupyterLab, so that what is typed into them changes nothing of ours."""
    from resilience.notebook.engine import notebooks_folder

    jupyter = Path(sys.executable).with_name("jupyter-lab")
    found = str(jupyter) if jupyter.exists() else shutil.which("jupyter-lab")
    if found is None:
        raise UsageError(
            "JupyterLab is not installed beside this tool.", hint='pipx inject resilience-runbook "jupyterlab>=4.2"'
        )
    source = notebooks_folder()
    target = Path(folder).expanduser() if folder else load_settings().root / ".resilience" / "notebooks"
    make_folder(target)
    for notebook in sorted(source.glob("*.ipynb")):
        copy = target / notebook.name
        if not copy.exists() or _same_cells(copy, notebook):
            shutil.copyfile(notebook, copy)
    terminal.out.print(f"Opening {target / '00_incident.ipynb'}", markup=False)
    command = [found, str(target / "00_incident.ipynb")] + ([] if browser else ["--no-browser"])
    return subprocess.call(command, cwd=target)


def _same_cells(one: Path, other: Path) -> bool:
    """Say whether two notebooks hold the same sources, so that replacing one loses nothing that was typed."""

    def cells(path: Path) -> list[str]:
        return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]

    try:
        return cells(one) == cells(other)
    except (ValueError, KeyError, OSError):
        return False
