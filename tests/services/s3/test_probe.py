"""An S3 service is looked at by a signed listing, and what it answers is told by the code in its body."""

from __future__ import annotations

from resilience.core.records import FaultCode
from tests.kits.kind_kit import check_dead_and_mute, code_of, seen_against
from tests.kits.servers import fakes

URL = "http://KEY:SECRET@127.0.0.1:{port}/bucket"
LISTING = b"<?xml version='1.0'?><ListBucketResult><Name>bucket</Name></ListBucketResult>"


def error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>said</Message></Error>".encode()


async def test_dead_mute_closing_and_strange_ones_are_told_apart() -> None:
    await check_dead_and_mute("s3", URL)


async def test_a_listing_is_what_it_is_known_by() -> None:
    seen = await seen_against("s3", URL, fakes.says(fakes.http(200, LISTING)))
    assert (seen.fault, seen.found) == (None, "a listing of bucket")


async def test_what_it_refuses_is_said_by_its_code() -> None:
    for status, body, code in (
        (403, error("SignatureDoesNotMatch"), FaultCode.APP_AUTH),
        (404, error("NoSuchBucket"), FaultCode.APP_NO_DB),
        (503, error("SlowDown"), FaultCode.APP_RATE_LIMIT),
        (200, b"<html>login</html>", FaultCode.PROTO_WRONG),
        (301, b"", FaultCode.CONFIG_INVALID),
    ):
        assert code_of(await seen_against("s3", URL, fakes.says(fakes.http(status, body)))) is code, status
