"""Read every output of a run, and say in sentences where two of them tell different ends."""

from __future__ import annotations

import html
import json
import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from xml.etree import ElementTree as ET  # what we wrote ourselves

from resilience.cli.verbs.status import gather
from resilience.core.records import Incident, Verdict
from resilience.report.view.formats import when
from resilience.report.view.headline import verdict as headline
from resilience.runs.configuration import load_settings
from resilience.runs.folder import read_incident
from resilience.runs.owner import as_found, is_killed
from resilience.show.notebook.incident import verdict_of

_CODE_MD = re.compile(r"\*\*Exit code\*\* \| (\d+)")
_CODE_HTML = re.compile(r"Exit code</(?:th|dt|td)>\s*<(?:td|dd)[^>]*>\s*(\d+)")


def disagreements(folder: Path, *, process: int | None = None) -> list[str]:
    """Return what an output of this run says otherwise than `incident.json`; `process` is the exit code, below 0 a signal.

    The code of `apply` and `recover` is about what they did, and has a name of its own in the record and in the report.
    Where a kill left the run without an end, an output may be missing or say that it goes on, and nothing else.
    """
    incident = as_found(read_incident(folder))
    killed = is_killed(read_incident(folder))
    found: list[str] = []
    if incident.verdict is Verdict.RUNNING:
        found.append("incident.json: running, and its owner lives")
    own = incident.exit_code if incident.command is None else incident.command.exit_code
    if process is not None and (128 - process if process < 0 else process) != own:
        found.append(f"process: {process}, incident.json: {own} ({incident.command})")
    found += _report(folder, incident, killed=killed)
    found += _exports(folder, incident, killed=killed)
    found += _notebooks(folder, incident)
    found += _beside(folder, incident, killed=killed)
    return found


def _report(folder: Path, incident: Incident, *, killed: bool) -> list[str]:
    found = []
    phrase = headline(incident)[0].rstrip(".")
    for name, code_in in (("report.md", _CODE_MD), ("report.html", _CODE_HTML)):
        file = folder / name
        if not file.exists():
            continue
        text = file.read_text()
        codes = {int(code) for code in code_in.findall(text)}
        if codes != (set() if killed else {incident.exit_code}):
            found.append(f"{name}: exit code {codes or 'none'}, incident.json: {incident.exit_code}")
        plain = html.unescape(text).replace("\\", "")
        if (phrase if not killed else "Still running") not in plain:
            found.append(f"{name}: does not say {phrase!r}")
        if incident.finished_at is not None and when(incident.finished_at, day=True) not in plain:
            found.append(f"{name}: another end than {incident.finished_at}")
        command = incident.command
        if command and command.exit_code != incident.exit_code:
            said = f"resilience {command.verb}: exit code {command.exit_code}"
            if said not in re.sub(r"[`*]|<[^>]+>", "", plain):
                found.append(f"{name}: does not say {said!r}")
        if "restored" in plain and "from applied to restored" in plain and incident.restored is None:
            found.append(f"{name}: 'from applied to restored', and nothing was restored")
    return found


def _exports(folder: Path, incident: Incident, *, killed: bool) -> list[str]:
    found = []
    file = folder / "junit.xml"
    if file.exists():
        top = ET.fromstring(file.read_text()).findall("./properties/property")
        said = {one.get("name"): one.get("value") for one in top}
        wanted = (Verdict.RUNNING.value, None) if killed else (incident.verdict.value, str(incident.exit_code))
        if (said.get("run_verdict"), said.get("run_exit_code")) != wanted:
            found.append(f"junit.xml: {said}, wanted {wanted}")
        suites = ET.fromstring(file.read_text()).findall("./testsuite/properties/property[@name='exit_code']")
        codes = {one.get("value") for one in suites}
        if incident.tests is not None and not killed and codes and codes != {str(incident.tests.exit_code)}:
            found.append(f"junit.xml: the tests' {codes}, incident.json: {incident.tests.exit_code}")
    found += _for_other_tools(folder, incident, killed=killed)
    file = folder / "metrics.prom"
    if file.exists():
        values = re.findall(r"resilience_last_run_exit_code\{[^}]*\} (\S+)", file.read_text())
        if values != ([] if killed else [f"{incident.exit_code}"]):
            found.append(f"metrics.prom: {values}, incident.json: {incident.exit_code}")
    return found


def _for_other_tools(folder: Path, incident: Incident, *, killed: bool) -> list[str]:
    """Compare what the summary of an issue, CTRF and Allure say of the end; a killed run's files are those of before."""
    found = []
    if (file := folder / "summary.md").exists() and ("Still running" in file.read_text()) is not killed:
        found.append(f"summary.md: {file.read_text().splitlines()[2]!r}, incident.json: {incident.verdict.value}")
    wanted = Verdict.RUNNING.value if killed else incident.verdict.value
    if (file := folder / "ctrf.json").exists():
        results = json.loads(file.read_text())["results"]
        said = results["environment"]["extra"]["verdict"], results["tool"]["extra"]["exit_code"]
        if said != (wanted, None if killed else incident.exit_code):
            found.append(f"ctrf.json: {said}, incident.json: {incident.verdict.value}/{incident.exit_code}")
    file = folder / "allure-results" / "environment.properties"
    if file.exists() and f"verdict = {wanted}\n" not in file.read_text():
        found.append(f"allure: not {wanted}: {file.read_text()!r}")
    return found


def _notebooks(folder: Path, incident: Incident) -> list[str]:
    """Only the report's notebook, and one that is all in one, show the run behind its end."""
    found = []
    for file in (*folder.glob("notebooks/06_report.ipynb"), *folder.parents[2].glob("*.executed.ipynb")):
        cells = {cell.get("id"): cell for cell in json.loads(file.read_text())["cells"]}
        text = json.dumps(cells.get("finish", {}).get("outputs", []))
        for verdict in re.findall(rf"RUN {re.escape(incident.run)}: ([a-z -]+)", text):
            if not verdict.strip().startswith(verdict_of(incident)) and "no verdict yet" not in verdict:
                found.append(f"{file.name}: {verdict!r}, incident.json: {incident.verdict.value}")
    return found


def _beside(folder: Path, incident: Incident, *, killed: bool) -> list[str]:
    found = []
    outputs = folder.parents[1]
    row = None
    # A history that could not be made, on a full disk, says nothing.
    with closing(sqlite3.connect(outputs / "history.sqlite")) as database, suppress(sqlite3.OperationalError):
        row = database.execute("SELECT verdict, exit_code FROM run WHERE name = ?", (incident.run,)).fetchone()
    wanted = (incident.verdict.value, incident.exit_code)
    if row is not None and row != wanted and not (killed and row[0] == Verdict.RUNNING.value):
        found.append(f"history.sqlite: {row}, incident.json: {wanted}")
    latest = gather(load_settings(outputs.parent / "resilience.toml"))["latest_run"]
    if latest["run"] == incident.run and (latest["verdict"], latest["exit_code"]) != wanted:
        found.append(f"status: {latest['verdict']}/{latest['exit_code']}, incident.json: {wanted}")
    return found
