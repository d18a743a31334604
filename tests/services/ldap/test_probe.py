"""A directory is looked at by a login and one entry (RFC 4511). What a real one answers: test_stand_in.py."""

from __future__ import annotations

import asyncio

import pytest

from resilience.core.records import FaultCode
from resilience.services.ldap.probe import elements, tlv
from tests.kits.kind_kit import check_dead_and_mute, code_of, seen_against
from tests.kits.servers import fakes

URL = "ldap://127.0.0.1:{port}"
ROOT_DSE = tlv(
    0x64,
    tlv(0x04, b"") + tlv(0x30, tlv(0x30, tlv(0x04, b"namingContexts") + tlv(0x31, tlv(0x04, b"dc=shop,dc=example")))),
)


def result(kind: int, code: int, text: bytes = b"") -> bytes:
    return tlv(kind, tlv(0x0A, bytes([code])) + tlv(0x04, b"") + tlv(0x04, text))


def answers(*groups: tuple[bytes, ...]) -> fakes.Handler:
    """Answer the first request with the first group of operations, and so on; message numbers as they are counted."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, group in enumerate(groups, 1):
            await reader.read(4096)
            for operation in group:
                writer.write(tlv(0x30, tlv(0x02, bytes([number])) + operation))
            await writer.drain()
        await reader.read(-1)

    return handler


async def test_dead_mute_closing_and_strange_ones_are_told_apart() -> None:
    await check_dead_and_mute("ldap", URL)


async def test_the_servers_own_entry_is_what_it_is_known_by() -> None:
    seen = await seen_against("ldap", URL, answers((result(0x61, 0),), (ROOT_DSE, result(0x65, 0))))
    assert (seen.fault, seen.found) == (None, "the server's own entry")
    assert seen.facts["bases"] == "dc=shop,dc=example"


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        (((result(0x61, 49, b"no"),),), FaultCode.APP_AUTH),
        (((result(0x61, 0),), (result(0x65, 32),)), FaultCode.APP_NO_DB),
        (((result(0x61, 0),), (result(0x65, 0),)), FaultCode.APP_NO_DB),
        (((result(0x61, 0),), (result(0x78, 52, b"going down"),)), FaultCode.APP_SHUTDOWN),
        (((tlv(0x42, b""),),), FaultCode.PROTO_WRONG),
        (((result(0x61, 0),), (ROOT_DSE,) * 30), FaultCode.PROTO_WRONG),
        (((b"\x61\x7f\x0a",),), FaultCode.PROTO_WRONG),
    ],
)
async def test_what_it_answers_is_told_by_its_code(groups: tuple[tuple[bytes, ...], ...], code: FaultCode) -> None:
    assert code_of(await seen_against("ldap", URL, answers(*groups))) is code


async def test_starttls_that_is_refused_is_said_before_a_password_is_sent() -> None:
    told: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append(await reader.read(4096))
        writer.write(tlv(0x30, tlv(0x02, b"\x01") + result(0x78, 52, b"no TLS here")))
        told.append(await reader.read(4096))

    url = "ldap://cn%3Da:secret@127.0.0.1:{port}"
    seen = await seen_against("ldap", url, handler, options={"starttls": "required"})
    assert code_of(seen) is FaultCode.APP_SHUTDOWN
    assert b"secret" not in b"".join(told)


async def test_a_message_that_is_too_long_is_no_directory() -> None:
    assert code_of(await seen_against("ldap", URL, fakes.says(b"\x30\x84\x7f\xff\xff\xff"))) is FaultCode.PROTO_WRONG


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 70000])
def test_an_element_is_read_as_it_was_written(size: int) -> None:
    assert list(elements(tlv(0x04, b"x" * size))) == [(0x04, b"x" * size)]
    with pytest.raises(ValueError, match="an element"):
        list(elements(tlv(0x04, b"x" * size)[:-1]))
