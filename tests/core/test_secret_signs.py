"""What looks like a secret is hidden without being known, and what it stood in stays readable."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable

import pytest

from resilience.core.redact import Redactor


@pytest.mark.parametrize(
    ("text", "kept", "gone"),
    [
        ("postgresql://app:hunter2@db:5432/x", "@db:5432/x", "hunter2"),
        ("redis://:a/b#c@cache:6379/0 refused", "cache:6379/0 refused", "a/b#c"),
        ("https://t0ken@host/x", "host/x", "t0ken"),
        ("see postgresql%3A%2F%2Fu%3Ahunter2%40h", "see postgresql", "hunter2"),
        ('"dsn": "postgres:\\/\\/u:hunter2@h\\/d"', "h\\/d", "hunter2"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer", "abc.def"),
        ("{'authorization': 'Basic dXNlcjpodW50ZXIy'}", "'authorization': 'Basic ***'}", "dXNlcjpodW50ZXIy"),
        ("(b'Authorization', b'Token abcdef')", "Authorization", "abcdef"),
        ("got 'Bearer abcdefgh1234'", "got 'Bearer", "abcdefgh1234"),
        ('Proxy-Authorization: Digest username="u", response="r3sp"', "Proxy-Authorization", 'username="u"'),
        ("Set-Cookie: sid=abc123; Path=/; HttpOnly", "Set-Cookie:", "abc123"),
        ("('cookie', 'session=abc123; x=y')", "'cookie'", "abc123"),
        ("X-Api-Key: 123abc", "X-Api-Key:", "123abc"),
        ("host=h password=hunter2 dbname=d", "dbname=d", "hunter2"),
        ("password='two words' x", "' x", "two words"),
        ('{"password": "a\\"b", "x": 1}', '"x": 1}', "a\\"),
        ('"{\\"client_secret\\": \\"hunter2\\", \\"x\\": 1}"', '\\"x\\": 1', "hunter2"),
        ("&quot;api_key&quot;: &quot;hunter2&quot;, b", "&quot;, b", "hunter2"),
        ("PGPASSWORD=hunter2 psql", "psql", "hunter2"),
        ("STRIPE_KEY=hunter2hunter2", "STRIPE_KEY=", "hunter2"),
        ("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl b", "b", "eyJzdWIiOiIxIn0"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----\nx", "\nx", "MIIabc"),
        ("-----BEGIN PRIVATE KEY-----\\nMIIabc", "PRIVATE KEY", "MIIabc"),
        ("ghp_abcdefghijklmnopqrstuvwxyz012345 x", " x", "ghp_abc"),
        ("AKIAABCDEFGHIJKLMNOP x", " x", "AKIAABC"),
    ],
)
def test_what_looks_secret_is_hidden_without_being_known(text: str, kept: str, gone: str) -> None:
    hidden = Redactor().text(text)
    assert gone not in hidden
    assert kept in hidden
    assert Redactor().text(hidden) == hidden


JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJpdCBpcyBtZSIsImlhdCI6MTUxNjIzOTAyMn0.s1gn4tur3-of_nobody"


@pytest.mark.parametrize("ahead", ["", "u", "u:", "Bearer ", '{"auth": "'])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
def test_an_unknown_jwt_is_hidden_under_base64_too(ahead: str, encode: Callable[[bytes], bytes]) -> None:
    encoded = encode(f"{ahead}{JWT}".encode()).decode()
    hidden = Redactor().text(f"token-file: {encoded.rstrip()}\nthe end of a page")
    assert hidden == "token-file: ***\nthe end of a page"
    assert Redactor().text(f"kubectl said data={encoded}").startswith("kubectl said ")
    assert encoded[20:60] not in Redactor().text(f"kubectl said data={encoded}")


@pytest.mark.parametrize(
    "text",
    [
        "image/png;base64," + base64.b64encode(random.Random(7).randbytes(60_000)).decode(),
        base64.encodebytes(random.Random(8).randbytes(60_000)).decode().rstrip(),
        base64.b64encode(b"it says eyJ and no more, which is no token at all, ever").decode(),
        "tests/integration/test_a_very_long_name_of_a_test_leUV5S/ZXlK_without_any_token_in_it",
        "sha256-ZXlKV5SleU0123456789abcdef0123456789abcdef",
    ],
)
def test_base64_without_a_jwt_stays(text: str) -> None:
    assert Redactor().text(text) == text
