"""What is secret becomes the same pseudonym everywhere, and what is not keeps its very bytes."""

from __future__ import annotations

import jwt
import pytest
from hypothesis import given, strategies as st

from resilience.teach.exchange import Answer, Asked, Exchange
from resilience.teach.mask import PSEUDONYM, TOKEN, Masker, is_secret_name, people_in, tokens_in

JSON = (("Content-Type", "application/json"),)


def masker(**more: object) -> Masker:
    return Masker(key=b"k" * 32, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["password", "X-Api-Key", "client_secret", "csrf", "session_id", "refresh_token", "DB_PASS"]
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["token_type", "total_tokens", "keyboard", "status", "code", "state", "expires_in", "token_url", "name"]
)
def test_names_of_none(name: str) -> None:
    assert not is_secret_name(name)


def test_a_secret_is_the_same_pseudonym_wherever_it_stands_and_masking_twice_changes_nothing() -> None:
    made = masker(values=("in-a-text-9",))
    asked = Asked(
        method="POST", path="/a", query="api_key=s3cret-1&x=2&code=abc",
        headers=(("X-Api-Key", "s3cret-1"), ("Authorization", "Bearer s3cret-1"), ("Cookie", "a=s3cret-1; b=2"), *JSON),
        body=b'{"token": "s3cret-1", "n": 1, "deep": [{"note": "it is in-a-text-9!"}]}',
    )  # fmt: skip
    once = made.asked(asked)
    names = set(PSEUDONYM.findall(f"{once.query}{once.headers}{once.body.decode()}"))
    assert b"s3cret-1" not in once.body
    assert "s3cret-1" not in f"{once.query}{once.headers}"
    assert b"in-a-text-9" not in once.body
    assert masker().pseudonym("s3cret-1") in names
    assert "code=mask-" in once.query
    assert made.asked(once) == once


@pytest.mark.parametrize(
    "body",
    [b'{"a":  1, "state": "paid",\n "code": "AT"}', b"<p>text</p>", b"\x00\xff", b"", b'{"a": 1e5}', b"not json {"],
)
def test_what_holds_no_secret_keeps_its_bytes(body: bytes) -> None:
    answer = Answer(status=200, headers=JSON, body=body)
    assert masker().answer(answer) == answer


def test_a_token_of_staging_keeps_its_claims_but_for_times_and_any_other_is_opaque() -> None:
    one = jwt.encode({"sub": "alice", "iat": 1, "exp": 601, "jti": "x"}, "k" * 32)
    two = jwt.encode({"sub": "alice", "iat": 5, "exp": 605, "jti": "y"}, "k" * 32)
    bob = jwt.encode({"sub": "bob", "iat": 1, "exp": 601}, "k" * 32)
    asked = Asked(method="GET", path="/")
    said = [Exchange(asked=asked, answer=Answer(status=200, body=f'{{"t": "{t}"}}'.encode())) for t in (one, two)]
    made = masker(issued=tokens_in(said))
    assert made.secret(one) == made.secret(two)
    name = made.secret(one)
    assert TOKEN.fullmatch(name)
    assert made.tokens[name].claims == {"sub": "alice"}
    assert PSEUDONYM.fullmatch(made.secret(bob)), "staging never gave it out: whether it is good is not ours to say"
    assert made.text(f"in a text {one}.") == f"in a text {name}."


def test_a_value_that_was_masked_is_known_again_without_knowing_the_secret() -> None:
    before = masker(values=("hidden-in-name",))
    body = b'{"name": "hidden-in-name"}'
    once = before.asked(Asked(method="POST", path="/", headers=JSON, body=body))
    later = masker(seen=frozenset(before.used))
    assert later.asked(Asked(method="POST", path="/", headers=JSON, body=body)) == once
    assert masker().asked(Asked(method="POST", path="/", headers=JSON, body=body)).body == body


def test_people_are_counted_once() -> None:
    answer = Answer(status=200, body=b"a@example.com b@example.com a@example.com")
    assert people_in([Exchange(asked=Asked(method="GET", path="/"), answer=answer)] * 2) == {"e-mail addresses": 2}


@given(
    st.text(max_size=80), st.sampled_from(["", "application/json", "application/x-www-form-urlencoded", "text/html"])
)
def test_any_text_is_masked_and_twice_is_once(text: str, media: str) -> None:
    made = masker(values=("s3cret-value",))
    headers = (("Content-Type", media),)
    once = made.answer(Answer(status=200, headers=headers, body=f"{text} s3cret-value".encode()))
    assert b"s3cret-value" not in once.body
    assert made.answer(once) == once


def test_a_secret_in_any_header_that_is_an_address_is_masked() -> None:
    """A page's token is one by its name; a client sends it back as it was given."""
    masker = Masker(key=b"k" * 32)
    answer = masker.answer(Answer(status=200, headers=(("Next-Page", "https://a.example/x?page=2&_token=abcdefgh12"),)))
    asked = masker.asked(Asked(method="GET", path="/x", query="page=2&_token=abcdefgh12"))
    assert answer.header("Next-Page") == f"https://a.example/x?{asked.query}"
    assert "abcdefgh12" not in asked.query
