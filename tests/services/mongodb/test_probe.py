"""A MongoDB is looked at by its hello, over messages as the wire protocol's manual writes them; no real one was asked."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest

from resilience.core.records import FaultCode
from resilience.services.mongodb.bson import decoded, encoded
from tests.kits.kind_kit import by_client, check_dead_and_mute, code_of, look, of_kind, seen_against
from tests.kits.servers import fakes

URL = "mongodb://127.0.0.1:{port}/shop"
C = FaultCode
PRIMARY = {
    "isWritablePrimary": True,
    "setName": "rs0",
    "hosts": ["a:27017", "b:27017"],
    "primary": "a:27017",
    "maxWireVersion": 21,
    "ok": 1.0,
}
UNKNOWN_COMMAND = {"ok": 0.0, "code": 59, "errmsg": "no such command: 'hello'"}


def answers(*documents: dict[str, Any], flags: int = 0, tail: bytes = b"") -> fakes.Handler:
    """Answer each OP_MSG with the next document; what was asked must be a command to `admin`."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for document in documents:
            size, number, _, opcode = struct.unpack("<4i", await reader.readexactly(16))
            body = await reader.readexactly(size - 16)
            assert (opcode, body[:5], decoded(body[5:])["$db"]) == (2013, b"\0\0\0\0\0", "admin")
            reply = struct.pack("<I", flags) + b"\0" + encoded(document) + tail
            writer.write(struct.pack("<4i", 16 + len(reply), 7, number, 2013) + reply)
            await writer.drain()
        await reader.read(-1)

    return handler


async def test_dead_mute_closing_and_strange_ones_are_told_apart() -> None:
    await check_dead_and_mute("mongodb", URL)


async def test_the_hello_of_a_primary_is_what_it_is_known_by_and_what_is_not_tried_is_said() -> None:
    seen = await seen_against("mongodb", URL, answers(PRIMARY))
    assert (seen.fault, seen.found) == (None, "hello of a primary (not tried on a real server)")
    assert (seen.facts["set"], seen.facts["server_version"]) == ("rs0", "7.0 or newer")
    assert "not tried" in seen.facts["login"]


@pytest.mark.parametrize(
    ("document", "role"),
    [
        ({"ismaster": True, "ok": 1.0}, "standalone"),
        ({"isWritablePrimary": True, "msg": "isdbgrid", "ok": 1.0}, "mongos"),
        ({"isWritablePrimary": False, "secondary": True, "setName": "rs0", "ok": 1.0}, "secondary"),
        ({"isWritablePrimary": False, "secondary": False, "arbiterOnly": True, "ok": 1.0}, "arbiter"),
        ({"isWritablePrimary": False, "secondary": False, "isreplicaset": True, "ok": 1.0}, "not in service"),
        ({"isWritablePrimary": False, "secondary": False, "setName": "rs0", "ok": 1.0}, "not in service"),
    ],
)
async def test_its_role_is_told_by_its_hello(document: dict[str, Any], role: str) -> None:
    assert (await seen_against("mongodb", URL, answers(document))).facts["role"] == role


async def test_a_server_that_knows_no_hello_yet_is_asked_in_the_old_words() -> None:
    seen = await seen_against("mongodb", URL, answers(UNKNOWN_COMMAND, {"ismaster": True, "ok": 1.0}))
    assert (seen.fault, seen.facts["role"]) == (None, "standalone")


async def test_what_it_refuses_is_said_by_its_code() -> None:
    seen = await seen_against("mongodb", URL, answers({"ok": 0.0, "code": 91, "errmsg": "in shutdown"}))
    assert code_of(seen) is C.APP_SHUTDOWN
    assert seen.fault is not None
    assert "in shutdown" in seen.fault.detail


@pytest.mark.parametrize(
    "answer",
    [
        struct.pack("<4i", 36, 7, 9, 2013) + bytes(20),
        struct.pack("<4i", 36, 7, 1, 1) + bytes(20),
        struct.pack("<4i", 0x7FFFFFFF, 7, 1, 2013),
        struct.pack("<4i", 30, 7, 1, 2013) + bytes(14),
    ],
)
async def test_what_is_no_answer_is_no_mongodb(answer: bytes) -> None:
    assert code_of(await seen_against("mongodb", URL, fakes.says(answer, stay=True))) is C.PROTO_WRONG


async def test_a_checksum_behind_the_document_is_passed_over() -> None:
    assert (await seen_against("mongodb", URL, answers(PRIMARY, flags=1, tail=b"\1\2\3\4"))).fault is None


async def test_tls_is_spoken_where_the_url_asks_for_it() -> None:
    told: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        told.append(await reader.read(1))

    async with fakes.serve(handler) as port:
        assert (await look(of_kind("mongodb", f"mongodb://127.0.0.1:{port}/shop?tls=true"))).fault is not None
    assert set(told) == {b"\x16"}


@pytest.mark.slow  # a process of its own
async def test_the_teams_client_of_a_dead_server_is_read() -> None:
    pytest.importorskip("pymongo")
    script = """
import pymongo
def asked(port):
    with pymongo.MongoClient("127.0.0.1", port, serverSelectionTimeoutMS=500, connectTimeoutMS=500) as client:
        client.admin.command("ping")
print(fault_of("mongodb", lambda: asked({dead})))
"""
    assert await by_client(script.format(dead=fakes.refused())) == [C.TCP_TIMEOUT]
