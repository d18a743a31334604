"""A broker is looked at by its metadata, over bytes as the protocol guide writes them, and on librdkafka's mock cluster."""

from __future__ import annotations

import asyncio
import struct

import pytest

from resilience.core.records import FaultCode
from tests.kits.kind_kit import by_client, check_dead_and_mute, code_of, look, of_kind, seen_against
from tests.kits.servers import fakes

URL = "kafka://127.0.0.1:{port}"
C = FaultCode
VERSIONS, METADATA, HANDSHAKE, AUTHENTICATE = 18, 3, 17, 36


def text(value: str | None) -> bytes:
    return b"\xff\xff" if value is None else struct.pack(">h", len(value)) + value.encode()


def array(*elements: bytes) -> bytes:
    return struct.pack(">i", len(elements)) + b"".join(elements)


def numbers(*values: int) -> bytes:
    return array(*(struct.pack(">i", value) for value in values))


def partition(leader: int, replicas: tuple[int, ...], in_step: tuple[int, ...]) -> bytes:
    return struct.pack(">hii", 0, 0, leader) + numbers(*replicas) + numbers(*in_step)


def metadata(controller: int, *partitions: bytes) -> bytes:
    broker = struct.pack(">i", 1) + text("broker-1.internal") + struct.pack(">i", 9092) + text(None)
    topic = struct.pack(">h", 0) + text("jobs") + b"\0" + array(*partitions)
    return array(broker) + struct.pack(">i", controller) + array(topic)


SPOKEN = struct.pack(">h", 0) + array(*(struct.pack(">hhh", key, 0, 12) for key in (METADATA, HANDSHAKE)))
WELL = metadata(1, partition(1, (1, 2), (1, 2)))


def broker(**answers: bytes) -> fakes.Handler:
    """Answer each request by its key; `k3` is the answer to metadata."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            size = struct.unpack(">i", await reader.readexactly(4))[0]
            key, _, number = struct.unpack(">hhi", (await reader.readexactly(size))[:8])
            answer = struct.pack(">i", number) + answers[f"k{key}"]
            writer.write(struct.pack(">i", len(answer)) + answer)
            await writer.drain()

    return handler


async def test_dead_mute_closing_and_strange_ones_are_told_apart() -> None:
    await check_dead_and_mute("kafka", URL)


async def test_its_metadata_are_what_it_is_known_by_and_what_is_not_tried_is_said() -> None:
    seen = await seen_against("kafka", URL, broker(k18=SPOKEN, k3=WELL))
    assert (seen.fault, seen.found) == (None, "metadata of 1 brokers and 1 topics (not tried on a real server)")
    assert (seen.facts["controller"], seen.facts["partitions"]) == ("broker-1.internal:9092", "1")


@pytest.mark.parametrize(
    ("answer", "fact", "value"),
    [
        (metadata(-1), "controller", "none"),
        (metadata(1, partition(-1, (1, 2), (1,)), partition(1, (1, 2), (1,))), "leaderless", "1"),
        (metadata(1, partition(-1, (1, 2), (1,)), partition(1, (1, 2), (1,))), "under_replicated", "1"),
    ],
)
async def test_what_lacks_is_counted(answer: bytes, fact: str, value: str) -> None:
    assert (await seen_against("kafka", URL, broker(k18=SPOKEN, k3=answer))).facts[fact] == value


async def test_a_login_is_refused_with_the_brokers_words_and_a_mechanism_with_those_it_offers() -> None:
    granted = struct.pack(">h", 0) + array(text("PLAIN"))
    refusal = struct.pack(">h", 58) + text("Authentication failed: Invalid username or password") + array()
    url = "kafka://app:wrong@127.0.0.1:{port}"
    seen = await seen_against("kafka", url, broker(k18=SPOKEN, k17=granted, k36=refusal))
    assert code_of(seen) is C.APP_AUTH
    assert seen.fault is not None
    assert "Invalid username or password" in seen.fault.detail
    other = struct.pack(">h", 33) + array(text("SCRAM-SHA-512"))
    seen = await seen_against("kafka", url, broker(k18=SPOKEN, k17=other))
    assert seen.fault is not None
    assert (seen.fault.code, "SCRAM-SHA-512" in seen.fault.detail) == (C.APP_AUTH, True)
    well = await seen_against(
        "kafka", url, broker(k18=SPOKEN, k17=granted, k36=struct.pack(">h", 0) + text(""), k3=WELL)
    )
    assert (well.fault, well.facts["login"]) == (None, "SASL/PLAIN")


async def test_a_broker_of_later_versions_alone_is_up_and_that_is_said() -> None:
    later = struct.pack(">h", 0) + array(struct.pack(">hhh", METADATA, 9, 13))
    seen = await seen_against("kafka", URL, broker(k18=later))
    assert (seen.fault, seen.facts["metadata"]) == (None, "not read: it speaks versions 9 to 13")


@pytest.mark.parametrize(
    "answer",
    [
        struct.pack(">ii", 8, 99) + b"\0\0\0\0",
        struct.pack(">ii", 0x7FFFFFFF, 1),
        struct.pack(">ii", 5, 1) + b"\0",
        struct.pack(">iihi", 10, 1, 0, 1000),
    ],
)
async def test_what_is_no_answer_is_no_broker(answer: bytes) -> None:
    assert code_of(await seen_against("kafka", URL, fakes.says(answer, stay=True))) is C.PROTO_WRONG


async def test_metadata_of_many_partitions_are_read_to_the_end() -> None:
    many = metadata(1, *[partition(1, (1, 2, 3), (1, 2, 3))] * 12_000)
    seen = await seen_against("kafka", URL, broker(k18=SPOKEN, k3=many))
    assert (seen.fault, seen.facts["partitions"]) == (None, "12000")


async def test_librdkafkas_mock_cluster_is_seen_well() -> None:
    """The nearest to a Kafka that can be had here: brokers of another maker, in this process."""
    kafka = pytest.importorskip("confluent_kafka")
    producer = kafka.Producer({"bootstrap.servers": "x", "test.mock.num.brokers": 3, "log_level": 0})
    producer.list_topics("jobs", timeout=10)
    producer.produce("jobs", b"job 1")
    assert producer.flush(10) == 0
    some = next(iter(producer.list_topics(timeout=10).brokers.values()))
    seen = await look(of_kind("kafka", f"kafka://{some.host}:{some.port}"))
    assert seen.fault is None
    assert (seen.facts["brokers"], seen.facts["leaderless"], seen.facts["under_replicated"]) == ("3", "0", "0")
    assert int(seen.facts["partitions"]) >= 1


@pytest.mark.slow  # a process of its own, and a client that tries again
async def test_the_teams_client_of_a_dead_broker_is_read() -> None:
    pytest.importorskip("confluent_kafka")
    script = """
from confluent_kafka.admin import AdminClient
client = AdminClient({{"bootstrap.servers": "127.0.0.1:{dead}", "log_level": 0}})
print(fault_of("kafka", lambda: client.list_topics(timeout=2)))
"""
    [printed] = await by_client(script.format(dead=fakes.refused()))
    assert printed in (C.PROTO_CLOSED, C.PROTO_SILENT, C.TCP_REFUSED)
