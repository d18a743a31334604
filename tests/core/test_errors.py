"""An error says what happened, to what, found, expected and what to type, in one line, with its exit code."""

from __future__ import annotations

import inspect
import re

import pytest

from resilience.core import errors
from resilience.core.errors import ResilienceError, SettingsError, did_you_mean

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ResilienceError)]


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    drawn = dict(re.findall(r"(\w+Error)\s+(\d+)", errors.__doc__ or ""))
    assert {kind.__name__: kind.exit_code for kind in TREE if kind is not ResilienceError} == {
        name: int(code) for name, code in drawn.items()
    }


def test_a_settings_error_reads_as_in_the_house_style() -> None:
    error = SettingsError(
        name="TEST_RETRY_ATTEMPTS",
        source="config/.env.test.local:14",
        found="'three'",
        expected="a whole number",
        hint="TEST_RETRY_ATTEMPTS=3",
    )
    assert str(error) == (
        "TEST_RETRY_ATTEMPTS='three' in config/.env.test.local:14: a whole number was expected. "
        "Hint: TEST_RETRY_ATTEMPTS=3"
    )
    assert (error.name, error.source, error.found) == ("TEST_RETRY_ATTEMPTS", "config/.env.test.local:14", "'three'")


def test_without_a_hint_nothing_dangles() -> None:
    assert str(ResilienceError("it broke.")) == "it broke."
    assert str(SettingsError(name="A")) == "A."


def test_a_text_with_line_breaks_is_still_one_line() -> None:
    assert str(ResilienceError("two\nlines\r\n of text.", hint="a\nb")) == "two lines of text. Hint: a b"


def test_a_notebook_shows_one_clean_line_and_no_traceback() -> None:
    assert ResilienceError("it broke.", hint="mend it")._render_traceback_() == [
        "ResilienceError: it broke. Hint: mend it"
    ]


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("asess", ["assess", "apply"], 'did you mean "assess"?'),
        ("ASSESS", ["assess", "apply"], 'did you mean "assess"?'),
        ("databse", ["database"], 'did you mean "database"?'),
        ("zzz", ["b", "a"], "known: a, b"),
        ("", ["b", "a"], "known: a, b"),
        ("x", [], "nothing is known"),
        ("TEST_RETRY_ATTEMPT", ["TEST_RETRY_ATTEMPTS"], 'did you mean "TEST_RETRY_ATTEMPTS"?'),
    ],
)
def test_a_name_that_is_not_known_gets_the_nearest_one(name: str, known: list[str], hint: str) -> None:
    assert did_you_mean(name, known) == hint
