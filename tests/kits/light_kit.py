"""Install pytest-resilience into environments as a team does, and give a team's repository with a backend that comes and goes."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.kits.interpreters import cache_folder, environment_of

ROOT = Path(__file__).resolve().parents[2]
LIGHT = ROOT / "pytest-plugin"
TOOL = Path(sys.executable).with_name("resilience")


def wheel(folder: Path = LIGHT, sources: Iterable[Path] = ()) -> Path:
    """Return the built wheel of pytest-resilience as it is in this work tree; an unchanged one is built once."""
    files = sorted([*folder.rglob("*.py"), folder / "pyproject.toml", ROOT / "resilience/suite/pytest_plugin.py"])
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]
    target = cache_folder() / "wheels" / digest
    if not list(target.glob("*.whl")):
        # Two workers may build the same wheel: each does so aside, and the last to end leaves an equal one.
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as aside:
            build(folder, Path(aside))
            built = next(Path(aside).glob("*.whl"))
            built.replace(target / built.name)
    return next(iter(target.glob("*.whl")))


def build(project: Path, target: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def team_python(version: str = "", *packages: str) -> Path:
    """Return the python of an environment with pytest and pytest-resilience, and what else is named, and nothing of ours."""
    version = version or f"{sys.version_info[0]}.{sys.version_info[1]}"
    return environment_of(version, [*(packages or ("pytest",)), str(wheel())])


class Backend:
    """An HTTP service on a port of its own that answers `status`, or is not there."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.status = 200
        self.asked: list[str] = []
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                backend.asked.append(self.path)
                self.send_response(backend.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


CONFIG = """\
[[service]]
name = "backend_api"
type = "http"
url = "{url}/health"
critical = true
markers = ["needs_backend"]
timeout_s = 2.0

[recovery]
good = 1
interval_s = 0.1
"""
SUITE = """\
import os, urllib.request, pytest

URL = os.environ["TEAM_BACKEND"]

def get(path):
    return urllib.request.urlopen(URL + path, timeout=2).read()

def test_pure():
    assert True

def test_speaks():
    assert get("/orders") == b"ok"
"""


class Team:
    """A team's repository, and its own interpreter."""

    def __init__(self, root: Path, python: Path, backend: Backend) -> None:
        self.root, self.python, self.backend = root, python, backend
        self.put({"resilience.toml": CONFIG.format(url=backend.url), "pytest.ini": "[pytest]\n"})
        self.put({"tests/test_shop.py": SUITE, ".gitignore": ".resilience/\noutputs/\n"})
        (root / ".git").mkdir(exist_ok=True)

    def put(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def environ(self, **more: str) -> dict[str, str]:
        ours = ("PYTEST_", "COV_", "RESILIENCE_", "STAGING_", "TEST_", "PYTHONPATH", "VIRTUAL_ENV")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return kept | {
            "PATH": f"{self.python.parent}{os.pathsep}{os.defpath}",
            "RESILIENCE_EXE": str(TOOL),
            "TEAM_BACKEND": self.backend.url,
            "TEST_RETRY_DELAY": "0.2",
            "TEST_RETRY_ATTEMPTS": "2",
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_COLOR": "1",
            **more,
        }

    def pytest(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.python.parent / "pytest"), "-p", "no:cacheprovider", *words, **more)

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in self.environ(**more).items() if value}
        return subprocess.run(
            words, cwd=self.root, env=environ, capture_output=True, text=True, timeout=180, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
