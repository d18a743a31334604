"""Turn records into what a person reads in a terminal."""

from __future__ import annotations

from resilience.show.terminal.assessment import show_assessment, show_steps
from resilience.show.terminal.console import err, headline, let_go, out, say, show_report
from resilience.show.terminal.escalation import show_notices
from resilience.show.terminal.fallback import show_applied, show_decision, show_plan, show_restored, stand_in_line
from resilience.show.terminal.services import services_table, show_health
from resilience.show.terminal.tests import show_codes, show_recovery, show_tests
from resilience.show.terminal.trends import show_trends

__all__ = [
    "err", "headline", "let_go", "out", "say", "services_table", "show_applied", "show_assessment", "show_codes",
    "show_decision", "show_health", "show_notices", "show_plan", "show_recovery", "show_report", "show_restored", "show_steps",
    "show_tests", "show_trends", "stand_in_line",
]  # fmt: skip
