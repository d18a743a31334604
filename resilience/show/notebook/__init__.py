"""Turn records into small HTML tables and texts for notebooks; every status is a word as well as a colour."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from resilience.core.records import (
    Applied,
    Decision,
    Incident,
    InfrastructureHealth,
    Plan,
    Recovery,
    Restored,
    TestSuiteResult,
)
from resilience.show.notebook.blocks import (
    as_of,
    box,
    busy,
    by_hand_view,
    error,
    folded,
    head,
    links_view,
    listed,
    page,
    stamp,
)
from resilience.show.notebook.fallback import applied_view, plan_view, restored_view
from resilience.show.notebook.incident import incident_view
from resilience.show.notebook.mode import decision_view, modes_view
from resilience.show.notebook.phases import phases_view
from resilience.show.notebook.recovery import gauge, recovery_view
from resilience.show.notebook.services import health_view, pill
from resilience.show.notebook.spark import spark
from resilience.show.notebook.strip import Fact, step_text, step_view, strip_text, strip_view
from resilience.show.notebook.tests import progress_view, tests_view
from resilience.show.notebook.texts import text

__all__ = [
    "Fact", "applied_view", "as_of", "box", "busy", "by_hand_view", "decision_view", "error", "folded", "gauge",
    "head", "health_view", "html", "incident_view", "links_view", "listed", "modes_view", "page", "phases_view",
    "pill", "plan_view", "progress_view", "recovery_view", "restored_view", "spark", "stamp", "step_text",
    "step_view", "strip_text", "strip_view", "tests_view", "text",
]  # fmt: skip


def html(record: object) -> str:
    """Return a record as an HTML fragment that stands alone: no script, nothing loaded, all texts escaped."""
    for kind, render in _HTML.items():
        if isinstance(record, kind):
            return page(render(record))
    return page(f"<pre>{escape(str(record))}</pre>")


_HTML: dict[type, Callable[[Any], str]] = {
    InfrastructureHealth: health_view,
    Decision: decision_view,
    Plan: plan_view,
    Applied: applied_view,
    TestSuiteResult: tests_view,
    Recovery: recovery_view,
    Restored: restored_view,
    Incident: incident_view,
    BaseException: error,
}
