"""A secret is found in whatever encoding it comes."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, strategies as st

from resilience.core.plain import plain
from resilience.core.redact import Redactor
from resilience.core.secret import Secret

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


def test_each_line_of_a_key_is_hidden_where_lines_are_split() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASCBKcwggSj\n-----END KEY-----"
    redactor = Redactor([key])
    assert redactor.text("line 2 is 9w0BAQEFAASCBKcwggSj here") == "line 2 is *** here"
    assert redactor.text(json.dumps(key)) == '"***"'
