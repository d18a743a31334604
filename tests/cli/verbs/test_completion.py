"""A shell is given a script to evaluate, and the words it asks for; another shell is refused."""

from __future__ import annotations

import pytest

from resilience.cli.completing import SCRIPTS
from tests.kits.typing_in import Type


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_of_a_shell_is_printed_alone(type_in: Type, shell: str) -> None:
    said = type_in("completion", shell)
    assert (said.code, said.out, said.err) == (0, SCRIPTS[shell], "")


def test_another_shell_and_a_word_too_many_are_refused(type_in: Type) -> None:
    type_in("completion", "csh").complains("'csh'", "zsh")
    type_in("completion", "bash", "more").complains("'more'", "resilience completion bash")


@pytest.mark.parametrize("typed", ["--help", "--version", "--"])
def test_the_words_of_a_shell_are_never_taken_for_options_of_ours(type_in: Type, typed: str) -> None:
    said = type_in("completion", "bash", "--words", "--", "assess", typed)
    assert said.code == 0
    assert "Usage" not in said.out


def test_the_help_names_a_line_for_each_shell(type_in: Type) -> None:
    out = type_in("completion", "-h").out
    assert all(f"resilience completion {shell}" in out for shell in SCRIPTS)
    assert "--words" not in out
