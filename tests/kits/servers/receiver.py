"""A receiver of webhooks on 127.0.0.1 that keeps what it got, and can be told to fail, hang or lose its answer."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.kits.servers.loopback import Loopback


class Receiver(Loopback):
    """`got`: (path, headers, body) of each request, also of those that it failed; `faults` are taken one a request."""

    def __init__(self) -> None:
        super().__init__(self._take)
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.faults: list[int | str] = []

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.got.append((handler.path, dict(handler.headers), json.loads(raw) if raw else None))
        fault = self.faults.pop(0) if self.faults else 202
        if fault == "hang":
            self.released.wait(60)
        if isinstance(fault, str):
            handler.close_connection = True
            handler.connection.close()
            return
        handler.send_response(fault)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

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
