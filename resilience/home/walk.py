"""Turn a repository's folder into the files of its own: no environment, no package of others, no more than can be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

DEEPEST = 6
MOST_FILES = 20_000
LARGEST = 400_000
"""Bytes of a file that is still read; what is longer is data."""
_NOT_OURS = frozenset(
    {
        *("node_modules", "site-packages", "__pycache__", "venv", "env", ".venv", "build", "dist", "vendor"),
        *("outputs", "docs", "doc", "examples", "example", "demos", "demo", "benchmarks", "htmlcov"),
    }
)
_HIDDEN_THAT_COUNT = frozenset({".github", ".envs", ".env", ".circleci", ".config", ".docker", ".devcontainer"})


@dataclass(frozen=True)
class Files:
    """The files of a repository by their path below its root, each read at most once."""

    root: Path

    @cached_property
    def all(self) -> tuple[str, ...]:
        """The paths of all files, those nearest to the root first."""
        found: list[str] = []
        for path in self._walk(self.root, 0):
            found.append(path)
            if len(found) >= MOST_FILES:
                break
        return tuple(sorted(found, key=lambda path: (path.count("/"), path)))

    def _walk(self, folder: Path, depth: int) -> Iterator[str]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: (entry.is_dir(), entry.name))
        except OSError:
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if depth < DEEPEST and self._is_ours(entry):
                    yield from self._walk(Path(entry.path), depth + 1)
            elif entry.is_file():
                yield str(Path(entry.path).relative_to(self.root))

    def _is_ours(self, entry: os.DirEntry[str]) -> bool:
        """Whether a folder is the team's own. A folder with `pyvenv.cfg` is an environment, whatever it is called."""
        hidden = entry.name.startswith(".") and entry.name not in _HIDDEN_THAT_COUNT
        if entry.name in _NOT_OURS or (hidden and ".envs" not in Path(entry.path).parts):
            return False
        return not (Path(entry.path) / "pyvenv.cfg").exists() and not entry.name.endswith(".egg-info")

    def text(self, path: str) -> str:
        """Return a file's text, empty where it cannot be read or is very large; bytes that are no UTF-8 are replaced."""
        where = self.root / path
        try:
            if where.stat().st_size > LARGEST:
                return ""
            return where.read_text("utf-8-sig", "replace")
        except OSError:
            return ""
