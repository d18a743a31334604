"""Turn a Python version and a list of packages into an interpreter that has them, or say what is missing here."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

# Tests start these interpreters by the hundred and let them write no bytecode into a team's folders: it is made here.
INSTALL = ("pip", "install", "-q", "--compile-bytecode")


def find_python(version: str) -> Path | None:
    """Return an interpreter of this version that starts: on PATH, else in the folders of pyenv and uv.

    A name on PATH proves nothing: pyenv's shims are there for versions that are switched off, and then refuse to start.
    """
    for candidate in _candidates(version):
        asked = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([candidate, "-c", asked], capture_output=True, text=True, timeout=30, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return candidate
    return None


def _candidates(version: str) -> Iterator[Path]:
    if where := shutil.which(f"python{version}"):
        yield Path(where)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from sorted(pyenv.glob(f"{version}.*/bin/python{version}"), reverse=True)
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python")
    yield from sorted(uv.glob(f"cpython-{version}.*/bin/python{version}"), reverse=True)


def cache_folder() -> Path:
    """Where environments stay between runs: outside the tree, and nothing but they are in it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "resilience-tests" / "environments"


def environment_of(version: str, packages: Sequence[str]) -> Path:
    """Return the python of a kept environment with these packages; skip the test, saying why, where it cannot be made.

    The index and the wheels are those that a person's own pip is set to. Without a network an environment made before is
    used, and uv's cache of packages is tried.
    """
    base = find_python(version)
    if base is None:
        pytest.skip(f"Python {version} is not on this machine (PATH, pyenv, uv)")
    digest = hashlib.sha256("\n".join([str(base.resolve()), *INSTALL, *sorted(packages)]).encode()).hexdigest()[:12]
    home = cache_folder() / f"{version}-{digest}"
    python = home / "bin/python"
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".whole").exists():
            shutil.rmtree(home, ignore_errors=True)
            why = _make(base, home, packages)
            if why:
                pytest.skip(f"Python {version} with {', '.join(packages)} could not be made: {why}")
            (home / ".whole").touch()
    return python


def _make(base: Path, home: Path, packages: Sequence[str]) -> str:
    uv = _uv()
    if uv is None:
        return "uv is not installed"
    environ = dict(os.environ) | _index()
    made = subprocess.run(
        [uv, "venv", "-q", "-p", base, home], env=environ, capture_output=True, text=True, check=False
    )
    if made.returncode:
        return made.stderr.strip()[-300:]
    for more in ([], ["--offline"]):
        done = subprocess.run(
            [uv, *INSTALL, "-p", home / "bin/python", *more, *packages],
            env=environ, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            return ""
    return done.stderr.strip()[-300:]


def _uv() -> Path | None:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    return Path(found) if found else None


def _index() -> dict[str, str]:
    """Return what uv must be told of pip's settings, which it does not read."""
    told = {}
    for ours, theirs, name in (
        ("UV_DEFAULT_INDEX", "PIP_INDEX_URL", "global.index-url"),
        ("UV_FIND_LINKS", "PIP_FIND_LINKS", "global.find-links"),
    ):
        value = os.environ.get(ours) or os.environ.get(theirs)
        if not value:
            asked = [sys.executable, "-m", "pip", "config", "get", name]
            value = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        if value:
            told[ours] = value
    return told
