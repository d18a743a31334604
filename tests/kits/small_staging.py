"""A staging of one HTTP service on 127.0.0.1 that can be told how to answer, and a team's small repository beside it."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from tests.kits.alone import ALONE

CONFIG = """\
[runbook]
environment = "staging"
outputs = "outputs"
env_file = ".env.test.active"
guide_variables = true

[[service]]
name = "backend_api"
type = "http"
url = "http://127.0.0.1:{port}/health"
critical = true
timeout_s = 2.0

[modes.full]
commands = ["{python} -m pytest -q -p no:cacheprovider tests"]

[modes.degraded]
commands = ["{python} -m pytest -q -p no:cacheprovider tests"]

[modes.critical_only]
commands = ["{python} -m pytest -q -p no:cacheprovider tests"]

[recovery]
good = 2
interval_s = 0.05
dwell_s = 0.0
"""


class SmallStaging:
    """Answers `status` after `delay_s` seconds; both can be changed while it runs."""

    def __init__(self) -> None:
        self.status = 200
        self.delay_s = 0.0
        self.asked = threading.Event()
        staging = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                staging.asked.set()
                threading.Event().wait(staging.delay_s)
                body = b"ok"
                self.send_response(staging.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def project(folder: Path, port: int) -> Path:
    """Make a team's repository with two tests that pass."""
    (folder / "tests").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "resilience.toml").write_text(CONFIG.format(port=port, python=sys.executable))
    (folder / "pytest.ini").write_text(f"[pytest]\naddopts = {ALONE}\n")
    (folder / "tests" / "test_shop.py").write_text(
        "def test_one():\n    assert True\n\n\ndef test_two():\n    assert True\n"
    )
    return folder
