"""Turn the environment of the tests and a team's own files into the addresses of servers that nobody declared as services."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from resilience.services.registry import KINDS
from resilience.suite.endpoints import Pair

_URL = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.\-]*://(?:[^\s/@'\"]*@)?(\[[0-9a-fA-F:]+\]|[\w.\-]+):(\d{2,5})\b")
_USUAL_PORTS = {"mssql": 1433} | {
    name: scheme.port
    for kind in KINDS
    if not kind.url_prefix and not kind.is_mocked
    for name, scheme in kind.schemes.items()
    if scheme.port
}
"""A URL without a port names this one. Of servers that no kind speaks to: IANA's registry."""
_PORTLESS = re.compile(
    rf"\b({'|'.join(_USUAL_PORTS)})(?:\+\w+)?://(?:[^\s/@'\"]*@)?(\[[0-9a-fA-F:]+\]|[\w.\-]+)(?=[/?'\"\s]|$)"
)
_BARE = re.compile(r"^(\[[0-9a-fA-F:]+\]|[\w.\-]+):(\d{2,5})$")
_ASSIGNED = re.compile(r"^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)\s*[=:]\s*['\"]?([^'\"#\n]*)", re.M)
_PUBLISHED = re.compile(
    r"(?:^\s*-\s*|\s(?:-p|--publish)[\s=]\s*|[\[,]\s*(?=['\"]))['\"]?(?:[\d.]+:)?(\d{2,5}):\d{2,5}(?:/tcp)?(?=['\"]|\s|$)",
    re.M,
)
"""A port of the host in a list of a compose or CI file, one a line or in brackets, or given to `docker run`."""
_ENV_FILES = (".env*", ".envs/.*/.*", ".envs/*/*", "config/.env*")
_COMPOSE_FILES = ("*compose*.yml", "*compose*.yaml", "*/*compose*.y*ml")
_CI_FILES = (
    ".github/workflows/*.y*ml", ".gitlab-ci*.yml", ".circleci/config.yml", "azure-pipelines*.yml", ".travis.yml",
    "bitbucket-pipelines.yml", ".drone.yml", ".woodpecker.y*ml", "Jenkinsfile",
)  # fmt: skip
_SETTINGS_FILES = (
    "settings*.py", "config*.py", "*/settings*.py", "config/*.toml", "config/*.y*ml", "*.ini", "*.toml", "conftest.py",
    "tests/conftest.py", "config/*.json",
)  # fmt: skip
_READ_AT_MOST = 256 * 1024
_FILES_AT_MOST = 60
_LOCAL = ("127.0.0.1", "localhost", "::1")


def known_addresses(environ: Mapping[str, str], root: Path) -> dict[Pair, str]:
    """Return address → where it is named: the environment first, then env, CI, compose and settings files of the repository.

    A server that is named there and refuses is somebody's outage; a port that is named nowhere is a slip of the code's.
    """
    found: dict[Pair, str] = {}
    given = {name: value for name, value in environ.items() if not name.startswith("RESILIENCE_")}
    _add(found, _of_values(given))
    for path in _files(root, _ENV_FILES):
        values = dict(_ASSIGNED.findall(_text(path)))
        _add(found, ((pair, f"{path.relative_to(root)}: {name}") for pair, name in _of_values(values)))
    for path in _files(root, _CI_FILES):
        values = {name: value.strip() for name, value in _ASSIGNED.findall(_text(path))}
        _add(found, ((pair, f"{path.relative_to(root)}: {name}") for pair, name in _of_values(values)))
    for path in (*_files(root, _COMPOSE_FILES), *_files(root, _CI_FILES)):
        text = _text(path)
        published = (((host, int(port)), path.name) for port in _PUBLISHED.findall(text) for host in _LOCAL)
        _add(found, published)
        _add(found, ((pair, path.name) for pair in _urls(text)))
    for path in _files(root, _SETTINGS_FILES):
        _add(found, ((pair, str(path.relative_to(root))) for pair in _urls(_text(path))))
    return found


def _add(found: dict[Pair, str], more: Iterator[tuple[Pair, str]]) -> None:
    for (host, port), where in more:
        names = _LOCAL if host in _LOCAL else (host,)
        for name in names:
            found.setdefault((name, port), where)


def _of_values(values: Mapping[str, str]) -> Iterator[tuple[Pair, str]]:
    """Yield the addresses in variables: in a URL, as host:port, or as a pair of X_HOST and X_PORT."""
    for name, value in values.items():
        for pair in _urls(value):
            yield pair, name
        bare = _BARE.match(value.strip())
        if bare:
            yield (bare[1].strip("[]"), int(bare[2])), name
        if name.endswith("_PORT") and value.strip().isdigit() and 0 < int(value) < 65536:
            host = values.get(f"{name[:-5]}_HOST", "").strip() or "127.0.0.1"
            yield (host, int(value)), name


def _urls(text: str) -> Iterator[Pair]:
    for host, port in _URL.findall(text):
        if 0 < int(port) < 65536:
            yield host.strip("[]"), int(port)
    for scheme, host in _PORTLESS.findall(text):
        yield host.strip("[]"), _USUAL_PORTS[scheme]


def _files(root: Path, patterns: tuple[str, ...]) -> list[Path]:
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return sorted(found)[:_FILES_AT_MOST]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_READ_AT_MOST).decode("utf-8", "replace")
    except OSError:
        return ""
