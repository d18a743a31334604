"""Say which secrets are too common to hide wherever they stand, because that would deface a report and keep nothing."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator

from resilience.core import records as model

SHORTEST = 4
"""Characters; shorter secrets are hidden where structure shows them, as their letters are in every second word."""


def _words() -> Iterator[str]:
    for thing in vars(model).values():
        if isinstance(thing, type) and issubclass(thing, enum.Enum):
            yield from (str(member.value) for member in thing)
        elif dataclasses.is_dataclass(thing):
            yield from (field.name for field in dataclasses.fields(thing))


_IN_WORDS = " ".join(
    (
        *_words(),
        "password passwd passphrase secret token admin administrator root user username guest anonymous default example",
        "changeme localhost postgres postgresql postgis redis valkey clickhouse mysql sqlite backend frontend staging",
        "production development testing integration service services session cookie bearer basic https health status",
        "enabled disabled required optional always never auto strict legacy primary memory file string number value",
        "none null true false undefined unknown nothing company project resilience runbook connection refused network",
        # of pages, style sheets, charts and diagrams
        "action active adjust align anchor attr avoid axes axis axisformat background base basis border bottom break butt",
        "cards charset chart clamp class clip clippath collapse color columns compact configured connector content cursor",
        "dark dasharray dashoffset database dateformat defs details device display displaymode distributions doctype",
        "duration encoding equiv errors exact exit failures family figcaption figures fill flex focusable font footer",
        "gantt gauge gradient graphics grid head height help hidden href html icon initial inline inside items json junit",
        "lang last latency left light linear linecap linejoin list logs loss margin matplotlib media mermaid meta middle",
        "minmax minute miter mono monospace narrow neue noindex normal nowrap numeric nums opacity overflow padding page",
        "panel partial patch path pattern patternunits pointer policy prefers print probe properties property public",
        "radius rect referrer regular right robots role rotate samples sans scale scheme scroll scrolling second seconds",
        "section security serif size sizing small soft solid space span sqlstate square standalone stroke strong style",
        "summary system table tabular tbody template testcase testsuite testsuites text thead tickinterval timestamp",
        "title transform transparent unsafe userspaceonuse variable variant vertical viewbox viewport visibility visible",
        "webkit weight white wide width wrap xlink xmlns xtick ytick",
        "incident timeline report evidence hostname address certificate expired response request internal error warning",
    )
).lower()
_VOCABULARY = frozenset(_IN_WORDS.split())
"""Words of ours and of everybody's: a password that is one, or a short part of one, is hidden by structure only."""


def too_common(value: str) -> bool:
    """Whether hiding this value wherever it stands would deface the report instead of keeping a secret."""
    if len(value) < SHORTEST or not value.strip("*. \t\n"):
        return True
    if (value.isdecimal() and len(value) < 6) or value.lower() in _VOCABULARY:
        return True
    return len(value) < 8 and (value in _IN_WORDS or value in _IN_WORDS.upper())
