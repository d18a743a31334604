"""Turn a Redis server into what redis-py's own connection found: PING, role, persistence, memory, an optional write."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

from resilience.core.faults import classify, fault
from resilience.core.plain import start
from resilience.core.records import FaultCode, Phase
from resilience.core.settings import Service
from resilience.services.redis.driver import redis_connection
from resilience.services.redis.kind import KIND
from resilience.services.wire import Address, ProbeContext, Refused, Trace, dial, parse, sniff, upgrade

_REPLY_LIMIT = 256 * 1024
_TOTAL_LIMIT = 1024 * 1024
_TYPES = tuple(bytes([c]) for c in b"+-:$*_#,(%~>=!|")
"""First bytes of replies (RESP2 and RESP3)."""


async def probe_redis(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Speak Redis through redis-py's connection on a socket of ours; no retries, every wait under our deadline.

    redis-py 8 by itself retries ten times, a wrong password included: 4.3 s for what is known at once. The facts are
    those of `_facts`. Raises Refused, and what redis-py raises.
    """
    address = parse(service.kind, url)
    trace.expected = "PONG, role and state"
    tls = context.tls(service.tls_ca) if address.tls else None
    sock = await dial(address, trace, context)
    reader, writer, guard = await _streams(sock, address, trace, tls)
    connection = _connection(address, reader, writer)
    try:
        trace.enter(Phase.FIRST_BYTE)
        await connection.connect()
        await _ask(connection, service, trace, address)
    except Refused:
        raise
    except Exception as exc:
        if guard.wrong:
            detail = f"{sniff(guard.first)} answers where Redis was expected"
            raise Refused(fault(FaultCode.PROTO_WRONG, Phase.FIRST_BYTE, detail, endpoint=address.endpoint)) from exc
        if guard.flood:
            detail = "more than 1 MiB for a few short questions"
            raise Refused(fault(FaultCode.PROTO_WRONG, Phase.QUERY, detail, endpoint=address.endpoint)) from exc
        if guard.lost is not None:
            raise Refused(classify(guard.lost, trace.phase, endpoint=address.endpoint)) from exc
        raise
    finally:
        await connection.disconnect(nowait=True)
        writer.transport.abort()


async def _ask(connection: Any, service: Service, trace: Trace, address: Address) -> None:
    """PING first, then INFO, then a write where it was asked for: each answer must be one that Redis could give.

    Only PONG proves that it reads. INFO that holds neither version nor role means something that only looks like Redis,
    since a server that says PONG to anything passes a client's own handshake. The key of a write dies by itself.
    """

    async def command(*words: str) -> Any:
        await connection.send_command(*words, check_health=False)
        return await connection.read_response()

    if trace.target == "stand_in":
        # Marks this connection as ours, so that a look is never counted as use of the stand-in by the tests.
        await command("CLIENT", "REPLY", "ON")
    pong = await command("PING")
    if trace.phase is Phase.FIRST_BYTE:
        trace.enter(Phase.QUERY)
    if _text(pong) != "PONG":
        detail = f"{start(_text(pong), 40)!r} instead of PONG"
        raise Refused(fault(FaultCode.PROTO_WRONG, Phase.QUERY, detail, endpoint=address.endpoint))
    trace.found = "PONG"
    trace.facts["reads"] = "ok"
    info = await _info(command, trace)
    if info is not None and "redis_version" not in info and "valkey_version" not in info and "role" not in info:
        detail = "it answers PONG to PING, and nonsense to INFO: something that only looks like Redis"
        raise Refused(fault(FaultCode.PROTO_WRONG, Phase.QUERY, detail, endpoint=address.endpoint))
    if info is not None:
        _facts(info, trace)
    if service.write_check:
        key = f"resilience:probe:{os.urandom(6).hex()}"
        await command("SET", key, "1", "PX", "2000")
        trace.facts["writes"] = "ok"
        await command("DEL", key)


async def _info(command: Any, trace: Trace) -> Mapping[str, str] | None:
    """Return INFO as fields; None where an ACL forbids it, which is noted and no fault."""
    try:
        answer = await command("INFO")
    except Exception as exc:
        meant = classify(exc, Phase.QUERY, kinds=(KIND,))
        if meant.code is not FaultCode.APP_AUTH and meant.code is not FaultCode.APP_ERROR:
            raise
        trace.facts["info"] = f"not permitted ({start(meant.detail, 80)})"  # an ACL on INFO is no fault of the server's
        return None
    info = {}
    for line in _text(answer)[:_REPLY_LIMIT].splitlines():
        name, colon, value = line.partition(":")
        if colon and len(name) < 60:
            info[name] = start(value, 200)
    return info


def _facts(info: Mapping[str, str], trace: Trace) -> None:
    """Note of INFO what the findings judge: role, link to the primary, loading, last save, memory, cluster.

    Words are those of today (primary, replica), whatever the server still calls them; a field that says nothing is left out.
    Times are in seconds, memory in per cent of maxmemory.
    """
    facts = trace.facts
    role = info.get("role", "")
    facts["role"] = {"master": "primary", "slave": "replica"}.get(role, role)
    facts["server_version"] = info.get("valkey_version") or info.get("redis_version", "")
    if info.get("run_id"):
        facts["started"] = info["run_id"][:12]
    if role == "slave":
        facts["primary_link"] = info.get("master_link_status", "")
        facts["replica_read_only"] = info.get("slave_read_only", "1")
        if info.get("master_last_io_seconds_ago", "").isdigit():
            facts["replica_delay_s"] = info["master_last_io_seconds_ago"]
    if info.get("loading", "0") != "0":
        facts["loading"] = "yes"
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        facts["last_save"] = info["rdb_last_bgsave_status"]
    if info.get("aof_last_write_status", "ok") != "ok":
        facts["last_append"] = info["aof_last_write_status"]
    used, most = info.get("used_memory", ""), info.get("maxmemory", "0")
    if used.isdigit() and most.isdigit() and int(most):
        facts["memory_used"] = f"{100 * int(used) // int(most)} %"
        facts["memory_policy"] = info.get("maxmemory_policy", "")
    if info.get("cluster_enabled", "0") == "1":
        facts["cluster"] = "yes"


class _Guard(asyncio.StreamReaderProtocol):
    """The stream's protocol, which remembers the first bytes and what broke the connection.

    It also ends what redis-py would wait or allocate for: bytes that begin no reply, and more than 1 MiB.
    """

    def __init__(self, reader: asyncio.StreamReader, trace: Trace) -> None:
        super().__init__(reader)
        self.trace = trace
        self.first = b""
        self.wrong = False
        self.total = 0
        self.flood = False
        self.lost: Exception | None = None
        self.transport: asyncio.Transport | None = None

    def data_received(self, data: bytes) -> None:
        """Hand on what may be a reply.

        Foreign first bytes and a flood cut the connection, and are remembered as the reason.
        """
        self.total += len(data)
        if self.total > _TOTAL_LIMIT:
            self.flood = True  # redis-py would keep as much as a reply announces
            if self.transport is not None:
                self.transport.abort()
            return
        if len(self.first) < 16:
            self.first += data[: 16 - len(self.first)]
            self.trace.started_bytes = True
            if self.trace.phase is Phase.FIRST_BYTE:
                self.trace.enter(Phase.QUERY)
            if self.first[:1] not in _TYPES and self.transport is not None:
                self.wrong = True  # cut now: without a line's end redis-py would wait for it
                self.transport.abort()
                return
        super().data_received(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc
        super().connection_lost(exc)


async def _streams(
    sock: socket.socket, address: Address, trace: Trace, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, _Guard]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_REPLY_LIMIT, loop=loop)
    guard = _Guard(reader, trace)
    transport = await upgrade(sock, lambda: guard, address.host, trace, tls)
    return reader, asyncio.StreamWriter(transport, guard, reader, loop), guard


def _connection(address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
    """Return redis-py's Connection with our stream in place of its own connect."""
    module = redis_connection()
    db = address.path.strip("/") or address.query.get("db", "0")
    if not db.isdigit():
        raise Refused(
            fault(
                FaultCode.CONFIG_INVALID, Phase.CONFIG, "url: the database is not a number", hint="redis://HOST:PORT/0"
            )
        )
    connection = _adopting()(
        host=address.host,
        port=address.port,
        db=int(db),
        username=address.user or None,
        password=address.password or None,
        protocol=2,
        socket_timeout=None,  # the probe's deadline bounds every wait
        retry=module.Retry(module.NoBackoff(), 0),
        health_check_interval=0,
        **_options(module),
    )
    connection.adopt(reader, writer)
    return connection


@cache
def _adopting() -> Any:
    """redis-py's Connection, which takes our stream in place of connecting by itself."""
    module = redis_connection()

    class Adopting(module.Connection):  # type: ignore[misc, name-defined]
        def adopt(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._ours = reader, writer

        async def _connect(self) -> None:
            self._reader, self._writer = self._ours

    return Adopting


@cache
def _options(module: Any) -> dict[str, Any]:
    """Options that spare the CLIENT SETINFO round trip, by the version of redis-py."""
    if hasattr(module, "DriverInfo"):
        return {"driver_info": None}
    return {"lib_name": None, "lib_version": None}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
