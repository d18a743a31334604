"""`help` explains what `--help` explains, and refuses what is no verb."""

from __future__ import annotations

import pytest

from tests.kits.typing_in import Type


@pytest.mark.parametrize("words", [[], ["test"], ["services"], ["services", "up"], ["help"]])
def test_help_says_what_the_option_says(type_in: Type, words: list[str]) -> None:
    asked = type_in("help", *words)
    assert (asked.code, asked.err) == (0, "")
    assert asked.out == type_in(*words, "--help").out == type_in(*words, "-h").out


def test_what_is_no_verb_is_refused_with_what_was_meant(type_in: Type) -> None:
    type_in("help", "tset").complains("resilience tset", 'did you mean "test"')
    type_in("help", "services", "uo").complains("resilience services uo", "up")
    type_in("help", "test", "pytest").complains("resilience test pytest", "resilience help test")
