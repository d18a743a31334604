"""Turn a Kafka broker into what its metadata say: the brokers, the controller, and partitions that lack copies."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from resilience.core.settings import Service
from resilience.services.kafka.kind import kafka_fault
from resilience.services.reading import FRAME, Reading
from resilience.services.wire import ProbeContext, Refused, Trace, open_wire, parse, sniff

API_VERSIONS, METADATA, HANDSHAKE, AUTHENTICATE = 18, 3, 17, 36
METADATA_VERSION = 1
MOST = 4 * 1024 * 1024
"""Bytes of metadata that are read: some 100,000 partitions."""


async def probe_kafka(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Ask for the versions it speaks, log in where the URL names a user (SASL/PLAIN), and ask for all metadata.

    Only this broker is connected to: whether its advertised addresses can be reached is not known, and the fact
    `advertised` names them. Nothing is produced or consumed. No client library is used.
    """
    address = parse(service.kind, url)
    trace.expected = "metadata, and a controller"
    wire = await open_wire(service, address, trace, context)
    broker = Broker(Reading(wire, "Kafka", address.endpoint))
    try:
        versions = await broker.versions()
        if address.user:
            await broker.login(address.user, address.password)
        trace.facts["login"] = "SASL/PLAIN" if address.user else "not tried (no user in the url)"
        low, high = versions.get(METADATA, (0, -1))
        if not low <= METADATA_VERSION <= high:
            trace.found = "a broker whose metadata this probe cannot read"
            trace.facts["metadata"] = f"not read: it speaks versions {low} to {high}"
            return
        metadata = await broker.metadata()
    finally:
        wire.abort()
    trace.facts |= metadata.facts() | {"reads": "ok"}
    trace.found = f"metadata of {len(metadata.brokers)} brokers and {metadata.topics} topics"


@dataclass(slots=True)
class Metadata:
    """What a broker says of its cluster."""

    brokers: dict[int, str] = field(default_factory=dict)
    controller: int = -1
    topics: int = 0
    partitions: int = 0
    leaderless: int = 0
    under_replicated: int = 0

    def facts(self) -> dict[str, str]:
        return {
            "brokers": str(len(self.brokers)),
            "controller": self.brokers.get(self.controller, str(self.controller)) if self.controller >= 0 else "none",
            "advertised": ", ".join(list(self.brokers.values())[:3]),
            "partitions": str(self.partitions),
            "leaderless": str(self.leaderless),
            "under_replicated": str(self.under_replicated),
        }


class Broker:
    """As much of Kafka's protocol as a look needs (the protocol guide, "Protocol primitive types" and "Messages")."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self._number = 0

    async def versions(self) -> dict[int, tuple[int, int]]:
        """Return which versions of each request it speaks. Raises Refused for what is no broker."""
        answer = await self._ask(API_VERSIONS, 0, b"")
        self._check(answer.number("h"))
        found = {}
        for _ in range(answer.count()):
            key, low, high = answer.number("h"), answer.number("h"), answer.number("h")
            found[key] = (low, high)
        return found

    async def login(self, user: str, password: str) -> None:
        """Log in by SASL/PLAIN. Raises Refused with the broker's code and words, as for a mechanism it has not enabled."""
        answer = await self._ask(HANDSHAKE, 1, _text("PLAIN"))
        code = answer.number("h")
        offered = ", ".join(answer.text() for _ in range(answer.count()))
        self._check(code, f"it offers {offered or 'no login'}, not PLAIN")
        proof = f"\0{user}\0{password}".encode()
        answer = await self._ask(AUTHENTICATE, 0, struct.pack(">i", len(proof)) + proof)
        self._check(answer.number("h"), answer.text())

    async def metadata(self) -> Metadata:
        """Return the metadata of all topics, as far as they are to be judged."""
        answer, found = await self._ask(METADATA, METADATA_VERSION, struct.pack(">i", -1)), Metadata()
        for _ in range(answer.count()):
            node, host, port = answer.number("i"), answer.text(), answer.number("i")
            answer.text()  # its rack
            found.brokers[node] = f"{host}:{port}"
        found.controller = answer.number("i")
        found.topics = answer.count()
        for _ in range(found.topics):
            answer.number("h")
            answer.text()
            answer.number("b")  # whether it is internal
            for _ in range(answer.count()):
                self._partition(answer, found)
        return found

    def _partition(self, answer: Answer, found: Metadata) -> None:
        """Read a partition. Without a leader its copies are not asked after: that is the greater fault."""
        answer.number("h")
        answer.number("i")
        leader = answer.number("i")
        replicas, in_step = answer.skip_numbers(), answer.skip_numbers()
        found.partitions += 1
        if leader < 0:
            found.leaderless += 1
        elif in_step < replicas:
            found.under_replicated += 1

    def _check(self, code: int, text: str = "") -> None:
        if code:
            raise Refused(kafka_fault(code, text, endpoint=self.reading.endpoint))

    async def _ask(self, key: int, version: int, body: bytes) -> Answer:
        """Send a request and return its answer. Raises Refused for one that is not of this request, or over MOST bytes."""
        self._number += 1
        request = struct.pack(">hhi", key, version, self._number) + _text("resilience-probe") + body
        self.reading.wire.write(struct.pack(">i", len(request)) + request)
        head = await self.reading.take(8)
        size, number = struct.unpack(">ii", head)
        if number != self._number or size < 4:
            raise self.reading.wrong(sniff(head))
        left, parts = size - 4, list[bytes]()
        if left > MOST:
            raise self.reading.wrong(f"an answer of {size} bytes")
        while left:
            parts.append(await self.reading.take(min(left, FRAME)))
            left -= len(parts[-1])
        return Answer(b"".join(parts), self.reading)


class Answer:
    """Reads an answer's fields in their order; raises Refused where it ends before."""

    def __init__(self, data: bytes, reading: Reading) -> None:
        self.data, self.at, self.reading = data, 0, reading

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.at:
            raise self.reading.wrong("an answer that is cut")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, layout: str) -> int:
        return int(struct.unpack(f">{layout}", self.take(struct.calcsize(f">{layout}")))[0])

    def count(self) -> int:
        """Return how many elements an array has; one that is null has none."""
        return max(self.number("i"), 0)

    def text(self) -> str:
        size = self.number("h")
        return self.take(size).decode("utf-8", "replace") if size > 0 else ""

    def skip_numbers(self) -> int:
        """Pass over an array of numbers, and return how many they were."""
        count = self.count()
        self.take(4 * count)
        return count


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data
