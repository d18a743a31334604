"""resilience.show.notebook.mode: each mode says what it would run."""

from __future__ import annotations

from resilience.core.records import (
    TestExecutionMode,
)
from resilience.core.settings import ModeSettings
from resilience.show import notebook as views


def test_modes_show_what_each_would_run_and_which_was_chosen() -> None:
    modes = {TestExecutionMode.FULL: ModeSettings(commands=("pytest tests/e2e",), select="not slow")}
    shown = views.modes_view(modes, TestExecutionMode.FULL)
    for part in ("pytest tests/e2e", "not slow", "✓ chosen", "no command is configured", "critical_only"):
        assert part in shown
