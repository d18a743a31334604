"""Look at a repository and this machine, and say what is there, what is missing and what to type."""

from __future__ import annotations

import configparser
import difflib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resilience import stand_ins as local
from resilience.core.envtext import read_env_text
from resilience.core.errors import ResilienceError, SettingsError, UsageError
from resilience.core.records import ConnectivityResult, ConnectivityStatus, ServiceType
from resilience.core.settings import Service, Settings
from resilience.fallback import journal
from resilience.services.registry import KINDS
from resilience.settings.build import build
from resilience.settings.environment import find_root, shipped

CONFIG_NAME = "resilience.toml"
FOLDER = ".resilience"
_ASK_S = 5.0
"""Deadline of one question to a command, such as docker's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What `init` would write for a repository; nothing has been written."""

    root: Path
    toml: str
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing `doctor` looked at: what was found, what was expected, and what to type where they differ."""

    what: str
    found: str
    expected: str = ""
    hint: str = ""
    ok: bool = True


def inspect_repository(folder: Path) -> Proposal:
    """Propose a configuration from pytest's settings, markers, the names in env files, compose files and interpreter.

    Values of env files are never looked at beyond what finding the names takes; nothing is run.
    """
    root = find_root(folder.resolve() / CONFIG_NAME)
    source, paths, markers = _pytest_settings(root)
    variables = _variable_names(root)
    images = _images(root)
    python = next((name for name in (".venv/bin/python", "venv/bin/python") if (root / name).exists()), "")
    tests = paths or tuple(name for name in ("tests", "test") if (root / name).is_dir())
    services = _guess(variables, (image for image, _ in images))
    found = [
        f"pytest settings in {source}" if source else "no pytest settings",
        f"tests in {', '.join(tests)}" if tests else "no folder of tests by its usual name: pytest is run as it is",
        f"markers {', '.join(markers)}" if markers else "no markers",
        *(f"{len(names)} variables in {file}" for file, names in variables.items()),
        *(f"image {image} in {file}" for image, file in images),
        f"interpreter {python}" if python else "no virtual environment here: python from PATH",
        f"services: {', '.join(services)}" if services else "no service by its variables or image: two are suggested",
    ]
    if (root / CONFIG_NAME).exists():
        found.append(f"{CONFIG_NAME} is there already and will be left as it is")
    names = frozenset(name for file in variables.values() for name in file)
    toml = _toml(root, services or ("database", "backend_api"), names, tests, markers, python)
    build(toml, source=root / CONFIG_NAME, root=root, environ={}, profile_texts={}, kinds=KINDS)
    return Proposal(root=root, toml=toml, found=tuple(found))


def write(proposal: Proposal) -> tuple[Path, ...]:
    """Write the configuration and the git-ignored folder; return their paths. A configuration that is there is kept."""
    target, folder = proposal.root / CONFIG_NAME, proposal.root / FOLDER
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(proposal.toml)
    except FileExistsError as exc:
        raise UsageError(
            f"{target} is there already, nothing was written.", hint=f"edit it, or: mv {CONFIG_NAME} {CONFIG_NAME}.old"
        ) from exc
    folder.mkdir(exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return target, ignore


def _pytest_settings(root: Path) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the file with pytest's settings, its test paths and its markers, in the order pytest itself looks."""
    for name, section in (
        ("pytest.ini", "pytest"),
        (".pytest.ini", "pytest"),
        ("pyproject.toml", ""),
        ("tox.ini", "pytest"),
        ("setup.cfg", "tool:pytest"),
    ):
        values = _toml_section(root / name) if not section else _ini_section(root / name, section)
        if values is not None:
            markers = (re.match(r"[A-Za-z_]\w*", line.strip()) for line in _lines(values.get("markers", "")))
            paths = (word for line in _lines(values.get("testpaths", "")) for word in line.split())
            return name, tuple(paths), tuple(marker[0] for marker in markers if marker)
    return "", (), ()


def _lines(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else str(value).splitlines()


def _toml_section(path: Path) -> Mapping[str, object] | None:
    try:
        tool = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get("pytest")
    except (OSError, ValueError, AttributeError):
        return None
    return tool.get("ini_options", tool) if isinstance(tool, dict) else None


def _ini_section(path: Path, section: str) -> Mapping[str, object] | None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(path.read_text("utf-8"))
    except (OSError, ValueError, configparser.Error):
        return None
    return dict(parser[section]) if parser.has_section(section) else None


def _variable_names(root: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted((*root.glob(".env*"), *root.glob("config/.env*"))):
        if not path.is_file() or path.stat().st_size > 200_000:
            continue
        try:
            found[str(path.relative_to(root))] = tuple(read_env_text(path.read_text("utf-8"), path.name))
        except (OSError, UnicodeDecodeError, SettingsError):
            found[str(path.relative_to(root))] = ()
    return found


def _images(root: Path) -> tuple[tuple[str, str], ...]:
    """Return the images in compose files. Names are all that is needed, so that no YAML reader is."""
    files = {path for folder in (root, root / "docker") for path in folder.glob("*compose*.y*ml") if path.is_file()}
    found: list[tuple[str, str]] = []
    for path in sorted(files):
        text = path.read_text("utf-8", "replace")[:200_000]
        for match in re.finditer(r"^\s*image:\s*[\"']?([^\s\"'#]+)", text, re.M):
            found.append((match[1][:80], str(path.relative_to(root))))
    return tuple(found)


_SIGNS: Mapping[str, tuple[str, str]] = {
    "database": (r"DATABASE_URL|DB_URL|(POSTGRES|PG|DB)_?(HOST|USER|DATABASE|NAME|DB)", r"postg"),
    "redis": (r"REDIS_?\w*", r"redis|valkey"),
    "clickhouse": (r"CLICKHOUSE_?\w*", r"clickhouse"),
    "backend_api": (r"(BACKEND|API|SERVER)_(BASE_)?URL", r"(?!)"),
    "auth_service": (r"AUTH_(SERVICE_|SERVER_|BASE_)?URL|OIDC_\w+|AUTH_ISSUER", r"keycloak|/auth"),
    "websocket": (r"(WEBSOCKET|WS)_(BASE_)?URL", r"(?!)"),
    "llm_service": (r"LLM_(BASE_)?URL|OPENAI_(API_)?(BASE|KEY|BASE_URL)", r"ollama|vllm"),
}
"""Service of the guide → what its variables and its images are called."""


def _guess(variables: Mapping[str, Sequence[str]], images: Iterable[str]) -> tuple[str, ...]:
    names = {name.removeprefix("STAGING_") for file in variables.values() for name in file}
    pictures = tuple(images)
    return tuple(
        service
        for service, (pattern, image) in _SIGNS.items()
        if any(re.fullmatch(pattern, name) for name in names) or any(re.search(image, one) for one in pictures)
    )


@dataclass(frozen=True, slots=True)
class _Template:
    type: str
    url: str
    local: str
    exports: tuple[tuple[str, str], ...]
    """What a team's code may read; the ones that its env files name are kept, else the first."""
    critical: bool = False
    markers: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


_PASSWORD = "local-stand-in-only"  # noqa: S105  guards nothing: loopback only, the same for everybody
_TEMPLATES: Mapping[str, _Template] = {
    "database": _Template(
        ServiceType.POSTGRESQL,
        "${STAGING_DATABASE_URL}",
        f"postgresql://resilience:{_PASSWORD}@127.0.0.1:5435/resilience_test",
        (
            ("DATABASE_URL", "{local}"),
            ("DB_URL", "{local}"),
            *((f"{prefix}_HOST", "{host}") for prefix in ("POSTGRES", "DB")),
            *((f"{prefix}_PORT", "{port}") for prefix in ("POSTGRES", "DB")),
            *((f"{prefix}_USER", "{user}") for prefix in ("POSTGRES", "DB")),
            *((f"{prefix}_PASSWORD", "{password}") for prefix in ("POSTGRES", "DB")),
            *((name, "{database}") for name in ("POSTGRES_DB", "DB_NAME", "POSTGRES_DATABASE", "PGDATABASE")),
            *(("PGHOST", "{host}"), ("PGPORT", "{port}"), ("PGUSER", "{user}"), ("PGPASSWORD", "{password}")),
        ),
        critical=True,
        markers=("real_database", "database", "db", "postgres", "postgresql"),
        extra=('ready_query = "select 1"', 'network = "vpc"                     # services that share a network path'),
    ),
    "redis": _Template(
        ServiceType.REDIS,
        "${STAGING_REDIS_URL}",
        f"redis://:{_PASSWORD}@127.0.0.1:6382/0",
        (
            ("REDIS_URL", "{local}"),
            ("REDIS_HOST", "{host}"),
            ("REDIS_PORT", "{port}"),
            ("REDIS_PASSWORD", "{password}"),
        ),
        markers=("real_redis", "redis"),
        extra=('network = "vpc"',),
    ),
    "clickhouse": _Template(
        ServiceType.CLICKHOUSE,
        "${STAGING_CLICKHOUSE_URL}",
        f"http://resilience:{_PASSWORD}@127.0.0.1:8126/resilience_test",
        (
            ("CLICKHOUSE_URL", "{local}"),
            ("CLICKHOUSE_HOST", "{host}"),
            ("CLICKHOUSE_PORT", "{port}"),
            ("CLICKHOUSE_USER", "{user}"),
            ("CLICKHOUSE_PASSWORD", "{password}"),
            ("CLICKHOUSE_DB", "{database}"),
        ),
        markers=("clickhouse", "real_clickhouse"),
    ),
    "backend_api": _Template(
        ServiceType.HTTP,
        "${STAGING_BACKEND_URL}",
        "http://127.0.0.1:8090/health",
        tuple((name, "http://{host}:{port}") for name in ("BACKEND_URL", "API_URL", "API_BASE_URL", "SERVER_URL")),
        critical=True,
        markers=("real_services", "backend", "api"),
    ),
    "auth_service": _Template(
        ServiceType.HTTP,
        "${STAGING_AUTH_URL}",
        "http://127.0.0.1:8091/health",
        tuple((name, "http://{host}:{port}") for name in ("AUTH_SERVICE_URL", "AUTH_URL", "AUTH_ISSUER")),
        markers=("real_auth", "auth"),
    ),
    "websocket": _Template(
        ServiceType.WEBSOCKET,
        "${STAGING_WEBSOCKET_URL}",
        "ws://127.0.0.1:8092/ws",
        tuple((name, "{local}") for name in ("WEBSOCKET_URL", "WS_URL", "WS_BASE_URL")),
        markers=("websocket", "ws"),
    ),
    "llm_service": _Template(
        ServiceType.OPENAI,
        "${STAGING_LLM_URL}",
        "http://127.0.0.1:8093/v1",
        tuple((name, "{local}") for name in ("LLM_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE", "LLM_BASE_URL")),
        markers=("real_llm", "llm"),
    ),
}


def _toml(
    root: Path,
    services: Sequence[str],
    names: frozenset[str],
    tests: Sequence[str],
    markers: Sequence[str],
    python: str,
) -> str:
    parts = [
        "# Written by `resilience init` from what it found here; every line is yours to change. The url of a service comes",
        "# from the environment: a variable that is unset makes it not configured, and then it is never probed.",
        "",
        "[runbook]",
        'environment = "staging"',
        f'env_file = "{FOLDER}/.env.test.active"',
        f'outputs = "{FOLDER}/outputs"',
        f"python = {_quoted(python)}",
    ]
    for name in services:
        parts += ["", *_service_lines(root, name, _TEMPLATES[name], names, markers, services)]
    run = f"pytest {' '.join(shlex.quote(path) for path in tests)}".strip()
    outside = [marker for marker in ("staging", "real_services") if marker in markers]
    essential = [marker for marker in ("critical", "mission_critical", "golden_path", "smoke") if marker in markers]
    selects = {
        "full": "",
        "degraded": "",
        "offline": " and ".join(f"not {marker}" for marker in outside),
        "critical_only": " or ".join(essential),
    }
    for mode, select in selects.items():
        parts += ["", f"[modes.{mode}]", f"commands = [{_quoted(run)}]"]
        if select:
            parts.append(f"select = {_quoted(select)}")
        elif mode == "critical_only":
            parts.append(
                '# select = "critical"             # mark the tests the business hangs on; without it all are run'
            )
    return "\n".join([*parts, ""])


def _service_lines(
    root: Path,
    name: str,
    template: _Template,
    names: frozenset[str],
    markers: Sequence[str],
    services: Sequence[str],
) -> Iterator[str]:
    exports = [pair for pair in template.exports if pair[0] in names] or [template.exports[0]]
    url, local_url = template.url, template.local
    if name == "database" and "STAGING_POSTGRES_HOST" in names:
        login = "${STAGING_POSTGRES_USER}:${STAGING_POSTGRES_PASSWORD}"
        url = f"postgresql://{login}@${{STAGING_POSTGRES_HOST}}:${{STAGING_POSTGRES_PORT}}/${{STAGING_POSTGRES_DB}}"
    if name == "redis" and not any("{local}" in value or "{password}" in value for _, value in exports):
        local_url = local_url.replace(f":{_PASSWORD}@", "")  # a client that is told no password sends none
    yield "[[service]]"
    yield f'name = "{name}"'
    yield f'type = "{template.type}"'
    yield f'url = "{url}"'
    yield f'local = "{local_url}"'
    yield "exports = { " + ", ".join(f'{variable} = "{value}"' for variable, value in exports) + " }"
    if name == "database" and (tool := _migration(root)):
        yield f"# prepare = [{_quoted(tool)}]   # once you have seen that it reads what is exported above"
    yield from template.extra
    if template.critical:
        yield "critical = true"
    needs = {"backend_api": ("database", "redis", "auth_service"), "websocket": ("backend_api",)}.get(name, ())
    if depends := [service for service in needs if service in services]:
        yield f"depends_on = [{', '.join(map(_quoted, depends))}]"
    if used := [marker for marker in template.markers if marker in markers]:
        yield f"markers = [{', '.join(map(_quoted, used))}]"


def _migration(root: Path) -> str:
    if (root / "alembic.ini").exists():
        return "alembic upgrade head"
    return "python manage.py migrate" if (root / "manage.py").exists() else ""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


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
        _engine(),
        _jupyter(),
        _drilled(settings),
        _control(settings),
    )


def _configuration(settings: Settings) -> Finding:
    shown = "none" if settings.source is None else _near(settings.source, settings.root)
    own = settings.source is not None and settings.source.parent != shipped("config")
    if own or settings.root == shipped("config").parent:
        return Finding(what="configuration", found=shown)
    return Finding(
        what="configuration",
        found="none of your own; the shipped one is used",
        expected=f"{CONFIG_NAME} in this repository",
        hint="resilience init",
        ok=False,
    )


def _service_finding(
    service: Service,
    settings: Settings,
    results: Sequence[ConnectivityResult] | None,
    environ: Mapping[str, str],
) -> Finding:
    what = f"service {service.name}"
    if not service.configured:
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
    result = next((result for result in results or () if result.name == service.name), None)
    if result is None:
        return Finding(what=what, found="configured, not asked")
    seconds = "" if result.response_time_s is None else f" after {result.response_time_s:.2f} s"
    detail = f": {result.detail}" if result.detail else ""
    well = result.status is ConnectivityStatus.AVAILABLE
    return Finding(
        what=what,
        found=f"{result.status}{seconds}{detail if not well else ''}",
        expected="" if well else "available",
        hint="" if well else result.hint or "resilience assess",
        ok=well,
    )


def _stand_ins(settings: Settings) -> Iterator[Finding]:
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
    for mode, mode_settings in settings.modes.items():
        for command in mode_settings.commands:
            if (word := _first_word(command)) and not _runs(word, settings, environ):
                missing.setdefault(word, mode)
    for word, wanted_by in missing.items():
        yield Finding(
            what="test commands",
            found=f"{word}, of mode {wanted_by}, is not on PATH",
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


def _first_word(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    return next((word for word in words if "=" not in word.split("/")[0]), "")


def _runs(word: str, settings: Settings, environ: Mapping[str, str]) -> bool:
    if word in ("cd", "set", "export", "source", ".", "exec", "eval", "test", "[", "if", "for", "while", "(", "{"):
        return True
    beside = Path(settings.python).parent / word if settings.python else None
    places = [settings.root / word, *([settings.root / beside] if beside else [])]
    return bool(shutil.which(word, path=environ.get("PATH"))) or any(_executable(place) for place in places)


def _executable(path: Path) -> Path | None:
    return path if path.is_file() and os.access(path, os.X_OK) else None


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
        found="not installed; headless runs do without",
        expected="JupyterLab, to work in the notebooks by hand",
        hint="pipx inject resilience-runbook 'jupyterlab>=4.2'",
        ok=False,
    )


def _drilled(settings: Settings) -> Finding:
    runs = sorted(settings.outputs.glob("*/*/incident.json"), reverse=True)[:200]
    for path in runs:
        try:
            record = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(record, dict) and record.get("drill"):
            return Finding(what="drill", found=f"{record['drill']} on {path.parent.parent.name}")
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
        return CONFIG_NAME
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
