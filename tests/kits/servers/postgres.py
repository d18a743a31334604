"""Start a real PostgreSQL for tests: the system's binaries, else the wheel's; as an ordinary user where we are root."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from resilience.services.postgresql.stand_in import find_binaries
from tests.kits.ports import free_port


def binaries() -> Path | None:
    """Folder with initdb and postgres, or None."""
    found = find_binaries()
    return found[0].folder if found else None


def speaks_tls() -> bool:
    """Whether this PostgreSQL was built with OpenSSL; the wheel's was not."""
    folder = binaries()
    return folder is not None and b"libssl" in (folder / "postgres").read_bytes()


def _as_user(command: list[str]) -> list[str]:
    if os.getuid() != 0:
        return command
    return ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--", *command]


class Postgres:
    """A server on a free port with password login: user `tester`, password `p#ss`, database `postgres`."""

    def __init__(self, *options: str, hba: str = "", tls: tuple[Path, Path] | None = None) -> None:
        self.options = options
        self.hba = hba
        self.tls = tls
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(
        self, query: str = "", *, user: str = "tester", password: str = "p%23ss", database: str = "postgres"
    ) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}" + (f"?{query}" if query else "")

    def create(self, source: Path | None = None) -> Postgres:
        """Make a cluster, or copy one that was made (initdb takes a second, a copy a tenth)."""
        folder = binaries()
        assert folder is not None
        if source is not None:
            shutil.copytree(source, self.data, symlinks=True)
            self.data.chmod(0o700)
        else:
            secret = self.folder / "secret"
            secret.write_text("p#ss\n")
            command = [str(folder / "initdb"), "-D", str(self.data), "-U", "tester", "--pwfile", str(secret)]
            command += ["-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C"]
            subprocess.run(_as_user(command), check=True, stdout=subprocess.DEVNULL)
        if self.hba:
            (self.data / "pg_hba.conf").write_text(self.hba)
        return self

    def start(self, *, until: bytes = b"ready to accept") -> Postgres:
        """Start it and wait until its log says so; b"" waits for the port only. Takes another port where its own is gone."""
        for _ in range(5):
            if self._started(until):
                return self
            self.port = free_port()
        raise RuntimeError("no port to listen on")

    def _started(self, until: bytes) -> bool:
        folder = binaries()
        assert folder is not None
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "dynamic_shared_memory_type": "mmap",
            "fsync": "off",
            "max_wal_size": "64MB",
        }
        if self.tls:
            options |= {"ssl": "on", "ssl_cert_file": str(self.tls[0]), "ssl_key_file": str(self.tls[1])}
        command = [str(folder / "postgres"), "-D", str(self.data)]
        for option in (*(f"{name}={value}" for name, value in options.items()), *self.options):
            command += ["-c", option]
        path = self.folder / "log"
        before = path.stat().st_size if path.exists() else 0
        with path.open("ab") as log:
            self.process = subprocess.Popen(_as_user(command), stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with path.open("rb") as log:
                log.seek(before)
                said = log.read()
            if self.process.poll() is not None:
                if b"Address already in use" in said:
                    return False
                raise RuntimeError(said.decode(errors="replace")[-2000:])
            if until in said:
                try:
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
                except OSError:
                    pass
                else:
                    return True
            time.sleep(0.02)
        raise TimeoutError("PostgreSQL did not start")

    def stop(self, how: int = signal.SIGINT) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


if __name__ == "__main__":
    server = Postgres(*sys.argv[1:]).create().start()
    print(server.url())
    try:
        signal.pause()
    finally:
        server.remove()
