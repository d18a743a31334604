"""Text of others is shown as one that acts on nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from resilience.core.plain import clean, plain


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
