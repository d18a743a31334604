"""Whom to tell is printed with its reason, and one text to paste for all that nobody took."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from resilience.core.records import Notice
from resilience.show import terminal
from tests.kits.records import AT

NOTICE = Notice(
    at=AT, reason="critical down", whom="@devops", rule="critical_down", text="**Escalation:** critical down\n- a\n"
)


def printed(*told: Notice, paste: bool = True) -> str:
    buffer = io.StringIO()
    terminal.show_notices(told, console=Console(file=buffer, width=60, highlight=False), paste=paste)
    return buffer.getvalue()


def test_a_notice_has_its_line_and_its_text() -> None:
    assert printed(NOTICE) == (
        "ESCALATE: critical down → tell @devops\n"
        "Text to paste (quieten it: resilience ack):\n"
        "  **Escalation:** critical down\n  - a\n"
    )
    assert printed(NOTICE, paste=False).count("\n") == 1


def test_a_quiet_one_has_its_line_alone_and_none_has_nothing() -> None:
    assert (
        printed(replace(NOTICE, quiet="acknowledged by ana")) == "NOT ESCALATED (acknowledged by ana): critical down\n"
    )
    assert printed() == ""
