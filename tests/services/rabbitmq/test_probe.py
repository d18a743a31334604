"""A broker that is none, or does not speak on, is named. What a real one answers: test_stand_in.py."""

from __future__ import annotations

import struct

from resilience.core.records import FaultCode
from tests.kits.kind_kit import check_dead_and_mute, code_of, seen_against
from tests.kits.servers import fakes

URL = "amqp://app:pw@127.0.0.1:{port}/shop"


def method(class_: int, number: int, arguments: bytes) -> bytes:
    body = struct.pack(">HH", class_, number) + arguments
    return struct.pack(">BHI", 1, 0, len(body)) + body + b"\xce"


START = method(
    10, 10, b"\0\x09" + b"\0\0\0\x0f" + b"\x07versionS\0\0\0\x02" + b"41"[:2] + b"\0\0\0\x05PLAIN" + b"\0\0\0\x05en_US"
)


async def test_dead_mute_closing_and_strange_ones_are_told_apart() -> None:
    await check_dead_and_mute("rabbitmq", URL)


async def test_a_refused_login_is_said_with_the_brokers_code() -> None:
    refusal = method(10, 50, struct.pack(">H", 403) + b"\x0eACCESS_REFUSED" + b"\0\0\0\0")
    seen = await seen_against("rabbitmq", URL, fakes.says(START, refusal))
    assert code_of(seen) is FaultCode.APP_AUTH
    assert seen.fault is not None
    assert "403" in seen.fault.detail


async def test_a_frame_without_an_end_and_one_that_is_too_long_are_no_broker() -> None:
    assert code_of(await seen_against("rabbitmq", URL, fakes.says(START[:-1] + b"\0"))) is FaultCode.PROTO_WRONG
    huge = struct.pack(">BHI", 1, 0, 0x7FFFFFFF)
    assert code_of(await seen_against("rabbitmq", URL, fakes.says(huge))) is FaultCode.PROTO_WRONG
