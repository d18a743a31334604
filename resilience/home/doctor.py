"""Look at a configuration and this machine, and say what is missing, unset, unreachable or never drilled."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from resilience import stand_ins as local
from resilience.core.errors import RecordError, ResilienceError
from resilience.core.records import ConnectivityResult, ConnectivityStatus
from resilience.core.redact import Redactor
from resilience.core.settings import Service, Settings
from resilience.core.taught import freshness, said
from resilience.core.urls import url_parts
from resilience.fallback import journal
from resilience.home.collecting import collect
from resilience.home.commands import Candidate, pytest_words
from resilience.home.walk import Files
from resilience.host import seen
from resilience.host.platforms import support_of
from resilience.runs.folder import INCIDENT, read_incident
from resilience.services.standing_in import stand_ins_of
from resilience.services.teaching import lessons_of
from resilience.settings.environment import CONFIG_NAMES, shipped
from resilience.teach.store import Store, taught_of

_ASK_S = 5.0
"""Deadline of one question to a command, such as docker's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing `doctor` looked at: what was found, what was expected, and what to type where they differ."""

    what: str
    found: str
    expected: str = ""
    hint: str = ""
    ok: bool = True


def diagnose(
    settings: Settings,
    *,
    results: Sequence[ConnectivityResult] | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    """Return what is missing, unset, unreachable or never drilled. `results` is a look at the services, where there was one."""
    environ = os.environ if environ is None else environ
    return (
        _configuration(settings),
        *(_service_finding(service, settings, results, environ) for service in settings.services),
        *_stand_ins(settings),
        *_env_file(settings, environ),
        *_profiles(settings),
        *_ignored(settings),
        _writable(settings),
        *_commands(settings, environ),
        *_collected(settings, environ),
        *_said_commands(settings),
        *_unreached(settings),
        *_extensions(settings),
        *_lessons(settings),
        _system(),
        _engine(),
        _jupyter(),
        *_taught(settings),
        _drilled(settings),
        _control(settings),
    )


def _configuration(settings: Settings) -> Finding:
    """Say which configuration is read: the team's own and only one, as an edit of a second would change nothing."""
    shown = "none" if settings.source is None else _near(settings.source, settings.root)
    own = settings.source is not None and settings.source.parent != shipped("config")
    if own or settings.root == shipped("config").parent:
        there = [name for name in CONFIG_NAMES if (settings.root / name).exists()]
        if others := [name for name in there if name != shown and shown in CONFIG_NAMES]:
            return Finding(
                what="configuration",
                found=f"{shown}; {' and '.join(others)} is there as well, and is not read",
                expected="one configuration",
                hint=f"mv {others[0]} {others[0]}.old",
                ok=False,
            )
        return Finding(what="configuration", found=shown)
    return Finding(
        what="configuration",
        found="none of your own; the shipped one is used",
        expected=f"{CONFIG_NAMES[0]} in this repository",
        hint="resilience init",
        ok=False,
    )


def _service_finding(
    service: Service,
    settings: Settings,
    results: Sequence[ConnectivityResult] | None,
    environ: Mapping[str, str],
) -> Finding:
    """Say how a service is: whether it is configured, then what the look found, with the look's own hint."""
    what = f"service {service.name}"
    if not service.configured:
        return _unconfigured(what, service, settings, environ)
    result = next((result for result in results or () if result.name == service.name), None)
    if result is None:
        return Finding(what=what, found="configured, not asked")
    seconds = "" if result.response_time_s is None else f" after {result.response_time_s:.2f} s"
    if result.status is ConnectivityStatus.AVAILABLE:
        return Finding(what=what, found=f"{result.status}{seconds}")
    return Finding(
        what=what,
        found=f"{result.status}{seconds}" + (f": {result.detail}" if result.detail else ""),
        expected="available",
        hint=result.hint or "resilience assess",
        ok=False,
    )


def _unconfigured(what: str, service: Service, settings: Settings, environ: Mapping[str, str]) -> Finding:
    """Name what is unset and any variable almost called so; what a shell took from a stand-in is taken back first."""
    found = f"not configured, unset: {', '.join(service.unset)}" if service.unset else "not configured, no url"
    close = [near for name in service.unset for near in difflib.get_close_matches(name, environ, 1, 0.85)]
    if settings.applied_run and any(name in service.local_names for name in service.unset):
        hint = 'eval "$(resilience env --unset)"   # what is set now is the stand-in\'s'
    elif service.unset:
        hint = f"export {' '.join(f'{name}=…' for name in service.unset)}"
    else:
        hint = f'url = "…" in {_near(settings.source, settings.root)}'
    return Finding(
        what=what,
        found=f"{found}; {', '.join(close)} is set" if close else found,
        expected="staging's own address",
        hint=hint,
        ok=False,
    )


def _stand_ins(settings: Settings) -> Iterator[Finding]:
    """Say of each service whether its stand-in's address is complete, and whether there is anything to start it from."""
    for service in settings.services:
        if service.local_unset:
            yield Finding(
                what=f"stand-in of {service.name}",
                found=f"unset: {', '.join(service.local_unset)}",
                expected="a value in the environment or in .env.test.resilient beside the configuration",
                hint=f"export {service.local_unset[0]}=…",
                ok=False,
            )
    services = [service for service in settings.services if service.local]
    for answer in local.availability(services, settings):
        reason, _, hint = answer.reason.partition(" Hint: ")
        yield Finding(
            what=f"stand-in of {answer.service}",
            found=reason,
            expected="" if answer.usable else "something to start it from",
            hint="" if answer.usable else hint or f"resilience services up {answer.service}",
            ok=answer.usable,
        )


def _env_file(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Say whether a fallback is applied, and of a shell whether it still has what was applied once."""
    shown = _near(settings.env_file, settings.root)
    try:
        applied = journal.load(settings.state)
    except ResilienceError as exc:
        yield Finding(
            what="env file", found=exc.message, expected="a journal that can be read", hint=exc.hint, ok=False
        )
        return
    if applied is not None:
        yield Finding(
            what="env file",
            found=f"{shown} is applied",
            expected="nothing applied, once staging is well again",
            hint="resilience status",
            ok=False,
        )
        return
    there = settings.env_file.exists()
    yield Finding(what="env file", found=f"{shown} is there, nothing is applied" if there else "nothing is applied")
    if run := environ.get("RESILIENCE_APPLIED", ""):
        yield Finding(
            what="this shell",
            found=f"still has the variables of {run}, which is no longer applied",
            expected="a shell without them",
            hint='eval "$(resilience env --unset)"',
            ok=False,
        )


_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)(\s*)=(\s*)(.*?)(?:\s+#.*)?$")
_SAME = re.compile(r"[^\s$`;&|<>()*?~!\\\"']*|'[^'\\]*'|\"[^\"$`\\]*\"")
"""Values that need no reading between the lines: plain ones, and quotes around anything but what a shell acts on."""


def _profiles(settings: Settings) -> Iterator[Finding]:
    """Point to lines of env files that a shell would read differently, such as a value with a blank or a `$`."""
    for path in filter(Path.is_file, settings.profiles.values()):
        for number, line in enumerate(path.read_text("utf-8-sig", "replace").splitlines(), start=1):
            match = _ASSIGNMENT.match(line)
            if match and not line.lstrip().startswith("#") and (match[2] or match[3] or not _SAME.fullmatch(match[4])):
                yield Finding(
                    what=f"{_near(path, settings.root)}:{number}",
                    found=f"{match[1]} is read differently by a shell and by dotenv",
                    expected="a line that both read the same",
                    hint=f"{match[1]}='…'   # no blanks around =, single quotes around the value",
                    ok=False,
                )


def _ignored(settings: Settings) -> Iterator[Finding]:
    if shutil.which("git") is None or not (settings.root / ".git").exists():
        return
    for path in (settings.env_file, settings.outputs / "x"):
        if path.is_relative_to(settings.root) and _not_ignored(path, settings.root):
            name = _near(path if path == settings.env_file else settings.outputs, settings.root)
            yield Finding(
                what="git",
                found=f"{name} is not ignored",
                expected="an ignored path: what is applied or found is nobody else's",
                hint=f"echo {shlex.quote(name)} >> .gitignore",
                ok=False,
            )


def _not_ignored(path: Path, root: Path) -> bool:
    """Whether git says so: 1. Anything else is ignored, or no repository."""
    words = ("git", "-C", str(root), "check-ignore", "--quiet", str(path))
    try:
        return subprocess.run(words, capture_output=True, timeout=_ASK_S, stdin=subprocess.DEVNULL).returncode == 1
    except (OSError, subprocess.SubprocessError):
        return False


def _writable(settings: Settings) -> Finding:
    for path in (settings.outputs, settings.state, settings.data):
        nearest = next(folder for folder in (path, *path.parents) if folder.exists())
        if not os.access(nearest, os.W_OK):
            return Finding(
                what="folders",
                found=f"{nearest} cannot be written",
                expected="a folder of yours",
                hint="export RESILIENCE_STATE=/tmp/resilience" if path != settings.outputs else 'outputs = "…"',
                ok=False,
            )
    return Finding(what="folders", found="outputs, state and data can be written")


def _commands(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look up what the configured commands begin with, the interpreter included, as a shell would."""
    if settings.python:
        found = shutil.which(settings.python, path=environ.get("PATH")) or _executable(settings.root / settings.python)
        yield Finding(
            what="interpreter",
            found=str(found or f"{settings.python} is not there"),
            expected="" if found else "an interpreter that can be run",
            hint="" if found else 'python = ".venv/bin/python" in [runbook]',
            ok=bool(found),
        )
    missing: dict[str, str] = {}
    told = [(f"of mode {mode}", mode_settings.commands) for mode, mode_settings in settings.modes.items()]
    told += [(f"to prepare {service.name}", service.prepare) for service in settings.services]
    for wanted_by, commands in told:
        for command in commands:
            for word in _first_words(command):
                if not _runs(word, settings, environ):
                    missing.setdefault(word, wanted_by)
    for word, wanted_by in missing.items():
        yield Finding(
            what="test commands",
            found=f"{word}, {wanted_by}, is not on PATH",
            expected="a command this shell can run",
            hint='activate the tests\' environment, or: python = ".venv/bin/python" in [runbook]',
            ok=False,
        )
    if not settings.modes:
        yield Finding(
            what="test commands",
            found="none",
            expected="commands per mode",
            hint='[modes.full] with commands = ["pytest tests/"]',
            ok=False,
        )
    elif not missing:
        yield Finding(what="test commands", found="all can be run")


def _said_commands(settings: Settings) -> Iterator[Finding]:
    """Show each command that the configuration may have us run, so that trusting a repository is a choice with open eyes."""
    redactor = Redactor(settings.secrets)
    where = _near(settings.source, settings.root)
    told = (
        *((f"mode {mode.value}", mode_settings.commands) for mode, mode_settings in settings.modes.items()),
        *((f"the stand-in of {service.name}, to prepare it", service.prepare) for service in settings.services),
        ("the tests' environment (env_command)", (settings.env_command,) if settings.env_command else ()),
    )
    for what, commands in told:
        for command in commands:
            yield Finding(what=f"{where} runs", found=f"{redactor.short(command)}   # for {what}")


def _first_words(command: str) -> Iterator[str]:
    """Yield the program of each part of a command; of `cd backend && pytest` that is cd, and pytest."""
    for part in re.split(r"&&|\|\||;", command):
        try:
            words = shlex.split(part)
        except ValueError:
            continue
        if word := next((word for word in words if "=" not in word.split("/")[0]), ""):
            yield word


_MOST_COLLECTED = 3
"""Commands whose tests are collected: each imports the team's code, and modes mostly share one."""


def _collected(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Ask pytest how many tests each command would run, with what the services export: nothing of them is run."""
    if settings.source is not None and settings.source.parent == shipped("config") != settings.root / "config":
        return
    commands = dict.fromkeys(command for mode in settings.modes.values() for command in mode.commands)
    redactor = Redactor(settings.secrets)
    exports = {name: value.reveal() for service in settings.services for name, value in service.exports.items()}
    for command in list(commands)[:_MOST_COLLECTED]:
        words = pytest_words(command)
        folder = re.match(r"cd ([\w./-]+) && ", command)
        if not words:
            continue
        candidate = Candidate(words=words, where="", folder=folder[1] if folder else "")
        found = collect(candidate, settings.root, settings.python, {**environ, **exports})
        if found.no_pytest:
            # Said of the command's program already, where it cannot be run.
            continue
        if found.error or not found.count:
            yield Finding(
                what=redactor.text(f"tests of {command}"),
                found=redactor.text(found.error) or "none",
                expected="tests that pytest can collect",
                hint=redactor.text(f"{candidate.command} --collect-only"),
                ok=False,
            )
        else:
            yield Finding(what=redactor.text(f"tests of {command}"), found=f"{found.count} collected")


def _unreached(settings: Settings) -> Iterator[Finding]:
    """Name stand-ins of which nothing tells the tests: at a port that is not the usual one they are not found."""
    for service in settings.services:
        if not service.local or service.exports or service.local_names:
            continue
        port = url_parts(service.local, service.kind).port
        usual = service.kind.default_port
        yield Finding(
            what=f"exports of {service.name}",
            found=f"none: the tests must look for it on port {port} by themselves",
            expected="" if port == usual else f"variables that say where it is, or its usual port {usual}",
            hint=""
            if port == usual
            else f'exports = {{ {service.name.upper()}_URL = "{{local}}" }} in its [[service]]',
            ok=port == usual,
        )


def _extensions(settings: Settings) -> Iterator[Finding]:
    """Name what staging has, or a migration wants, and no server installed here can have: before the incident."""
    files = Files(settings.root)
    for service in settings.services:
        if not service.local or service.kind.doubles is None:
            continue
        stand_ins = stand_ins_of(service.kind)
        known = seen.facts(settings.state, service.name).get("extensions", "")
        wanted = {part.split()[0] for part in known.split(",") if part.split()}
        for path in files.all:
            if path.endswith((".sql", ".py")) and ("migrat" in path or "version" in path or path.endswith(".sql")):
                wanted |= stand_ins.wanted_by(files.text(path))
        for name in stand_ins.lacks(wanted):
            yield Finding(
                what=f"stand-in of {service.name}",
                found=f"no extension {name} on this machine, which staging or a migration has",
                expected="a server that has it",
                hint=f"apt-cache search {name}"
                if shutil.which("apt-cache")
                else f"install {name}, then: resilience doctor",
                ok=False,
            )


def _lessons(settings: Settings) -> Iterator[Finding]:
    """Name what a service is asked to teach and nobody can read."""
    for service in (one for one in settings.services if one.teach):
        try:
            if (lessons := lessons_of(service.kind)) is not None:
                lessons.check(service)
        except ValueError as exc:
            yield Finding(
                what=f"lessons of {service.name}", found=str(exc), expected="rules that can be read", ok=False
            )


def _runs(word: str, settings: Settings, environ: Mapping[str, str]) -> bool:
    if word in ("cd", "set", "export", "source", ".", "exec", "eval", "test", "[", "if", "for", "while", "(", "{"):
        return True
    beside = Path(settings.python).parent / word if settings.python else None
    places = [settings.root / word, *([settings.root / beside] if beside else [])]
    return bool(shutil.which(word, path=environ.get("PATH"))) or any(_executable(place) for place in places)


def _executable(path: Path) -> Path | None:
    return path if path.is_file() and os.access(path, os.X_OK) else None


def _system() -> Finding:
    support = support_of(sys.platform, os.uname().release)
    return Finding(what="system", found=f"{support.name}: {support.known}")


def _engine() -> Finding:
    """Ask for the server's version: the mere presence of the command proves nothing."""
    version = _asked("docker", "version", "--format", "{{.Server.Version}}") if shutil.which("docker") else None
    if version and version[:1].isdigit():
        compose = _asked("docker", "compose", "version", "--short")
        return Finding(what="container engine", found=f"Docker {version}, compose {compose or 'is missing'}")
    return Finding(what="container engine", found="none answers; stand-ins come from binaries and wheels")


def _asked(*words: str) -> str | None:
    """Return the first line a command says, empty where it failed or is mute, None where it cannot be asked."""
    try:
        done = subprocess.run(words, capture_output=True, timeout=_ASK_S, text=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.strip().splitlines()
    return lines[0].strip() if lines and done.returncode == 0 else ""


def _jupyter() -> Finding:
    beside = Path(sys.executable).with_name("jupyter-lab")
    if beside.exists() or shutil.which("jupyter-lab"):
        return Finding(what="JupyterLab", found="installed")
    return Finding(
        what="JupyterLab",
        found="not installed; headless runs do without (by hand: pipx inject resilience-runbook 'jupyterlab>=4.2')",
    )


def _taught(settings: Settings) -> Iterator[Finding]:
    """Say for each service that teaches what is taught of it, and name what is missing, stale, damaged or has changed since."""
    now, kept = datetime.now(UTC), Store(settings.state)
    for service in (one for one in settings.services if one.teach):
        what = f"taught {service.name}"
        again = "resilience test --teach" if "traffic" in service.teach else "resilience teach"
        current = [one for one in taught_of(kept, service.name) if one.current]
        if not current:
            yield Finding(
                what=what, found="nothing yet", expected="what it says while it is well", hint=again, ok=False
            )
        for one in current:
            line = said(one, now, settings.teach.stale_days).removeprefix(f"{service.name} taught ")
            worn = one.stale or freshness(one.at, now, settings.teach.stale_days) == "stale"
            changed = one.drift is not None and bool(one.drift.drift)
            well = not (one.damaged or worn or changed or one.of_the_code)
            expected, hint = ("", "") if well else ("what staging says now", "resilience taught; " + again)
            yield Finding(what=what, found=line, expected=expected, hint=hint, ok=well)


def _drilled(settings: Settings) -> Finding:
    """Return the newest drill of the last 200 runs; a record that cannot be read proves none."""
    for folder in sorted((path.parent for path in settings.outputs.glob(f"*/*/{INCIDENT}")), reverse=True)[:200]:
        with suppress(RecordError, OSError):
            if drill := read_incident(folder).drill:
                return Finding(what="drill", found=f"{drill} on {folder.parent.name}")
    return Finding(
        what="drill",
        found="never drilled here",
        expected="a drill before the outage",
        hint="resilience drill database-unavailable",
        ok=False,
    )


def _control(settings: Settings) -> Finding:
    if settings.control_targets:
        return Finding(what="control targets", found=", ".join(settings.control_targets))
    return Finding(
        what="control targets", found="none: when everything times out, staging and this machine cannot be told apart"
    )


def _near(path: Path | None, root: Path) -> str:
    if path is None:
        return CONFIG_NAMES[0]
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
