"""A memcached is looked at by its own words, and what is not one is named."""

from __future__ import annotations

from resilience.core.records import FaultCode
from tests.kits.kind_kit import check_dead_and_mute, code_of, seen_against
from tests.kits.servers import fakes

URL = "memcached://127.0.0.1:{port}"


async def test_dead_mute_closing_and_strange_ones_are_told_apart() -> None:
    await check_dead_and_mute("memcached", URL)


async def test_version_and_statistics_are_what_it_is_known_by() -> None:
    answer = b"VERSION 1.6.18\r\nSTAT curr_connections 2\r\nSTAT accepting_conns 0\r\nEND\r\n"
    seen = await seen_against("memcached", URL, fakes.says(answer))
    assert (seen.fault, seen.found) == (None, "version 1.6.18")
    assert (seen.facts["connections"], seen.facts["accepting"]) == ("2", "no")


async def test_what_it_refuses_is_said_in_its_own_words() -> None:
    seen = await seen_against("memcached", URL, fakes.says(b"CLIENT_ERROR unauthenticated\r\n"))
    assert code_of(seen) is FaultCode.APP_AUTH
    seen = await seen_against("memcached", URL, fakes.says(b"SERVER_ERROR out of memory\r\n"))
    assert code_of(seen) is FaultCode.APP_ERROR
    seen = await seen_against("memcached", URL, fakes.says(b"VERSION 1\r\n" + b"STAT a b\r\n" * 500))
    assert code_of(seen) is FaultCode.PROTO_WRONG
