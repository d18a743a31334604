"""What a server sends is read in whole lines and frames of bounded size, or named as what it is instead."""

from __future__ import annotations

import asyncio

import pytest

from resilience.core.records import FaultCode
from resilience.services.reading import FRAME, LINE, Reading
from resilience.services.wire import Refused, Trace, Wire
from tests.kits.servers import fakes


async def reading(port: int) -> Reading:
    wire = Wire(Trace(5.0))
    await asyncio.get_running_loop().create_connection(lambda: wire, "127.0.0.1", port)
    return Reading(wire, "a test server", f"127.0.0.1:{port}")


async def test_lines_and_frames_come_whole_in_whatever_pieces() -> None:
    async with fakes.serve(fakes.says(b"he", b"llo\r", b"\nab", b"cd", first=True, stay=True)) as port:
        found = await reading(port)
        await found.starts(b"hello", b"bye")
        assert await found.line() == b"hello"
        assert await found.take(4) == b"abcd"
        found.wire.abort()


@pytest.mark.parametrize(
    ("sent", "what", "code"),
    [
        (b"SSH-2.0-x\r\n", "starts", FaultCode.PROTO_WRONG),
        (b"x" * (LINE + 2), "line", FaultCode.PROTO_WRONG),
        (b"ab", "take", FaultCode.PROTO_CLOSED),
        (b"", "line", FaultCode.PROTO_CLOSED),
    ],
)
async def test_what_is_none_is_a_fault(sent: bytes, what: str, code: FaultCode) -> None:
    async with fakes.serve(fakes.says(sent, first=True)) as port:
        found = await reading(port)
        asked = {"starts": lambda: found.starts(b"hello"), "line": found.line, "take": lambda: found.take(4)}[what]
        with pytest.raises(Refused) as caught:
            await asked()
        assert caught.value.fault.code is code
        found.wire.abort()


async def test_no_frame_is_longer_than_the_limit() -> None:
    async with fakes.serve(fakes.silent) as port:
        found = await reading(port)
        with pytest.raises(Refused) as caught:
            await found.take(FRAME + 1)
        assert caught.value.fault.code is FaultCode.PROTO_WRONG
        found.wire.abort()
