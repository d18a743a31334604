"""Turn the environment and the texts of env files into what `${NAME}` means, and say where each value came from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from resilience.core.envtext import read_env_text
from resilience.core.records import TestExecutionMode
from resilience.core.settings import PROFILE_FILES
from resilience.core.urls import url_regions
from resilience.settings.tables import Table

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ENVIRONMENT = "the environment"
"""Where a value comes from that no file sets."""
VARIABLE = re.compile(r"\$\{([^}]*)(\}?)")


@dataclass(slots=True)
class Variables:
    """The environment and the profiles' env files, and which may speak where."""

    environ: Mapping[str, str]
    files: tuple[tuple[TestExecutionMode | None, str, Mapping[str, tuple[str, int]]], ...]
    paths: dict[TestExecutionMode, Path]
    applied: bool
    used: dict[str, str]
    staging_file: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Variable → value and place, of the env file with staging's values."""

    @classmethod
    def read(
        cls,
        environ: Mapping[str, str],
        texts: Mapping[str, str],
        *,
        source: Path | None,
        root: Path,
        staging: Mapping[str, str] | None = None,
    ) -> Variables:
        """Return the variables of these texts and this environment, each with the place it is from.

        Texts are those of the env files as they lie on disk, read once: every later question is answered from the same reading.
        """
        files: list[tuple[TestExecutionMode | None, str, Mapping[str, tuple[str, int]]]] = []
        paths: dict[TestExecutionMode, Path] = {}
        for name, text in texts.items():
            path = source.parent / name if source is not None and "/" not in name else root / name
            shown = shown_path(path, root)
            mode = next((mode for mode, file in PROFILE_FILES.items() if path.name == file), None)
            if mode:
                paths[mode] = path
            files.append((mode, shown, read_env_text(text, shown)))
        order = [*PROFILE_FILES, None]
        files.sort(key=lambda file: order.index(file[0]))
        of_staging = {
            name: (value, f"{shown}:{line}")
            for shown, text in (staging or {}).items()
            for name, (value, line) in read_env_text(text, shown).items()
            if value
        }
        return cls(environ, tuple(files), paths, bool(environ.get("RESILIENCE_APPLIED")), {}, of_staging)

    def plain(self, mode: TestExecutionMode) -> Mapping[str, str]:
        return {name: value for owner, _, file in self.files if owner is mode for name, (value, _) in file.items()}

    def profile(self, name: str) -> tuple[str, str] | None:
        """Return value and place from the first profile that sets the variable to something."""
        for mode, shown, file in self.files:
            if mode and name in file and file[name][0]:
                return file[name][0], f"{shown}:{file[name][1]}"
        return None

    def environment(self, name: str) -> tuple[str, str] | None:
        value = self.environ.get(name, "")
        return (value, ENVIRONMENT) if value else None

    def any(self, name: str) -> tuple[str, str] | None:
        return self.environment(name) or self.profile(name)

    def of_staging(self, name: str) -> tuple[str, str] | None:
        """Return what says how to reach staging: the file with staging's values speaks where nothing else does."""
        return self.any(name) or self.staging_file.get(name)

    def is_applied(self, name: str) -> bool:
        """Whether the environment's value may be one that `apply` or `resilience env` put there."""
        return self.applied and any(file.get(name, ("",))[0] == self.environ.get(name) for _, _, file in self.files)

    def everywhere(self, name: str) -> Iterable[tuple[str, str]]:
        """Return each value with its place, the environment's first: all are checked, the first counts."""
        if found := self.environment(name):
            yield found
        for mode, shown, file in self.files:
            if mode and name in file and file[name][0]:
                yield file[name][0], f"{shown}:{file[name][1]}"


@dataclass(slots=True)
class Filled:
    """A template with its variables filled in: what was missing, and where the values came from."""

    text: str
    unset: tuple[str, ...]
    places: tuple[tuple[str, str], ...] = ()
    from_profile: tuple[str, ...] = ()


Lookup = Callable[[str], tuple[str, str] | None]


def fill(template: str, lookup: Lookup, table: Table, key: str) -> Filled:
    """Fill `${NAME}` in; inside the user info of a URL values are percent-encoded, as they are raw there."""
    masked = VARIABLE.sub(lambda match: "x" * len(match[0]), template)
    user_end, path_start = url_regions(masked)
    unset: list[str] = []
    places: list[tuple[str, str]] = []

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not match[2] or not NAME.fullmatch(name):
            raise table.error(key, found=f"${{{name[:40]}", expected="a variable as ${NAME}")
        found = lookup(name)
        if found is None:
            unset.append(name)
            return ""
        places.append((name, found[1]))
        if match.start() < user_end:
            return quote(found[0], safe="")
        return quote(found[0], safe="/?=&%-._~:,+;!$'()*") if match.start() >= path_start else found[0]

    text = VARIABLE.sub(value, template)
    profiled = tuple(name for name, place in places if place != ENVIRONMENT)
    return Filled(text, tuple(dict.fromkeys(unset)), tuple(places), profiled)


def shown_path(path: Path | None, root: Path) -> str:
    if path is None:
        return ""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
