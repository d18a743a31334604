"""Turn the bytes of a connection into whole lines and frames of bounded size, or into the fault that something else came."""

from __future__ import annotations

import asyncio
import ssl

from resilience.core.faults import fault
from resilience.core.records import FaultCode, Phase
from resilience.services.wire import Refused, Wire, sniff

LINE = 8192
FRAME = 128 * 1024


class Reading:
    """Reads one connection for a probe. `title` is who should be there, and `endpoint` where; both stand in the faults."""

    def __init__(self, wire: Wire, title: str, endpoint: str) -> None:
        self.wire, self.title, self.endpoint = wire, title, endpoint

    async def take(self, size: int) -> bytes:
        """Return exactly this many bytes. Raises Refused where the connection ends before, or more than FRAME are asked for."""
        if size > FRAME:
            raise self.wrong(f"a frame of {size} bytes")
        while len(self.wire.buffer) < size:
            await self._more()
        data = bytes(self.wire.buffer[:size])
        del self.wire.buffer[:size]
        return data

    async def line(self) -> bytes:
        """Return one line without its end. Raises Refused for one without an end within LINE bytes."""
        while (end := self.wire.buffer.find(b"\n")) < 0:
            if len(self.wire.buffer) > LINE:
                raise self.wrong("a line without an end")
            await self._more()
        data = bytes(self.wire.buffer[:end]).rstrip(b"\r")
        del self.wire.buffer[: end + 1]
        return data

    async def starts(self, *expected: bytes) -> None:
        """Wait for as many bytes as tell that none, or one, of these begins the answer; they are left there.

        Raises Refused, by what the bytes look like, as soon as none can.
        """
        while True:
            have = bytes(self.wire.buffer[: max(map(len, expected))])
            if any(have.startswith(one) for one in expected):
                return
            if have and not any(one.startswith(have) for one in expected):
                raise self.wrong(sniff(bytes(self.wire.buffer[:64])))
            await self._more()

    async def start_tls(self, tls: ssl.SSLContext, host: str) -> None:
        """Go on in TLS, as the server has just granted. Raises ssl.SSLError, OSError."""
        wire, trace = self.wire, self.wire.trace
        if wire.transport is None:
            raise self.wrong("nobody")
        trace.enter(Phase.TLS)
        trace.tls = True
        transport = await asyncio.get_running_loop().start_tls(
            wire.transport,
            wire,
            tls,
            server_hostname=host or None if tls.check_hostname else (host or ""),
            ssl_handshake_timeout=max(trace.left_s, 0.01) + 1,
        )
        wire.transport = transport
        trace.enter(Phase.QUERY)

    async def _more(self) -> None:
        if not await self.wire.more():
            what = "in the middle of an answer" if self.wire.buffer else "without an answer"
            raise Refused(
                fault(FaultCode.PROTO_CLOSED, self.wire.trace.phase, f"closed {what}", endpoint=self.endpoint)
            )

    def wrong(self, what: str) -> Refused:
        """Return the fault that something other than the service answers."""
        phase = self.wire.trace.phase or Phase.QUERY
        detail = f"{what} answers where {self.title} was expected"
        return Refused(fault(FaultCode.PROTO_WRONG, phase, detail, endpoint=self.endpoint))

    def refused(self, code: FaultCode, detail: str) -> Refused:
        """Return the fault that the service itself names."""
        return Refused(fault(code, Phase.QUERY, detail, endpoint=self.endpoint))
