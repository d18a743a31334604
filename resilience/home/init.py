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
from resilience.core.kind import Kind, Template
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
    suggested = tuple(name for name, (_, template) in _templates().items() if template.suggested)
    toml = _toml(root, services or suggested, names, tests, markers, python)
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


def _templates() -> Mapping[str, tuple[Kind, Template]]:
    """Return the guide's services, by name, in the order in which they are proposed."""
    return {template.name: (kind, template) for kind, template in KINDS.templates()}


def _guess(variables: Mapping[str, Sequence[str]], images: Iterable[str]) -> tuple[str, ...]:
    names = {name.removeprefix("STAGING_") for file in variables.values() for name in file}
    pictures = tuple(images)
    return tuple(
        name
        for name, (_, template) in _templates().items()
        if any(re.fullmatch(template.variables, variable) for variable in names)
        or (template.images and any(re.search(template.images, image) for image in pictures))
    )


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
        parts += ["", *_service_lines(root, *_templates()[name], names, markers, services)]
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
    kind: Kind,
    template: Template,
    names: frozenset[str],
    markers: Sequence[str],
    services: Sequence[str],
) -> Iterator[str]:
    """Yield the lines of one [[service]]: of what a template offers, that which this repository has variables, markers
    and services for, and never a password where nothing exported hands it on."""
    exports = [pair for pair in template.exports if pair[0] in names] or [template.exports[0]]
    url, local_url = template.url, template.local
    sign, by_parts = template.url_by_parts
    if sign in names:
        url = by_parts
    if template.local_password and not any("{local}" in value or "{password}" in value for _, value in exports):
        local_url = local_url.replace(template.local_password, "")
    yield "[[service]]"
    yield f'name = "{template.name}"'
    yield f'type = "{kind.name}"'
    yield f'url = "{url}"'
    yield f'local = "{local_url}"'
    yield "exports = { " + ", ".join(f'{variable} = "{value}"' for variable, value in exports) + " }"
    if template.migrates and (tool := _migration(root)):
        yield f"# prepare = [{_quoted(tool)}]   # once you have seen that it reads what is exported above"
    yield from template.extra
    if template.critical:
        yield "critical = true"
    if depends := [service for service in template.needs if service in services]:
        yield f"depends_on = [{', '.join(map(_quoted, depends))}]"
    if used := [marker for marker in template.markers if marker in markers]:
        yield f"markers = [{', '.join(map(_quoted, used))}]"


def _migration(root: Path) -> str:
    if (root / "alembic.ini").exists():
        return "alembic upgrade head"
    return "python manage.py migrate" if (root / "manage.py").exists() else ""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
