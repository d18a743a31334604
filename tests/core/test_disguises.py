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

from resilience.core.common_words import too_common
from resilience.core.disguises import is_unmistakable
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


UNMISTAKABLE: dict[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "swapped": str.swapcase,
    "title": str.title,
    "upper_quoted": lambda text: quote(text, safe="").upper(),
    "upper_json_in_html": lambda text: html.escape(json.dumps(text.upper())[1:-1]),
    "repr_utf16": lambda text: repr(text.encode("utf-16"))[1:],
    "repr_utf16_be": lambda text: repr(text.encode("utf-16-be"))[1:],
    "utf16_read_as_latin": lambda text: text.encode("utf-16-le").decode("latin-1"),
    "utf16_hex": lambda text: text.encode("utf-16").hex(),
    "utf16_be_hex_upper": lambda text: text.encode("utf-16-be").hex().upper(),
    "hex_mixed": lambda text: "".join(
        f"{byte:02x}" if at % 2 else f"{byte:02X}" for at, byte in enumerate(text.encode())
    ),
    "powershell": lambda text: base64.b64encode(f"login {text}".encode("utf-16-le")).decode(),
    "powershell_1": lambda text: base64.b64encode(b"x" + text.encode("utf-16-le") + b"yz").decode(),
    "powershell_2": lambda text: base64.b64encode(b"xx" + text.encode("utf-16-le") + b"y").decode(),
}
"""How a long and mixed value has been seen in logs, where a short one would be somebody's word."""


@pytest.mark.parametrize("name", list(UNMISTAKABLE))
@pytest.mark.parametrize("secret", [SECRET, "Zq9-kelvin-Harbour_42"])
def test_a_long_mixed_secret_is_also_found_in_other_case_and_in_utf16(name: str, secret: str) -> None:
    redactor = Redactor([secret])
    form = UNMISTAKABLE[name](secret)
    text = f"before {form} after"
    hidden = redactor.text(text)
    assert hidden.startswith("before ")
    assert hidden.endswith(" after")
    assert "***" in hidden
    assert len(hidden) < len("before  after") + 24
    assert redactor.leaks(text.encode()) is not None
    assert redactor.leaks(hidden) is None
    assert redactor.text(hidden) == hidden


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40),
    st.sampled_from(sorted(UNMISTAKABLE)),
)
def test_no_long_mixed_secret_survives_in_other_case_or_in_utf16(secret: str, name: str) -> None:
    assume(is_unmistakable(secret) and secret == plain(secret) and not too_common(secret))
    assert Redactor([secret]).leaks(f"a {UNMISTAKABLE[name](secret)} b".encode()) is not None


@pytest.mark.parametrize("secret", ["hunter2", "Sunshine22", "staginghealth", "9876543210123"])
def test_a_short_or_plain_secret_is_hidden_as_it_stands_only(secret: str) -> None:
    assert not is_unmistakable(secret)
    redactor = Redactor([secret])
    assert redactor.text(f"a {secret} b") == "a *** b"
    if secret.upper() != secret:
        assert redactor.text(f"a {secret.upper()} b") == f"a {secret.upper()} b"
