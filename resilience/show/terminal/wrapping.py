"""Turn sentences and commands into lines of a terminal's width: no word is broken, and a command can still be copied."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

ENDLESS = 100_000
"""The width of what is no terminal: a line of a log or a pipe is not wrapped."""


def width_of(console: Console) -> int:
    return console.width if console.is_terminal else ENDLESS


def sentence_lines(text: Text, console: Console, *, clauses: bool = False) -> list[Text]:
    """Return the text in lines broken between words, what goes on indented below where it began.

    With `clauses` a line is rather broken after a clause than within one: hints hold commands between their clauses.
    """
    width = width_of(console)
    if text.cell_len <= width:
        return [text]
    indent = len(text.plain) - len(text.plain.lstrip()) + 2
    parts = _clauses(text, width - indent) if clauses else [text]
    first, *rest = (line for part in parts for line in part.wrap(console, width - indent))
    for line in (first, *rest):
        line.rstrip()
    return [first, *(Text.assemble(" " * indent, line) for line in rest)]


def _clauses(text: Text, width: int) -> Iterator[Text]:
    """Yield what stands between the ends of clauses, as many of them together as a line holds."""
    begins = 0
    ends = [match.end() for match in re.finditer(r"[;?:] ", text.plain)] + [len(text.plain)]
    for end, following in zip(ends, [*ends[1:], None], strict=True):
        if following is None or cell_len(text.plain[begins:following].rstrip()) > width:
            yield text[begins:end]
            begins = end


def command_lines(command: str, console: Console, *, before: str = "  $ ") -> list[Text]:
    """Return a command in lines that a shell reads as one: broken between words, a backslash at the end of each but the last.

    Inside quotes a backslash would become part of the word, so that a quoted word is never broken.
    """
    width, lines, line = width_of(console), [], before
    blank = " " * (len(before) + 2)
    for word in _words(command):
        if line.strip() and line not in (before, blank) and cell_len(f"{line} {word} \\") > width:
            lines.append(f"{line} \\")
            line = blank + word
        else:
            line += word if line in (before, blank) else f" {word}"
    return [Text(each) for each in (*lines, line)]


def _words(command: str) -> Iterator[str]:
    """Yield the words of a shell's command as they stand, with their quotes."""
    word, quote, escaped = "", "", False
    for sign in command:
        if sign == " " and not quote and not escaped:
            if word:
                yield word
            word = ""
            continue
        if escaped:
            escaped = False
        elif sign == "\\" and quote != "'":
            escaped = True
        elif sign == quote:
            quote = ""
        elif not quote and sign in "'\"":
            quote = sign
        word += sign
    if word:
        yield word
