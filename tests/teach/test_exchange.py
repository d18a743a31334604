"""Two requests are the same one where all that asks for something is the same, however it was written."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from resilience.teach.exchange import Asked, Headers, canonical, difference, fields, parts_of, places

JSON = (("Content-Type", "application/json"),)
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)


def asked(body: bytes = b"", headers: Headers = (), **more: str) -> Asked:
    return Asked(**{"method": "POST", "path": "/a/b", **more}, body=body, headers=headers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (asked(b'{"a": 1, "b": [1, 2]}', JSON), asked(b'{"b":[1,2],"a":1}', JSON)),
        (asked(b"a=1&b=2", FORM), asked(b"b=2&a=1", FORM)),
        (asked(query="a=1&b=%20"), asked(query="b=+&a=1")),
        (asked(headers=(("X-A", "1"), ("Accept", "*/*"))), asked(headers=(("accept", "*/*"), ("x-a", "1")))),
        (asked(headers=(("Cookie", "a=1; b=2"),)), asked(headers=(("Cookie", "b=2;a=1"),))),
        (asked(headers=(("User-Agent", "x"), ("Host", "a"))), asked(headers=(("User-Agent", "y"), ("Host", "b")))),
    ],
)
def test_how_it_is_written_does_not_count(one: Asked, other: Asked) -> None:
    assert canonical(one).key == canonical(other).key
    assert difference(canonical(one), canonical(other)) == ""


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (asked(b'{"a": "1"}', JSON), "body.json.a"),
        (asked(b'{"a": 1, "b": null}', JSON), "body.json.b is missing"),
        (asked(b"[1]", JSON), "body"),
        (asked(b'{"a": 1}', (*JSON, ("Range", "bytes=0-1"))), "headers"),
        (asked(b'{"a": 1}', (*JSON, ("If-None-Match", '"x"'))), "headers"),
        (asked(b'{"a": 1}', JSON, query="x="), "query"),
        (asked(b'{"a": 1}', JSON, path="/a/b/"), "path"),
        (asked(b'{"a": 1}', JSON, method="PUT"), "method"),
    ],
)
def test_what_is_asked_counts_and_is_named(other: Asked, said: str) -> None:
    one = canonical(asked(b'{"a": 1}', JSON))
    assert one.key != canonical(other).key
    assert said in difference(one, canonical(other))


def test_lists_keep_their_order_and_fields_of_one_name_theirs() -> None:
    assert canonical(asked(b"[1,2]", JSON)).key != canonical(asked(b"[2,1]", JSON)).key
    assert fields("b=2&a=2&a=1") == (("a", "2"), ("a", "1"), ("b", "2"))


def test_a_boundary_is_by_lot_and_the_parts_count() -> None:
    def upload(mark: str, data: bytes) -> Asked:
        body = (
            f'--{mark}\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'.encode()
            + data + f"\r\n--{mark}--\r\n".encode()
        )  # fmt: skip
        return asked(body, (("Content-Type", f"multipart/form-data; boundary={mark}"),))

    assert canonical(upload("x", b"1\r\n2")).key == canonical(upload("yy", b"1\r\n2")).key
    assert canonical(upload("x", b"1")).key != canonical(upload("x", b"2")).key
    assert parts_of(upload("x", b"1\r\n2").body, upload("x", b"").headers) == [
        ((("content-disposition", 'form-data; name="f"; filename="a"'),), b"1\r\n2")
    ]


@given(
    st.binary(max_size=200), st.sampled_from(["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
)
def test_any_bytes_have_a_form_and_other_bytes_mostly_another(body: bytes, media: str) -> None:
    one = asked(body, (("Content-Type", media),))
    assert canonical(one).key == canonical(one).key
    assert places(canonical(one))
