"""A receiver of webhooks on 127.0.0.1 that keeps what it got, and can be told to fail, hang or lose its answer."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Receiver:
    """`got`: (path, headers, body) of each request, also of those that it failed; `faults` are taken one a request."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.faults: list[int | str] = []
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def _go(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                receiver.got.append((self.path, dict(self.headers), json.loads(raw) if raw else None))
                fault = receiver.faults.pop(0) if receiver.faults else 202
                if fault == "hang":
                    receiver.released.wait(60)
                if isinstance(fault, str):
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(fault)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_GET = _go

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def bodies(self) -> list[Any]:
        return [body for path, _, body in self.got if body is not None]

    @property
    def by_key(self) -> dict[str, list[Any]]:
        """Return what a receiver that deduplicates by id would keep, by the key of the incident."""
        found: dict[str, dict[str, Any]] = {}
        for body in self.bodies:
            found.setdefault(body["key"], {})[body["id"]] = body
        return {key: list(one.values()) for key, one in found.items()}
