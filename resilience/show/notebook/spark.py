"""Draw one service's response times as a line small enough for a cell of a table."""

from __future__ import annotations

from collections.abc import Sequence

from resilience.core.records import ConnectivityStatus, Sample
from resilience.core.words import plural, seconds
from resilience.show.notebook.blocks import BAD


def spark(samples: Sequence[Sample], *, width: int = 110, height: int = 22) -> str:
    """Draw one service's response times as a line; a look that found it down is a red tick across the full height."""
    if len(samples) < 2:
        return ""
    times = [sample.response_time_s or 0.0 for sample in samples]
    top = max(times) or 1.0
    step = width / max(len(samples) - 1, 1)
    points, marks = [], []
    for position, (sample, value) in enumerate(zip(samples, times, strict=True)):
        x = position * step
        if sample.status in (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.UNKNOWN):
            marks.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}" stroke="{BAD}" stroke-width="2.5"/>')
        else:
            points.append(f"{x:.1f},{height - 2 - (height - 4) * value / top:.1f}")
    line = (
        f'<polyline points="{" ".join(points)}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        if len(points) > 1
        else "".join(
            f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="2" fill="currentColor"/>' for p in points
        )
    )
    label = f"{plural(len(samples), 'look')}, slowest {seconds(max(times))}, {len(marks)} failed"
    return (
        f'<svg width="{width}" height="{height}" viewBox="-2 0 {width + 4} {height}" role="img" aria-label="{label}">'
        f"<title>{label}</title>{''.join(marks)}{line}</svg>"
    )
