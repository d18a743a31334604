"""Give the two consoles that everything is printed on, the lines that are read first, and the link to a report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from resilience.host.streams import let_go as let_go, written
from resilience.show.terminal.wrapping import sentence_lines


class _Console(Console):
    """Rich's, but a reader that leaves early (`| head`) or a full disk takes neither the work nor its exit code with it."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        let_go(self.file)

    def print(self, *objects: Any, **how: Any) -> None:
        written(lambda: super(_Console, self).print(*objects, **how), self.file)


out = _Console(highlight=False, soft_wrap=False)
err = _Console(stderr=True, highlight=False, soft_wrap=False)


def headline(console: Console, *lines: str) -> None:
    """Print the lines that must be read first, their noun in capitals bold; they wrap at words and are never cut."""
    for line in lines:
        text = Text(line)
        if noun := re.match(r"\s*[A-Z][A-Z ]+(\([^)]*\))?:", line):
            text.stylize("bold", 0, noun.end())
        say(text, console=console)


def say(text: Text | str, *, style: str = "", console: Console = out) -> None:
    """Print a sentence as it stands; on a terminal it wraps at words, what goes on indented."""
    for line in sentence_lines(Text(text, style=style) if isinstance(text, str) else text, console):
        console.print(line, soft_wrap=True)


def show_report(page: Path, *, label: str = "Report: ", console: Console = out) -> None:
    """Print where a report is, as a link where the terminal knows links (OSC 8).

    The path stands there as it is, to be copied. NO_COLOR and a terminal that is dumb, or none, get the path alone.
    """
    line = Text.assemble((label, "bold"), str(page))
    if console.is_terminal and not console.is_dumb_terminal and not console.no_color:
        line.stylize(f"link {page.resolve().as_uri()}", len(label))
    console.print(line, soft_wrap=True)
