"""Print whom to tell and why, with the text to paste where nothing sends it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from resilience.core.escalation import escalation_lines, joint_text
from resilience.core.records import Notice
from resilience.show.terminal.console import out, say


def show_notices(told: Sequence[Notice], *, console: Console = out, paste: bool = True) -> None:
    """Print a line for each notice, and with `paste` one text for all that nobody took yet."""
    for notice, line in zip(told, escalation_lines(told), strict=True):
        say(line, style="dim" if notice.quiet else "bold red", console=console)
    text = joint_text(told)
    if paste and text:
        console.print("Text to paste (quieten it: resilience ack):", style="bold")
        for line in text.splitlines():
            console.print(f"  {line}", markup=False, soft_wrap=True)
