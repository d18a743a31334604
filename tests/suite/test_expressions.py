"""A marker expression is refused before the run, not left to the plug-in, which would run everything."""

from __future__ import annotations

import pytest

from resilience.core.errors import UsageError
from resilience.suite.expressions import check


@pytest.mark.parametrize(
    "text", ["critical", "critical or golden_path", "not (a and b) or c", "py3.11 and a-b", "scope:x", "not not a"]
)
def test_names_joined_by_not_and_or_are_taken(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    "text",
    ["()", "critical(x)", "critical or ()", "critical()", "a b", "a or", "not", "a, b", "a == b", "'a'", "(a", "a)",
     "a\nb", "-m a", "\x00", "xxx (", "(" * 500 + "a" + ")" * 500],
)  # fmt: skip
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="a marker expression was expected") as raised:
        check(text)
    assert raised.value.exit_code == 2
    assert len(str(raised.value)) < 400
