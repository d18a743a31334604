"""Write what the stand-ins had been taught, how long before, and how many tests had ended on it as on staging."""

from __future__ import annotations

from resilience.report.markdown.blocks import table
from resilience.report.texts import code, prose
from resilience.report.view import View


def taught(view: View) -> list[str]:
    """Return the section, with what is stale, missing or changed below the table; nothing where no stand-in was taught."""
    if not view.taught:
        return []
    rows = [(code(one.service), one.age, prose(one.what), prose(one.fidelity or "–")) for one in view.taught]
    parts = ["## What the stand-ins knew", table(("service", "taught before", "from", "how like staging"), rows)]
    wrong = [f"- {code(one.service)}: {prose(line)}" for one in view.taught for line in one.wrong]
    return [*parts, "\n".join(wrong)] if wrong else parts
