"""Turn a MySQL or MariaDB server into what its handshake, `SELECT 1`, read_only and replication say."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from urllib.parse import unquote

from resilience.core.plain import start
from resilience.core.records import FaultCode, Phase
from resilience.core.settings import Service
from resilience.services.mysql.kind import mysql_fault
from resilience.services.reading import Reading
from resilience.services.wire import Address, ProbeContext, Refused, Trace, open_wire, parse

CONNECT_WITH_DB, PROTOCOL_41, SSL, SECURE_CONNECTION, PLUGIN_AUTH = 0x8, 0x200, 0x800, 0x8000, 0x80000
CAPABILITIES = 0x1 | PROTOCOL_41 | 0x2000 | SECURE_CONNECTION | PLUGIN_AUTH
UTF8MB4 = 45
NATIVE, SHA2 = "mysql_native_password", "caching_sha2_password"
MOST_ROWS = 200


class UnspokenError(Exception):
    """The server asks for a way to log in that is not spoken here: it is well as far as the handshake goes."""


async def probe_mysql(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Log in, ask SELECT 1, then what it says of writing and replication. No client library is used.

    With ssl-mode (or ssl=true) in the URL it goes on in TLS, as clients do. Where the login is one that is not spoken
    (ed25519, or the full one of caching_sha2_password without TLS), the handshake is all that is known, and the fact `login`
    says so.
    """
    address = parse(service.kind, url)
    trace.expected = "SELECT 1 gives 1"
    wire = await open_wire(service, address, trace, context)
    client = Client(Reading(wire, "MySQL", address.endpoint), address)
    try:
        await client.greeting()
        trace.facts["server_version"] = start(client.version, 60)
        mode = (
            address.query.get("ssl-mode") or address.query.get("ssl_mode") or address.query.get("ssl") or ""
        ).lower()
        if mode not in ("", "0", "false", "disabled", "preferred"):
            verify = mode.startswith("verify")
            await client.ask_for_tls(context.tls(service.tls_ca, verify=verify, hostname=mode == "verify_identity"))
        try:
            await client.login()
        except UnspokenError as exc:
            trace.facts["login"] = str(exc)
            trace.found = "a handshake; no login was made"
            return
        [[answer]] = await client.query("SELECT 1") or [[""]]
        if answer != "1":
            raise client.reading.refused(FaultCode.APP_BAD_BODY, f"{start(answer, 40)!r} instead of 1")
        trace.found = "1"
        trace.facts["reads"] = "ok"
        await _state(client, trace)
    finally:
        wire.abort()


async def _state(client: Client, trace: Trace) -> None:
    """Note whether it takes writes, and how its replication stands where it is a replica. A missing right is no fault."""
    [[trace.facts["read_only"]]] = await client.query("SELECT @@global.read_only") or [[""]]
    for question in ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS"):
        try:
            rows = await client.rows(question)
        except Refused as exc:
            trace.facts["replication"] = f"not known ({start(exc.fault.detail, 60)})"
            continue
        trace.facts.pop("replication", None)
        if rows:
            _replica(rows[0], trace)
        return


def _replica(row: Mapping[str, str], trace: Trace) -> None:
    trace.facts["role"] = "replica"
    running = [value for name, value in row.items() if name.endswith(("_IO_Running", "_SQL_Running"))]
    trace.facts["replication"] = "running" if all(value == "Yes" for value in running) else "stopped"
    delay = next((value for name, value in row.items() if name.startswith("Seconds_Behind_")), "")
    if delay.isdigit():
        trace.facts["replica_delay_s"] = delay


class Client:
    """As much of the client/server protocol as a look needs (MySQL internals manual, "Client/Server Protocol")."""

    def __init__(self, reading: Reading, address: Address) -> None:
        self.reading, self.address = reading, address
        self.version, self.plugin, self.salt = "", NATIVE, b""
        self.server = 0
        self.sequence = 0
        self.tls = address.tls

    async def greeting(self) -> None:
        """Read the server's handshake. Raises Refused for an error in its place, and for what is no MySQL."""
        head = await self._peek_head()
        payload = await self._packet()
        if payload[:1] == b"\xff":
            raise self._error(payload)
        version, end, rest = payload[1:].partition(b"\0")
        if payload[:1] != b"\x0a" or not end or len(rest) < 15:
            raise self.reading.wrong(f"bytes beginning with {head[:5] + payload[:8]!r}")
        self.version = version.decode("utf-8", "replace")
        self.salt = rest[4:12]
        self.server = int.from_bytes(rest[13:15], "little") | int.from_bytes(rest[18:20], "little") << 16
        size = max(13, (rest[20] if len(rest) > 20 else 0) - 8)
        self.salt += rest[31 : 31 + size].rstrip(b"\0")
        if self.server & PLUGIN_AUTH:
            self.plugin = rest[31 + size :].partition(b"\0")[0].decode("ascii", "replace") or NATIVE

    async def _peek_head(self) -> bytes:
        """Look at the first bytes, so that another protocol is named and its bytes are not taken for a length."""
        while len(self.reading.wire.buffer) < 5:
            if not await self.reading.wire.more():
                break
        head = bytes(self.reading.wire.buffer[:5])
        if len(head) == 5 and (head[3] != 0 or head[4] not in (0x0A, 0xFF)):
            await self.reading.starts(b"\0\0\0\0\x0a")
        return head

    async def ask_for_tls(self, tls: object) -> None:
        """Ask for TLS, and go on in it. Raises Refused where the server has none."""
        if not self.server & SSL:
            raise self.reading.refused(FaultCode.TLS_REFUSED, "the server offers no TLS")
        self._send(struct.pack("<IIB23x", CAPABILITIES | SSL, 1 << 24, UTF8MB4))
        await self.reading.start_tls(tls, self.address.host)  # type: ignore[arg-type]
        self.tls = True

    async def login(self) -> None:
        """Log in. Raises Refused with the server's own number, UnspokenError for another way of logging in."""
        database = unquote(self.address.path.strip("/")).encode()
        capabilities = CAPABILITIES | (CONNECT_WITH_DB if database else 0) | (SSL if self.tls else 0)
        answer = self._scramble()
        payload = (
            struct.pack("<IIB23x", capabilities, 1 << 24, UTF8MB4) + (self.address.user or "root").encode() + b"\0"
        )
        payload += bytes([len(answer)]) + answer
        payload += database + b"\0" if database else b""
        self._send(payload + self.plugin.encode() + b"\0")
        while True:
            got = await self._packet()
            first = got[:1]
            if first == b"\0":
                return
            if first == b"\xff":
                raise self._error(got)
            if first == b"\xfe":
                name, _, salt = got[1:].partition(b"\0")
                self.plugin, self.salt = name.decode("ascii", "replace") or NATIVE, salt.rstrip(b"\0")
                self._send(self._scramble())
            elif got[:2] == b"\x01\x04":
                if not self.tls:
                    raise UnspokenError(
                        f"not made: {self.plugin} asks for the password over TLS: add ?ssl-mode=REQUIRED"
                    )
                self._send(self.address.password.encode() + b"\0")
            elif first != b"\x01":
                raise self.reading.wrong(f"bytes beginning with {got[:8]!r}")

    def _scramble(self) -> bytes:
        """Return the proof of the password that the plugin asks for; empty for an empty password."""
        password, salt = self.address.password.encode(), self.salt[:20]
        if self.plugin not in (NATIVE, SHA2):
            raise UnspokenError(f"not made: the server asks for {start(self.plugin, 40)}")
        if not password:
            return b""
        if self.plugin == NATIVE:
            once = hashlib.sha1(password).digest()  # noqa: S324 - the protocol's own
            mask = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()  # noqa: S324
        else:
            once = hashlib.sha256(password).digest()
            mask = hashlib.sha256(hashlib.sha256(once).digest() + salt).digest()
        return bytes(a ^ b for a, b in zip(once, mask, strict=True))

    async def query(self, sql: str) -> list[list[str]]:
        """Return the rows of an answer, NULL as an empty text. Raises Refused with the server's own number."""
        return [list(row.values()) for row in await self.rows(sql)]

    async def rows(self, sql: str) -> list[dict[str, str]]:
        """Return the rows by the columns' names; at most MOST_ROWS are taken."""
        self.sequence = 0
        self._send(b"\x03" + sql.encode())
        first = await self._packet()
        if first[:1] == b"\xff":
            raise self._error(first)
        if first[:1] == b"\0":
            return []
        names = []
        for _ in range(first[0]):
            names.append(_texts(await self._packet())[4])
        await self._packet()
        found: list[dict[str, str]] = []
        while len(found) < MOST_ROWS:
            packet = await self._packet()
            if packet[:1] == b"\xff":
                raise self._error(packet)
            if packet[:1] == b"\xfe" and len(packet) < 9:
                break
            found.append(dict(zip(names, _texts(packet), strict=False)))
        return found

    def _send(self, payload: bytes) -> None:
        self.reading.wire.write(len(payload).to_bytes(3, "little") + bytes([self.sequence]) + payload)
        self.sequence += 1

    async def _packet(self) -> bytes:
        head = await self.reading.take(4)
        self.sequence = (head[3] + 1) % 256
        return await self.reading.take(int.from_bytes(head[:3], "little"))

    def _error(self, payload: bytes) -> Refused:
        """Return the error of a packet: a number, and behind the sixth byte its text where a SQLSTATE stands before that."""
        number = int.from_bytes(payload[1:3], "little")
        text = payload[9:] if payload[3:4] == b"#" else payload[3:]
        detail = start(text.decode("utf-8", "replace"), 160)
        return Refused(mysql_fault(number, detail, phase=Phase.QUERY, endpoint=self.address.endpoint))


def _texts(packet: bytes) -> list[str]:
    """Return the length-encoded texts of a packet, as far as they are whole; NULL as an empty one."""
    found, at = list[str](), 0
    while at < len(packet):
        size, at = packet[at], at + 1
        if size == 0xFB:
            found.append("")
            continue
        if size in (0xFC, 0xFD):
            width = size - 0xFA
            size, at = int.from_bytes(packet[at : at + width], "little"), at + width
        found.append(packet[at : at + size].decode("utf-8", "replace"))
        at += size
    return found
