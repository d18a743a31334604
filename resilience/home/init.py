"""Turn what lies in a repository into a proposed configuration, and write it."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from resilience.core.errors import UsageError
from resilience.core.kind import Kind, Template
from resilience.home.repository import Repository, look_at
from resilience.services.registry import KINDS
from resilience.settings.build import build
from resilience.settings.environment import CONFIG_NAMES, find_root

CONFIG_NAME = CONFIG_NAMES[0]
FOLDER = ".resilience"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What `init` would write for a repository; nothing has been written."""

    root: Path
    toml: str
    found: tuple[str, ...]

    @property
    def exported(self) -> tuple[str, ...]:
        """Return the variables of which the tests could get staging's own values."""
        tables = tomllib.loads(self.toml).get("service", ())
        return tuple(dict.fromkeys(name for table in tables for name in table.get("exports", ())))

    def with_staging_exports(self) -> Proposal:
        """Return the proposal in which the tests get staging's own values in mode full."""
        return replace(self, toml=self.toml.replace("\nstaging_exports = false ", "\nstaging_exports = true ", 1))


def inspect_repository(folder: Path) -> Proposal:
    """Propose a configuration from pytest's settings, markers, the names in env files, compose files and interpreter.

    Values of env files are never looked at beyond what finding the names takes; nothing is run. What is proposed has
    been read as a configuration.
    """
    repository = look_at(find_root(folder.resolve() / CONFIG_NAME))
    root = repository.root
    services = _guess(repository.variables, (image for image, _ in repository.images))
    toml = _toml(repository, services or tuple(t.name for _, t in _templates().values() if t.suggested))
    build(toml, source=root / CONFIG_NAME, root=root, environ={}, profile_texts={}, kinds=KINDS)
    return Proposal(root=root, toml=toml, found=tuple(_found(repository, services)))


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


def _found(repository: Repository, services: Sequence[str]) -> Iterator[str]:
    """Yield what was found, a line each; of what is missing, what is done without it."""
    file, tests = repository.settings_file, ", ".join(repository.tests)
    yield f"pytest settings in {file}" if file else "no pytest settings"
    yield f"tests in {tests}" if tests else "no folder of tests by its usual name: pytest is run as it is"
    yield f"markers {', '.join(repository.markers)}" if repository.markers else "no markers"
    yield from (f"{len(names)} variables in {name}" for name, names in repository.variables.items())
    yield from (f"image {image} in {name}" for image, name in repository.images)
    python = repository.python
    yield f"interpreter {python}" if python else "no virtual environment here: python from PATH"
    yield f"services: {', '.join(services)}" if services else "no service by its variables or image: two are suggested"
    if (repository.root / CONFIG_NAME).exists():
        yield f"{CONFIG_NAME} is there already and will be left as it is"


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


def _toml(repository: Repository, services: Sequence[str]) -> str:
    """Return the text of the configuration: the runbook's own table, each service, and each mode with its selection."""
    parts = [
        "# Written by `resilience init` from what it found here; every line is yours to change. The url of a service comes",
        "# from the environment: a variable that is unset makes it not configured, and then it is never probed.",
        "",
        "[runbook]",
        'environment = "staging"',
        f'env_file = "{FOLDER}/.env.test.active"',
        f'outputs = "{FOLDER}/outputs"',
        f"python = {_quoted(repository.python)}",
        "staging_exports = false   # true: in mode full the tests get staging's own values for all exports below, never over",
        "                          # the shell's; leave it where your suite flushes or truncates what it finds",
    ]
    templates = _templates()
    for name in services:
        parts += ["", *_service_lines(repository, *templates[name], services)]
    run = f"pytest {' '.join(shlex.quote(path) for path in repository.tests)}".strip()
    for mode, select in _selections(repository.markers).items():
        parts += ["", f"[modes.{mode}]", f"commands = [{_quoted(run)}]"]
        if select:
            parts.append(f"select = {_quoted(select)}")
        elif mode == "critical_only":
            parts.append(
                '# select = "critical"             # mark the tests the business hangs on; without it all are run'
            )
    return "\n".join([*parts, ""])


def _selections(markers: Sequence[str]) -> Mapping[str, str]:
    """Return mode → marker expression, of the guide's markers that this repository has; empty: all tests."""
    outside = [marker for marker in ("staging", "real_services") if marker in markers]
    essential = [marker for marker in ("critical", "mission_critical", "golden_path", "smoke") if marker in markers]
    return {
        "full": "",
        "degraded": "",
        "offline": " and ".join(f"not {marker}" for marker in outside),
        "critical_only": " or ".join(essential),
    }


def _service_lines(repository: Repository, kind: Kind, template: Template, services: Sequence[str]) -> Iterator[str]:
    """Yield the lines of one [[service]]: of what a template offers, what this repository has variables, markers and
    services for."""
    exports = [pair for pair in template.exports if pair[0] in repository.names] or [template.exports[0]]
    yield "[[service]]"
    yield f'name = "{template.name}"'
    yield f'type = "{kind.name}"'
    yield f'url = "{_url(template, repository.names)}"'
    yield f'local = "{_local(template, exports)}"'
    yield "exports = { " + ", ".join(f'{variable} = "{value}"' for variable, value in exports) + " }"
    if template.migrates and repository.migration:
        prepare = _quoted(repository.migration)
        yield f"# prepare = [{prepare}]   # once you have seen that it reads what is exported above"
    yield from template.extra
    if template.critical:
        yield "critical = true"
    for key, offered, here in (
        ("depends_on", template.needs, services),
        ("markers", template.markers, repository.markers),
    ):
        if used := [name for name in offered if name in here]:
            yield f"{key} = [{', '.join(map(_quoted, used))}]"


def _url(template: Template, names: frozenset[str]) -> str:
    """Return staging's address by its parts where an env file names the first of them, else by one variable."""
    sign, by_parts = template.url_by_parts
    return by_parts if sign in names else template.url


def _local(template: Template, exports: Sequence[tuple[str, str]]) -> str:
    """Return the stand-in's address, without its password where nothing exported hands it on: clients would send none."""
    if not template.local_password or any("{local}" in value or "{password}" in value for _, value in exports):
        return template.local
    return template.local.replace(template.local_password, "")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
