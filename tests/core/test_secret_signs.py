"""What looks like a secret is hidden without being known, and what it stood in stays readable."""

from __future__ import annotations

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
