"""No word is broken on a terminal, and a command that was wrapped is still the same command to a shell."""

from __future__ import annotations

import io
import shlex
import string
import subprocess

import pytest
from hypothesis import given, strategies as st
from rich.console import Console
from rich.text import Text

from resilience.show.terminal.wrapping import command_lines, sentence_lines

COMMAND = (
    """test ! -e config/.env.test.active || cp -p config/.env.test.active "config/with a blank"; echo 'it is  so'"""
)


def console(width: int, *, terminal: bool = True) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal)


@given(st.text(alphabet=string.ascii_letters + " ", max_size=300), st.integers(min_value=30, max_value=140))
def test_a_sentence_keeps_its_words_and_no_line_is_too_wide(text: str, width: int) -> None:
    lines = [line.plain for line in sentence_lines(Text(text), console(width))]
    if max(map(len, text.split()), default=0) < width - 4:
        assert all(len(line) <= width for line in lines) or len(text) <= width
        assert " ".join(lines).split() == text.split()


def test_a_hint_is_broken_between_its_commands() -> None:
    hint = Text(
        "  → VPN on? tunnel up? nc -vz -w 5 127.0.0.1 34615; for a private address also: ip route get 127.0.0.1"
    )
    assert [line.plain for line in sentence_lines(hint, console(60), clauses=True)] == [
        "  → VPN on? tunnel up? nc -vz -w 5 127.0.0.1 34615;",
        "    for a private address also: ip route get 127.0.0.1",
    ]


@pytest.mark.parametrize("width", [24, 40, 80, 140])
def test_a_command_in_lines_is_the_same_command_to_a_shell(width: int) -> None:
    lines = [line.plain for line in command_lines(COMMAND, console(width), before="")]
    joined = "\n".join(lines)
    assert all(line.endswith(" \\") for line in lines[:-1])
    said = subprocess.run(["sh", "-c", joined], cwd="/", capture_output=True, text=True, check=True)
    assert said.stdout == "it is  so\n"
    assert shlex.split(joined.replace("\\\n", "")) == shlex.split(COMMAND)


@given(
    st.lists(st.text(alphabet=string.ascii_letters + "'\" \\$", min_size=1, max_size=30), min_size=1, max_size=12),
    st.integers(min_value=20, max_value=100),
)
def test_whatever_is_quoted_stays_one_word(words: list[str], width: int) -> None:
    lines = [line.plain for line in command_lines(shlex.join(words), console(width))]
    assert lines[0].startswith("  $ ")
    assert shlex.split("\n".join(lines).removeprefix("  $ ").replace("\\\n", "")) == words


def test_elsewhere_than_on_a_terminal_a_line_is_a_line() -> None:
    assert len(command_lines(COMMAND, console(30, terminal=False))) == 1
    assert len(sentence_lines(Text("word " * 100), console(30, terminal=False))) == 1
