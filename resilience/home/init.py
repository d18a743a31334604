"""Turn what lies in a repository into a proposed configuration, and write it."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from resilience.core.errors import UsageError
from resilience.core.settings import Settings
from resilience.home.collecting import Collected, best, shown
from resilience.home.guessing import Guess, Guesses, guess, markers_of
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
    questions: tuple[str, ...] = ()
    """What was not understood, or what nothing here says."""

    @property
    def exported(self) -> tuple[str, ...]:
        """Return the variables of which the tests could get staging's own values."""
        tables = tomllib.loads(self.toml).get("service", ())
        return tuple(dict.fromkeys(name for table in tables for name in table.get("exports", ())))

    def with_staging_exports(self) -> Proposal:
        """Return the proposal in which the tests get staging's own values in mode full."""
        return replace(self, toml=self.toml.replace("\nstaging_exports = false ", "\nstaging_exports = true ", 1))


def inspect_repository(folder: Path, environ: Mapping[str, str] | None = None) -> Proposal:
    """Propose a configuration from what lies in a repository, or raise UsageError with what to type.

    Values of variables are never kept beyond schemes; only pytest is run, with --collect-only, in the team's own
    interpreter and with what the services export, since settings often refuse to be imported without. What is proposed
    has been read as a configuration.
    """
    environ = os.environ if environ is None else environ
    root = find_root(folder.resolve() / CONFIG_NAME)
    _refuse_nothing_to_go_by(root)
    repository = look_at(root)
    if repository.broken:
        raise UsageError(
            f"{len(repository.broken)} file(s) cannot be read, nothing was written: " + "; ".join(repository.broken),
            hint="correct them, then: resilience init",
        )
    guesses = guess(repository.signs, repository.dependencies, KINDS)
    proposed = _settings(repository, guesses, (), environ)
    exported = {name: secret.reveal() for one in proposed.services for name, secret in one.exports.items()}
    collected = _commands(repository, {**environ, **exported})
    commands = tuple(one for one in collected if not one.no_pytest)
    toml = _toml(repository, guesses, commands)
    build(toml, source=root / CONFIG_NAME, root=root, environ={}, profile_texts={}, kinds=KINDS)
    return Proposal(
        root=root,
        toml=toml,
        found=tuple(_found(repository, guesses, commands)),
        questions=tuple(_questions(repository, guesses, collected)),
    )


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


def _refuse_nothing_to_go_by(root: Path) -> None:
    """Refuse a folder that is no repository, and one with two configurations, of which only one would be followed."""
    if not (root / ".git").exists():
        raise UsageError(
            f"{root} is no git repository, nothing was written.", hint="cd to your repository, or here: git init"
        )
    there = [name for name in CONFIG_NAMES if (root / name).exists()]
    if len(there) > 1:
        raise UsageError(
            f"{root} has two configurations, {' and '.join(there)}, of which the first is followed; nothing was written.",
            hint=f"mv {there[1]} {there[1]}.old",
        )


def _settings(
    repository: Repository, guesses: Guesses, commands: Sequence[Collected], environ: Mapping[str, str]
) -> Settings:
    source = repository.root / CONFIG_NAME
    text = _toml(repository, guesses, commands)
    return build(text, source=source, root=repository.root, environ={}, profile_texts={}, kinds=KINDS)


def _commands(repository: Repository, environ: Mapping[str, str]) -> tuple[Collected, ...]:
    """Return the command of each part of the repository, as verified; of a whole repository it is one.

    A part whose interpreter has no pytest is among them, to be asked about; the others go on without it. Raises UsageError
    where there are no tests to be found, or where no interpreter has pytest to find them with.
    """
    others = [one for one in repository.candidates if not one.is_pytest]
    if not (repository.tests or repository.settings_file or others):
        raise _no_tests(repository)
    of_parts = [_of_part(repository, folder, environ) for folder in repository.projects]
    found = tuple(one for one in of_parts if one is not None)
    chosen = tuple(one for one in found if not one.no_pytest)
    if not chosen and found and not others:
        raise _no_pytest(repository, found[0])
    if not chosen and others:
        return (Collected(candidate=others[0], count=None),)
    if not chosen:
        raise _no_tests(repository)
    return found


def _of_part(repository: Repository, folder: str, environ: Mapping[str, str]) -> Collected | None:
    """Return the pytest command of one part, also where its interpreter has no pytest; None where none finds a test.

    Where other parts have an interpreter each, the one on PATH is nobody's here: it would collect without the packages.
    """
    here = [one for one in repository.candidates if one.folder == folder or len(repository.projects) == 1]
    python = repository.pythons.get(folder, repository.python)
    if not python and repository.pythons and here:
        return Collected(candidate=here[0], count=None, error="it has no virtual environment", no_pytest=True)
    found = best(here, repository.root, python, environ)
    if not found or (found[0].no_pytest and not repository.tests):
        return None
    return found[0] if found[0].count or found[0].error else None


def _no_pytest(repository: Repository, collected: Collected) -> UsageError:
    """Return the refusal where no interpreter has pytest: the tests that are there would be left out in silence."""
    python = repository.pythons.get(collected.candidate.folder, repository.python)
    return UsageError(
        f"the tests' interpreter ({python or 'python on PATH'}) has no pytest: {collected.error}. Nothing was written.",
        hint=f"{python or 'python'} -m pip install pytest; or, where it is another one: . PATH/bin/activate",
    )


def _no_tests(repository: Repository) -> UsageError:
    return UsageError(
        f"no tests were found in {repository.root}, nothing was written.",
        hint="cd to the repository that has them; pytest --collect-only shows what pytest finds",
    )


def _found(repository: Repository, guesses: Guesses, commands: Sequence[Collected]) -> Iterator[str]:
    """Yield what was found, a line each; of what is missing, what is done without it."""
    file = repository.settings_file
    yield f"pytest settings in {file}" if file else "no pytest settings"
    yield from (shown(one) for one in commands)
    yield f"markers {', '.join(repository.markers)}" if repository.markers else "no markers"
    yield from (f"{count} variables in {name}" for name, count in repository.signs.counts.items())
    told = [template.images for _, template in KINDS.templates() if template.images]
    yield from dict.fromkeys(
        f"image {one.image} in {one.where}"
        for one in repository.signs.images
        if any(re.search(images, one.image.split("/")[-1]) for images in told)
    )
    python = repository.python
    yield f"interpreter {python}" if python else "no virtual environment here: python from PATH"
    yield from (f"migration {command}" for command in repository.migrations)
    if guesses.staging_env:
        yield f"staging's values in {guesses.staging_env}: read, never exported"
    for service in guesses.services:
        yield f"service {service.name} ({service.why})" if service.why else f"service {service.name}"
    if not guesses.services:
        yield "no sign of a service: none is written"
    if (repository.root / CONFIG_NAME).exists():
        yield f"{CONFIG_NAME} is there already and will be left as it is"


def _questions(repository: Repository, guesses: Guesses, commands: Sequence[Collected]) -> Iterator[str]:
    """Yield what was not understood, each with what would answer it: a guess that nobody confirms is worse than a question."""
    yield from guesses.questions
    for collected in commands:
        typed, error = collected.candidate.command, collected.error
        if collected.no_pytest:
            yield f"{collected.candidate.folder}: its tests are left out, {error}: make one there with pytest, then init again"
        elif error:
            yield f"collecting with `{typed}` ended with: {error} (is a service or a package missing?)"
        elif collected.count is None:
            yield f"`{typed}` is no pytest call: its tests are judged as one, by exit code and output"
    for service in guesses.services:
        if not service.local:
            yield (
                f"{service.name}: nothing stands in for it, and while it is down its tests are held back by their markers; "
                "`local` and `exports` bring a mock"
            )
    for folder in repository.of_flask:
        yield (
            f"{folder}: Flask-Migrate's, which runs in your application only: do the tests make their tables themselves? "
            'else: prepare = ["flask --app NAME db upgrade"] for the database'
        )
    if repository.migrations and not any(service.template.migrates for service in guesses.services):
        yield f"migrations ({'; '.join(repository.migrations)}), but no database was recognised that they would prepare"


def _toml(repository: Repository, guesses: Guesses, commands: Sequence[Collected]) -> str:
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
    if guesses.staging_env:
        parts.append(
            f"staging_env = {_quoted(guesses.staging_env)}   # read where a variable below is not set; never exported"
        )
    names = [one.name for one in guesses.services]
    for service in guesses.services:
        parts += ["", *_service_lines(repository, service, names)]
    lines = [_quoted(_command(repository, one)) for one in commands]
    for mode, select in _selections(repository.markers).items():
        parts += ["", f"[modes.{mode}]", f"commands = [{', '.join(lines)}]"]
        if select:
            parts.append(f"select = {_quoted(select)}")
        elif mode == "critical_only":
            parts.append(
                '# select = "critical"   # mark the tests the business hangs on; until then this mode runs none: without a select '
                "it is the guide's, critical or mission_critical or golden_path"
            )
    return "\n".join([*parts, ""])


def _command(repository: Repository, collected: Collected) -> str:
    """Return the line of a command; in a monorepo's part with an interpreter of its own, by that one."""
    one = collected.candidate
    own = repository.pythons.get(one.folder, "")
    if own and own != repository.python and one.words[0] in ("pytest", "python"):
        rest = one.words[1:] if one.words[0] == "pytest" else one.words[3:]
        interpreter = own.removeprefix(f"{one.folder}/")
        return type(one)(words=(interpreter, "-m", "pytest", *rest), where=one.where, folder=one.folder).command
    return one.command


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


def _service_lines(repository: Repository, service: Guess, names: Sequence[str]) -> Iterator[str]:
    """Yield the lines of one [[service]]: what stands in for it, what the code reads, and what it needs of the others."""
    template = service.template
    yield "[[service]]"
    yield f'name = "{service.name}"'
    yield f'type = "{service.kind.name}"'
    yield f"url = {_quoted(service.url)}"
    if service.local:
        yield f"local = {_quoted(service.local)}"
    if service.exports:
        yield "exports = { " + ", ".join(f"{name} = {_quoted(value)}" for name, value in service.exports) + " }"
    if service.local and template.migrates and repository.migrations:
        yield f"prepare = [{', '.join(map(_quoted, repository.migrations))}]"
    yield from template.extra
    if template.critical and service.local:
        yield "critical = true"
    for key, here in (
        ("depends_on", [name for name in template.needs if name in names and name != service.name]),
        ("markers", markers_of(template, repository.markers)),
    ):
        if here:
            yield f"{key} = [{', '.join(map(_quoted, here))}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
