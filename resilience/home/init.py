"""Turn what lies in a repository into a proposed configuration, and write it."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resilience.core.envtext import read_env_text
from resilience.core.errors import SettingsError, UsageError
from resilience.core.records import ServiceType
from resilience.services.registry import KINDS
from resilience.settings.build import build
from resilience.settings.environment import find_root

CONFIG_NAME = "resilience.toml"
FOLDER = ".resilience"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What `init` would write for a repository; nothing has been written."""

    root: Path
    toml: str
    found: tuple[str, ...]


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
