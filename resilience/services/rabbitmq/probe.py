"""Turn a RabbitMQ into what a login, the vhost and, where asked for, one message to nobody say (AMQP 0-9-1)."""

from __future__ import annotations

import os
import struct
from urllib.parse import unquote

from resilience.core.plain import start
from resilience.core.settings import Service
from resilience.services.rabbitmq.kind import amqp_fault
from resilience.services.reading import Reading
from resilience.services.wire import Address, ProbeContext, Refused, Trace, open_wire, parse

HEADER = b"AMQP\x00\x00\x09\x01"
METHOD, HEADERS, HEARTBEAT, END = 1, 2, 8, b"\xce"
START, TUNE, OPEN_OK, CLOSE, BLOCKED = (10, 10), (10, 30), (10, 41), (10, 50), (10, 60)
CHANNEL_OPEN_OK, CHANNEL_CLOSE, CHANNEL_CLOSE_OK = (20, 11), (20, 40), (20, 41)


async def probe_rabbitmq(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Log in and open the vhost. With write_check, publish to a queue that is not there: the message is dropped.

    Only whoever publishes is told of an alarm (memory, disk), so without write_check it is not known, which the fact `alarms`
    says. No client library is used.
    """
    address = parse(service.kind, url)
    trace.expected = "a login, and the vhost opened"
    wire = await open_wire(service, address, trace, context)
    connection = Connection(Reading(wire, "RabbitMQ", address.endpoint), address)
    try:
        await connection.open(trace)
        trace.found = f"the vhost {start(connection.vhost, 60)} opened"
        trace.facts["reads"] = "ok"
        trace.facts["alarms"] = "not looked at (write_check)"
        if service.write_check:
            blocked = await connection.publish_to_nobody()
            trace.facts["alarms"] = blocked or "none"
            trace.facts["blocked" if blocked else "writes"] = blocked or "ok"
        wire.write(_method(0, CLOSE, struct.pack(">H", 200) + _short("bye") + b"\0\0\0\0"))
    finally:
        wire.abort()


class Connection:
    """As much of AMQP 0-9-1 as a look needs (amqp0-9-1.pdf, sections 1.4 and 4.2)."""

    def __init__(self, reading: Reading, address: Address) -> None:
        self.reading, self.address = reading, address
        self.vhost = unquote(address.path.removeprefix("/")) or "/"

    async def open(self, trace: Trace) -> None:
        """Log in by PLAIN and open the vhost. Raises Refused with the broker's own code."""
        write = self.reading.wire.write
        write(HEADER)
        await self.reading.starts(b"\x01\x00\x00")
        body = await self._wait(START)
        properties = _properties(body[2:])
        for fact, name in (("server_version", "version"), ("product", "product"), ("cluster", "cluster_name")):
            if properties.get(name):
                trace.facts[fact] = start(properties[name], 60)
        # Without this capability a broker closes without a word where the password is wrong.
        told = _table(
            _short("capabilities") + b"F" + _table(_flag("authentication_failure_close") + _flag("connection.blocked"))
        )
        user, password = self.address.user or "guest", self.address.password or ("" if self.address.user else "guest")
        login = f"\0{user}\0{password}".encode()
        write(_method(0, (10, 11), told + _short("PLAIN") + _long(login) + _short("en_US")))
        tune = await self._wait(TUNE)
        write(_method(0, (10, 31), tune[:6] + b"\0\0"))
        write(_method(0, (10, 40), _short(self.vhost) + _short("") + b"\0"))
        await self._wait(OPEN_OK)

    async def publish_to_nobody(self) -> str:
        """Publish an empty message to a queue that does not exist; return why the broker blocks, empty where it does not."""
        write = self.reading.wire.write
        write(_method(1, (20, 10), _short("")))
        await self._wait(CHANNEL_OPEN_OK)
        queue = f"resilience.probe.{os.urandom(6).hex()}"
        write(_method(1, (60, 40), b"\0\0" + _short("") + _short(queue) + b"\0"))
        write(_frame(HEADERS, 1, struct.pack(">HHQH", 60, 0, 0, 0)))
        write(_method(1, CHANNEL_CLOSE, struct.pack(">H", 200) + _short("bye") + b"\0\0\0\0"))
        name, body = await self._either(CHANNEL_CLOSE_OK, BLOCKED)
        return start(_read_short(body)[0], 120) or "blocked" if name == BLOCKED else ""

    async def _wait(self, name: tuple[int, int]) -> bytes:
        return (await self._either(name))[1]

    async def _either(self, *names: tuple[int, int]) -> tuple[tuple[int, int], bytes]:
        """Return the first of these methods that comes. Raises Refused where the broker closes, or says something else."""
        while True:
            kind, _, size = struct.unpack(">BHI", await self.reading.take(7))
            body = await self.reading.take(size)
            if await self.reading.take(1) != END:
                raise self.reading.wrong("a frame without an end")
            if kind == HEARTBEAT:
                continue
            name = struct.unpack(">HH", body[:4]) if len(body) >= 4 else (0, 0)
            if name in names:
                return name, body[4:]
            if name in (CLOSE, CHANNEL_CLOSE):
                code, text = struct.unpack(">H", body[4:6])[0], _read_short(body[6:])[0]
                raise Refused(amqp_fault(code, start(text, 160), endpoint=self.address.endpoint))
            if name != BLOCKED:
                raise self.reading.wrong(f"the method {name[0]}.{name[1]}")


def _frame(kind: int, channel: int, body: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(body)) + body + END


def _method(channel: int, name: tuple[int, int], arguments: bytes) -> bytes:
    return _frame(METHOD, channel, struct.pack(">HH", *name) + arguments)


def _short(text: str) -> bytes:
    data = text.encode()[:255]
    return bytes([len(data)]) + data


def _long(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _table(items: bytes) -> bytes:
    return _long(items)


def _flag(name: str) -> bytes:
    return _short(name) + b"t\x01"


def _read_short(data: bytes) -> tuple[str, bytes]:
    size = data[0] if data else 0
    return data[1 : 1 + size].decode("utf-8", "replace"), data[1 + size :]


def _properties(data: bytes) -> dict[str, str]:
    """Return the texts of a table, as far as only texts, flags and tables come before; the rest is not needed."""
    left, found = data[4 : 4 + int.from_bytes(data[:4], "big")], dict[str, str]()
    while left:
        name, left = _read_short(left)
        sort, left = left[:1], left[1:]
        if sort in (b"S", b"F"):
            size = int.from_bytes(left[:4], "big")
            if sort == b"S":
                found[name] = left[4 : 4 + size].decode("utf-8", "replace")
            left = left[4 + size :]
        elif sort == b"t":
            left = left[1:]
        elif sort == b"I":
            left = left[4:]
        else:
            break
    return found
