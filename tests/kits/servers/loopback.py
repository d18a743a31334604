"""A small HTTP server on a free port of 127.0.0.1, served by a thread for as long as a block lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Loopback:
    """Calls `answer` with the handler of each request, whatever its method. `released` ends the requests that hang."""

    def __init__(self, answer: Callable[[Any], None], *, protocol: str = "HTTP/1.0") -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = protocol

            def _go(self) -> None:
                answer(self)

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _go

            def log_message(self, *args: object) -> None:
                pass

        self.released = threading.Event()
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
