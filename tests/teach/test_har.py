"""A recording comes out of HAR as it went in; of others' HAR only what is whole and staging's own is taken."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from resilience.core.errors import UsageError
from resilience.teach.exchange import Answer, Asked, Exchange
from resilience.teach.har import imported, read, written
from resilience.teach.replay import Bound, Recorded

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.binary(max_size=60), st.binary(max_size=60), TEXTS, st.booleans())
def test_a_recording_survives_its_round_trip(asked: bytes, body: bytes, text: str, chunked: bool) -> None:
    one = Recorded(
        number=3,
        exchange=Exchange(
            asked=Asked(method="POST", path="/a", query="b=c?d", headers=(("X", text), ("X", "2")), body=asked),
            answer=Answer(status=201, reason="Made", headers=(("Y", text),), body=body, chunked=chunked),
            began=1.25, ended=2.5, owner="test a::b",
        ),
        bound=(Bound(variable=1, asked=(("path", 0),), answered=(("body", "a", 0),)),),
        volatile=(("body", "now"),),
    )  # fmt: skip
    assert read(written("api", [one])) == (one,)


def test_large_bodies_and_bytes_are_files_by_their_hash() -> None:
    exchange = Exchange(asked=Asked(method="GET", path="/"), answer=Answer(status=200, body=b"\xff" * 20))
    files = written("api", [Recorded(number=number, exchange=exchange) for number in (1, 2)])
    assert len(files) == 2, "the same body once"
    document = json.loads(files["recordings.har"])
    assert document["log"]["version"] == "1.2"
    assert document["log"]["entries"][0]["request"]["url"] == "http://api/"


def entry(**more: Any) -> dict[str, Any]:
    response = {
        "status": 200, "statusText": "OK", "headers": [{"name": "Content-Encoding", "value": "br"}],
        "content": {"size": 5, "mimeType": "text/plain", "text": "plain"},
    }  # fmt: skip
    request = {"method": "get", "url": "https://api.example/a?b=1", "headers": [{"name": ":authority", "value": "x"}]}
    return {
        "startedDateTime": "2026-11-25T03:00:00Z", "time": 5,
        "request": {**request, **more.pop("request", {})}, "response": {**response, **more.pop("response", {})}, **more,
    }  # fmt: skip


def har(*entries: Any) -> bytes:
    return json.dumps({"log": {"entries": entries}}).encode()


def test_a_browsers_entry_is_taken_with_its_body_unpacked_as_it_saved_it() -> None:
    packed = {"content": {"size": 2, "encoding": "base64", "text": base64.b64encode(b"\x00\xff").decode()}}
    found, left = imported(har(entry(), entry(response=packed)), "https://api.example:443")
    assert left == ()
    assert [one.answer.body for one in found] == [b"plain", b"\x00\xff"]
    first = found[0]
    assert (first.asked.method, first.asked.path, first.asked.query, first.asked.headers) == ("GET", "/a", "b=1", ())
    assert (first.answer.headers, first.owner) == ((), "")


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (entry(request={"url": "https://other.example/a"}), "another address"),
        (entry(response={"status": 0}), "was not answered"),
        (entry(response={"status": 503}), "an outage is not to be learned"),
        (entry(response={"content": {"size": 9}}), "without its content"),
        (entry(response={"content": {"size": 9, "encoding": "base64", "text": "%%%"}}), "cannot be read"),
        (entry(request={"postData": {"mimeType": "multipart/form-data"}}), "without what was posted"),
        (entry(startedDateTime="yesterday"), "cannot be read"),
        ({"request": 1}, "cannot be read"),
        (None, "cannot be read"),
        (entry(request={"url": "https://[::1"}), "cannot be read"),
    ],
)
def test_an_entry_that_cannot_be_used_is_left_out_and_said(one: Any, said: str) -> None:
    found, left = imported(har(entry(), one), "https://api.example:443")
    assert len(found) == 1
    assert said in left[0]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"log": {}}', b'{"log": {"entries": 1}}', b"\xff", b"[" * 100_000]
)
def test_a_file_that_is_no_har_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="is no HAR"):
        imported(data, "https://api.example:443")
