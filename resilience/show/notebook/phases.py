"""Draw where the time of each probe went, phase by phase."""

from __future__ import annotations

import math
from html import escape

from resilience.core.marks import NO_ANSWER, PHASES
from resilience.core.records import InfrastructureHealth
from resilience.core.words import seconds


def phases_view(health: InfrastructureHealth) -> str:
    """Return a waterfall: per service, when each phase of the probe ended, on one logarithmic axis from 0.1 ms."""
    asked = [result for result in health.services if result.response_time_s]
    if not asked:
        return ""
    left, width, row, floor = 120, 520, 20, 1e-4
    decades = max(1, math.ceil(math.log10(max(result.response_time_s or floor for result in asked) / floor)))

    def x(elapsed_s: float) -> float:
        return left + width * min(1.0, math.log10(max(elapsed_s, floor) / floor) / decades)

    marks = []
    for decade in range(decades + 1):
        at = x(floor * 10**decade)
        marks.append(
            f'<line x1="{at:.0f}" x2="{at:.0f}" y1="4" y2="{4 + row * len(asked)}" stroke="currentColor" opacity="0.15"/>'
            f'<text x="{at:.0f}" y="{row * len(asked) + 18}" text-anchor="middle" opacity="0.7">'
            f"{escape(seconds(floor * 10**decade))}</text>"
        )
    for number, result in enumerate(asked):
        top, elapsed = 6 + row * number, 0.0
        marks.append(f'<text x="{left - 8}" y="{top + 11}" text-anchor="end">{escape(result.name)}</text>')
        for name, mark in PHASES.items():
            took = getattr(result.phases, f"{name}_s")
            if took:
                marks.append(_bar(x(elapsed), x(elapsed + took), top, mark.fill, f"{mark.word} {seconds(took)}"))
                elapsed += took
        total = result.response_time_s or 0.0
        if result.fault is not None and total > elapsed:
            phase = result.phase.value.replace("_", " ") if result.phase else "phase"
            marks.append(
                _bar(x(elapsed), x(total), top, NO_ANSWER.fill, f"{phase} not finished after {seconds(total)}")
            )
        marks.append(f'<text x="{x(total) + 6:.0f}" y="{top + 11}">{escape(seconds(total))}</text>')
    legend = " ".join(
        f'<span style="border-left:0.8em solid {mark.fill};padding-left:0.3em;margin-right:0.8em">{escape(mark.word)}</span>'
        for mark in (*PHASES.values(), NO_ANSWER)
    )
    height = row * len(asked) + 24
    return (
        f'<svg width="{left + width + 80}" height="{height}" style="max-width:100%" font-size="12" fill="currentColor" '
        f'role="img" aria-label="time since each probe began, by phase">{"".join(marks)}</svg>'
        f'<div class="dim">{legend}</div><div class="dim">Time since the probe began, on a logarithmic axis.</div>'
    )


def _bar(start: float, end: float, top: float, colour: str, title: str) -> str:
    width = max(1.5, end - start)
    return (
        f'<rect x="{start:.1f}" y="{top}" width="{width:.1f}" height="14" fill="{colour}">'
        f"<title>{escape(title)}</title></rect>"
    )
