"""Turn an outage into a Mermaid gantt that GitHub draws: a row per service, no text that a service supplied."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from resilience.core.marks import NO_FALLBACK, STATUSES, Tone
from resilience.report.series import intervals, micros, moment
from resilience.report.view import View

_TAGS: Mapping[Tone, str] = {Tone.GOOD: "done", Tone.PARTIAL: "active", Tone.BAD: "crit", Tone.UNKNOWN: ""}
"""Mermaid's three looks of a bar and none; a tone that is neither good nor bad has no bar."""
LONGEST = 40
"""Bars of a service at most; more would make GitHub draw for seconds."""


def gantt(view: View) -> str:
    """Return the diagram's text, or nothing where there is no sample to draw. Times are UTC.

    A gantt, as a chart of Mermaid draws no gaps and a timeline cannot hold "10:00 :". Names of services lose what is
    not a letter, a digit, a blank, _ or -; nothing else that is drawn comes from outside.
    """
    lines = [line for line in view.columns.staging() if len(line)]
    if not lines:
        return ""
    start, end = micros(view.starts_at), micros(view.ends_at)
    whole = max(end - start, 1_000_000)
    resolution = whole // LONGEST
    wide = whole > 600_000_000
    text = [
        "---",
        "displayMode: compact",
        "---",
        "gantt",
        "  dateFormat x",
        f"  axisFormat {'%H:%M' if wide else '%H:%M:%S'}",
        f"  tickInterval {_tick(whole)}",
    ]
    if view.modes:
        text.append("  section mode")
        text += [
            f"  {one.mode.replace('_', ' ')} :{_mode_tag(one.mode)}, {_at(one.start)}, {_at(one.end)}"
            for one in view.modes
            if one.end - one.start >= timedelta(milliseconds=1)
        ]
    for line in lines:
        text.append(f"  section {_name(line.service)}")
        for one in intervals(line, until=end, resolution=resolution):
            mark = STATUSES[one.status]
            if mark.tone not in _TAGS:
                continue
            first = moment(one.start)
            last = max(moment(one.end), first + timedelta(milliseconds=max(whole // 400_000, 1)))
            tag = _TAGS[mark.tone]
            text.append(f"  {mark.word} :{tag}{', ' if tag else ''}{_at(first)}, {_at(last)}")
    return "\n".join(text)


def _mode_tag(mode: str) -> str:
    return "done" if mode in ("full", NO_FALLBACK) else "active"


def _at(at: datetime) -> str:
    return str(micros(at.astimezone(UTC)) // 1000)


def _name(service: str) -> str:
    # Names come from the configuration, yet a colon, a hash or a keyword in one would break the diagram.
    return re.sub(r"[^A-Za-z0-9_ -]", " ", service).strip()[:40] or "service"


def _tick(whole: int) -> str:
    length = whole / 1e6
    for limit, tick in ((10, "1second"), (60, "10second"), (300, "30second"), (900, "2minute"), (3600, "10minute")):
        if length <= limit:
            return tick
    return "30minute" if length <= 14_400 else "3hour" if length <= 86_400 else "1day"
