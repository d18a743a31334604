"""Each test's name is a claim about what leaves the machine and what does not."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, strategies as st

from resilience.core.plain import clean, plain
from resilience.core.redact import Redactor
from resilience.core.secret import Secret
from resilience.services.registry import KINDS
from resilience.settings.build import build

SECRET = "p#ss/W@rd\"<é 'x\\1&%41"


def every(form: str, codec: str = "") -> Callable[[str], str]:
    """Write each character, or with a codec each of its units, in this form."""
    if codec == "utf-16-be":
        return lambda text: "".join(form.format(*pair) for pair in zip(*[iter(text.encode(codec))] * 2, strict=True))
    return lambda text: "".join(form.format(number) for number in (text.encode(codec) if codec else map(ord, text)))


ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "quote": lambda text: quote(text, safe=""),
    "quote_path": quote,
    "quote_plus": quote_plus,
    "quote_lower": lambda text: re.sub("%..", lambda match: match[0].lower(), quote(text, safe="")),
    "every_percent": every("%{:02x}", "utf-8"),
    "json": lambda text: json.dumps(text)[1:-1],
    "json_utf8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json_twice": lambda text: json.dumps(json.dumps(text)),
    "every_u": every("\\u{:02x}{:02x}", "utf-16-be"),
    "repr": lambda text: repr(text)[1:-1],
    "repr_bytes": lambda text: repr(text.encode())[2:-1],
    "html": html.escape,
    "html_decimal": every("&#{};"),
    "html_hex": every("&#x{:X};"),
    "html_named": lambda text: (
        text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;").replace("é", "&eacute;")
    ),
    "json_in_html": lambda text: html.escape(json.dumps(text)[1:-1]),
    "url_in_json_in_html": lambda text: html.escape(json.dumps(quote(text, safe=""))[1:-1]),
    "base64_0": lambda text: base64.b64encode(text.encode()).decode(),
    "base64_1": lambda text: base64.b64encode(b"u" + text.encode() + b"zz").decode(),
    "base64_2": lambda text: base64.b64encode(b"u:" + text.encode() + b"z").decode(),
    "base64_user": lambda text: base64.b64encode(b"user:" + text.encode()).decode(),
    "base64_urlsafe": lambda text: base64.urlsafe_b64encode(b"abcd" + text.encode()).decode().rstrip("="),
    "hex": lambda text: text.encode().hex(),
    "hex_upper": lambda text: text.encode().hex().upper(),
    "shell": shlex.quote,
    "sql": lambda text: text.replace("'", "''"),
    "csv": lambda text: text.replace('"', '""'),
    "ansi_between": lambda text: "\x1b[31m".join(text),
    "zero_width_between": lambda text: "\u200b".join(text),
    "tags_between": lambda text: '<span class="s">'.join(html.escape(sign) for sign in text),
}
"""How services, clients and renderers have been seen to write a value."""

PASSWORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Co", "Cn"]), min_size=8, max_size=40
).filter(lambda text: text == text.strip() == plain(text) and len(set(text)) > 3)


@pytest.mark.parametrize("name", list(ENCODINGS))
def test_a_secret_is_hidden_and_found_in_every_encoding(name: str) -> None:
    redactor = Redactor([Secret(SECRET)])
    text = f"before {ENCODINGS[name](SECRET)} after"
    hidden = redactor.text(text)
    assert hidden.startswith("before ")
    assert hidden.endswith(" after")
    assert "***" in hidden
    assert redactor.leaks(hidden) is None
    assert redactor.leaks(text.encode()) is not None
    assert redactor.text(hidden) == hidden


@given(PASSWORDS, st.sampled_from(sorted(ENCODINGS)), st.text(max_size=20), st.text(max_size=20))
def test_no_random_secret_survives_in_any_encoding(secret: str, name: str, before: str, after: str) -> None:
    form = ENCODINGS[name](secret)
    redactor = Redactor([secret])
    assume("(0 forms)" not in repr(redactor))
    text = f"{before} {form} {after}"
    assert redactor.leaks(text.encode("utf-8", "surrogatepass")) is not None
    hidden = redactor.text(text)
    assert redactor.leaks(hidden) is None
    assert secret not in hidden
    assert form not in hidden


@given(st.lists(PASSWORDS, min_size=1, max_size=4), st.text(), st.data())
def test_hiding_twice_changes_nothing_more(secrets: list[str], text: str, data: st.DataObject) -> None:
    redactor = Redactor(secrets)
    mixed = text + data.draw(st.sampled_from(secrets)) + text[::-1]
    once = redactor.text(mixed)
    assert redactor.text(once) == once
    assert redactor.leaks(once) is None


@given(st.text(st.sampled_from("abcdefgh ABC012 .,;:-_()[]{}\n\"'#!?*/\\%&<>=@")))
def test_text_without_secrets_stays_as_it_is(text: str) -> None:
    assume("://" not in text)
    assert Redactor(["Xq-9z!Kw7"]).text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "STAGING: DOWN (database, backend_api). TESTS: will run on local stand-ins (mode degraded).",
        "https://staging.example:8443/health?mail=a@b.example",
        "git@github.com:org/repo.git",
        'password authentication failed for user "app"',
        "password: required",
        "HTTP 401: Bearer authentication failed, a token is missing",
        "Basic authentication is off",
        "max_tokens=20, total_tokens: 15",
        'usage: {"prompt_tokens": 12, "token_type": "bearer"}',
        "the cookie jar holds 3; key=value pairs are sorted",
        "PWD=/srv/project",
        "tests/unit/test_tokens.py::test_secret[password-1] PASSED",
        "select 1; -- 127.0.0.1:5435",
        "assert 'unavailable' == 'available'",
        '<td class="status">connect time-out</td>',
        "C:\\new\\table 100%25 &amp; done",
    ],
)
def test_ordinary_lines_of_a_run_stay_as_they_are(text: str) -> None:
    assert Redactor([SECRET, "postgres", "test", "pw", "5432", "able"]).text(text) == text


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


def test_a_common_word_as_password_is_hidden_where_structure_shows_it() -> None:
    redactor = Redactor(["postgres", "pw"])
    assert redactor.text("postgresql://postgres:postgres@postgres/postgres") == "postgresql://***@postgres/postgres"
    assert redactor.text("password=pw") == "password=***"


def test_json_stays_json_after_hiding() -> None:
    record = {
        "detail": f"login with {SECRET}\\",
        "headers": {"Authorization": f"Bearer {SECRET}"},
        "dsn": f"redis://:{SECRET}@h",
    }
    for text in (json.dumps(record), json.dumps(record, ensure_ascii=False), json.dumps({"inner": json.dumps(record)})):
        hidden = Redactor([SECRET, "with\\"]).text(text)
        json.loads(hidden)
        assert Redactor([SECRET]).leaks(hidden) is None


def test_a_secret_that_looks_like_markup_is_hidden_too() -> None:
    assert Redactor(["<A00000>"]).text("x <A00000> y") == "x *** y"


def test_markup_stays_balanced_after_hiding() -> None:
    hidden = Redactor(["abcd%23efgh"]).text('<code>"abcd<span class="si">%23e</span>fgh"</code>')
    assert hidden == '<code>"***<span class="si"></span>"</code>'


def test_each_line_of_a_key_is_hidden_where_lines_are_split() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASCBKcwggSj\n-----END KEY-----"
    redactor = Redactor([key])
    assert redactor.text("line 2 is 9w0BAQEFAASCBKcwggSj here") == "line 2 is *** here"
    assert redactor.text(json.dumps(key)) == '"***"'


def test_a_leak_is_told_by_its_offset_in_bytes() -> None:
    assert Redactor(["Xq9zKw7secret"]).leaks("é€ Xq9zKw7secret".encode()) == 6
    assert Redactor(["Xq9zKw7secret"]).leaks(b"\xff\xfe Xq9zKw7secret") == 3
    assert Redactor(["Xq9zKw7secret"]).leaks("Xq9zKw7secret".encode("utf-16-le")) == 0
    assert Redactor(["Xq9zKw7secret"]).leaks(b"nothing here") is None


def test_a_picture_is_not_taken_for_a_short_secret() -> None:
    picture = base64.b64encode(bytes(range(256)) * 8).decode()
    inside = picture[500:504]
    text = f'<img src="data:image/png;base64,{picture}">'
    assert Redactor([inside]).text(text) == text
    assert Redactor([inside]).leaks(text) is None
    assert Redactor([inside]).text(f"it is {inside}!") == "it is ***!"


def test_a_redactor_shows_no_secret_of_its_own() -> None:
    assert SECRET not in repr(Redactor([SECRET]))


def test_hiding_comes_before_cutting() -> None:
    assert (
        Redactor(["Xq9zKw7secret"]).short("x" * 10 + "Xq9zKw7secret" + "y" * 100, 20)
        == "x" * 10 + "***" + "y" * 6 + "…"
    )


@given(st.text(), st.integers(1, 50))
def test_a_cleaned_text_is_one_line_of_printable_characters(text: str, limit: int) -> None:
    found = clean(text, limit)
    assert len(found) <= limit
    assert "\n" not in found
    assert plain(found) == found


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\u202eb\u200bc\ufeffd", "abcd"),
        ("a\r\nb\rc\u2028d", "a b c d"),
        ("a\x00b\x9bc", "ab"),
        ("a\ud800b", "a\ufffdb"),
        (b"a\xffb", "a\ufffdb"),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_hostile_text_is_cleaned(text: str | bytes, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_strangers_get_the_same_pseudonym_for_the_same_thing() -> None:
    redactor = Redactor(hosts=["staging-db", "10.52.0.3"], projects=["acme-staging"])
    text = (
        "10.52.0.3:5432 and 10.52.0.3, 192.168.1.9, fd00::17; staging-db:5432, db.staging.internal, api.default.svc; "
        "projects/acme-prod-1/x, acme-staging:europe-west1:main, ann@corp.example, bob@corp.example, ann@corp.example"
    )
    assert redactor.public(text) == (
        "address-1:5432 and address-1, address-2, address-3; host-1:5432, host-2, host-3; "
        "projects/project-2/x, project-1:europe-west1:instance-1, "
        "person-1@mail.invalid, person-2@mail.invalid, person-1@mail.invalid"
    )
    assert redactor.public("bob@corp.example at 10.52.0.3") == "person-2@mail.invalid at address-1"
    assert redactor.public(redactor.public(text)) == redactor.public(text)


def test_what_says_nothing_about_us_is_kept_for_strangers() -> None:
    text = (
        "127.0.0.1:5435 at 03:14:07.120Z, v1.2.3.4567, 8.8.8.8, ::1, localhost, example.com, tests/a.py::test_x[10.5]"
    )
    assert Redactor(hosts=["localhost"]).public(text) == text


def test_the_redactor_of_settings_knows_their_secrets_and_their_hosts() -> None:
    toml = """
    [[service]]
    name = "database"
    type = "postgresql"
    url = "postgresql://app:Xq9zKw7secret@db.corp.example/app"
    [[service]]
    name = "api"
    type = "http"
    url = "https://203.0.113.7/health"
    local = "http://127.0.0.1:8090"
    """
    found = build(toml, source=Path("/r/resilience.toml"), root=Path("/r"), environ={}, profile_texts={}, kinds=KINDS)
    redactor = Redactor.of(found, hosts=["laptop-7"])
    assert redactor.public(
        "Xq9zKw7secret on db.corp.example:5432, 203.0.113.7, 127.0.0.1:8090, laptop-7, 203.0.113.8"
    ) == ("*** on host-1:5432, address-1, 127.0.0.1:8090, host-2, 203.0.113.8")


def test_with_a_key_pseudonyms_are_the_same_in_every_run() -> None:
    one, two = Redactor(key=b"k"), Redactor(key=b"k")
    two.public("10.0.0.9")
    assert one.public("10.0.0.1") == two.public("10.0.0.1") != Redactor(key=b"j").public("10.0.0.1")


def test_a_megabyte_is_hidden_in_seconds_not_minutes() -> None:
    redactor = Redactor([f"s3cret-{number}-{number * 7919:x}%&\\" for number in range(30)])
    text = "INFO tests/unit/test_a.py::test_x[1] PASSED 0.01s &amp; 100%25\n" * 16_000 + "a" * 100_000 + "@" * 1000
    started = time.monotonic()
    redactor.text(text)
    assert redactor.leaks(text) is None
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "a://",
            "://@",
            "postgres://a:",
            "%3A%2F%2Fa",
            'password="',
            "password='a\\",
            "authorization: a,",
            "cookie: a=",
        ),
        *(
            "\\",
            "&",
            "<a",
            "%25",
            "&amp;",
            "eyJaaaaaaa.",
            "-----BEGIN PRIVATE KEY-----",
            "1:",
            "a@",
            "\x1b]",
            "key=&quot;",
        ),
    ],
)
def test_hostile_text_costs_no_more_than_its_length(unit: str) -> None:
    redactor = Redactor(["Xq-9z!Kw7%&\\<x", "abcdefgh12"])
    started = time.monotonic()
    redactor.public(unit * (50_000 // len(unit)))
    assert time.monotonic() - started < 10
