"""Turn a view into one HTML file that loads nothing, prints well and reads well in the dark."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from resilience.core.escalation import joint_text
from resilience.core.groups import held_back
from resilience.core.marks import LOOKS, STAGES, STATUSES, outcome_word, verdict_word
from resilience.core.records import ConnectivityStatus, TestOutcome
from resilience.core.words import also_possible, cause_title, gist, plural, seconds
from resilience.report.people import FILLS, PEOPLE, noted, sent_sentence
from resilience.report.texts import pieces, shorten, task_pieces
from resilience.report.view import Chart, Section, View
from resilience.report.view.formats import percent, span, when
from resilience.report.view.headline import failed_stages
from resilience.report.view.services import ServiceRow, well_line
from resilience.report.view.timeline import Row

CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""Inline styles only: charts are inline SVG whose colours are style attributes, which hashes do not cover."""
TESTS_SHOWN = 500
"""Tests of one group in the page; junit.xml holds all."""
AT_ONCE = 3
"""Failures of one group that are seen without unfolding."""
TODO_AT_ONCE = 6
ROWS_AT_ONCE = 5
"""Services that are seen without unfolding, the unwell first."""
TIMELINE_SHOWN = 400
FULL_CHARS = 800_000
"""Characters of failures in full, as pytest shows them: the page is to stay below three megabytes; the log holds the rest."""


@lru_cache(maxsize=1)
def _template() -> Any:
    """Return the page's template, which refuses a name that it does not know and escapes all that it is given."""
    import jinja2  # not at start-up: an assessment makes no page and must not wait for it

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_source),
    )
    environment.filters.update(
        when=when,
        span=span,
        percent=percent,
        seconds=seconds,
        shorten=shorten,
        pieces=pieces,
        task_pieces=task_pieces,
        words=lambda text: text.replace("_", " "),
        cause_title=cause_title,
        also_possible=also_possible,
        outcome=outcome_word,
        gist=gist,
        log_link=log_link,
        well_line=well_line,
        stage=lambda status: STAGES[status].word,
        verdict=verdict_word,
    )
    environment.globals.update(
        joint_text=joint_text,
        plural=plural,
        sent_sentence=sent_sentence,
        held_back=held_back,
        S=ConnectivityStatus,
        S_WORD={status: mark.word for status, mark in STATUSES.items()},
    )
    return environment.get_template("report.html.j2")


def _source(name: str) -> str:
    return (files("resilience.report") / "templates" / name).read_text(encoding="utf-8")


def _by_section(charts: Sequence[Chart]) -> dict[str, list[Chart]]:
    return {section.value: [chart for chart in charts if chart.section is section] for section in Section}


@lru_cache(maxsize=1)
def style() -> str:
    """Return the style sheet with the colours and signs of the one table put in."""
    light = "".join(f"--{tone.value}:{look.ink};" for tone, look in LOOKS.items())
    dark = "".join(f"--{tone.value}:{look.ink_dark};" for tone, look in LOOKS.items())
    statuses = "".join(
        f'.st.{status.value}{{color:var(--{mark.tone.value})}}.st.{status.value}::before{{content:"{mark.sign}"}}\n'
        for status, mark in STATUSES.items()
    )
    sheet = _source("report.css")
    for place, text in {"/*light*/": light, "/*dark*/": dark, "/*statuses*/\n": statuses}.items():
        sheet = sheet.replace(place, text)
    return sheet


def log_link(place: tuple[str, int], test: TestOutcome) -> str:
    """Return a link that opens the log where the failure's heading stands, in a browser that knows text fragments."""
    heading = test.id.partition("::")[2].replace("::", ".") or test.id
    return f"./{quote(place[0])}#:~:text={quote(f'_ {heading} _', safe='').replace('-', '%2D')}"


def _full(view: View) -> frozenset[str]:
    """Return the tests whose failure is shown in full: in the order of the page, while there is room."""
    found, left = set(), FULL_CHARS
    for test in (test for one in view.suites for group in one.groups if group.messages for test in group.tests):
        left -= len(test.shown or "") + len(test.output or "")
        if left < 0:
            break
        found.add(test.id)
    return frozenset(found)


def _cut(rows: Sequence[Row]) -> tuple[Sequence[Row], int]:
    """Return the rows of the timeline that are shown, and how many between its beginning and its end are not."""
    if len(rows) <= TIMELINE_SHOWN:
        return rows, 0
    half = TIMELINE_SHOWN // 2
    return (*rows[:half], *rows[-half:]), len(rows) - 2 * half


def _contents(view: View, has_history: bool) -> tuple[tuple[str, str], ...]:
    """Return anchor and name of the sections that this page has, in their order."""
    incident = view.incident
    return tuple(
        (anchor, name)
        for anchor, name, there in (
            ("impact", "Impact", view.impact),
            ("todo", "What is left to do", True),
            ("down", "What was down", True),
            ("tests", "Tests", view.suites),
            ("details", "Details", True),
            ("why", "Evidence", incident.health and incident.health.causes),
            ("timeline", "Timeline", view.timeline),
            ("all-tests", "Tests in full", view.suites),
            ("taught", "What the stand-ins knew", view.taught),
            ("latency", "Latency", view.latency),
            ("changed", "What was changed", True),
            ("tell", "Whom to tell", incident.notices),
            ("past", "This incident so far", len(view.past) > 1 or has_history),
            ("review", "Review", view.review),
            ("made", "How this was made", True),
        )
        if there
    )


def _split(rows: Iterable[ServiceRow]) -> tuple[list[ServiceRow], list[ServiceRow]]:
    found = list(rows)
    return [row for row in found if not row.well], [row for row in found if row.well]


@lru_cache(maxsize=1)
def script() -> tuple[str, str]:
    """Return the page's only script, which filters and sorts tables, and its digest for the security policy."""
    text = _source("report.js")
    return text, "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def html(view: View, *, charts: tuple[Chart, ...] = ()) -> str:
    """Return the page. Every text is escaped but our style sheet, our script and our own SVG, whose texts were escaped when drawn.

    The content security policy forbids any request and any script but ours, which it knows by its digest, so that a page
    that a service's text got into can do nothing.
    """
    code, digest = script()
    by_section = _by_section(charts)
    unwell, well = _split(view.services)
    bad = {row.first.name for row in unwell}
    timeline, left_out = _cut(view.timeline)
    page: str = _template().render(
        view=view,
        incident=view.incident,
        charts=by_section,
        csp=f"{CSP}; script-src '{digest}'",
        script=code,
        contents=_contents(view, bool(by_section[Section.HISTORY.value])),
        open=[task for task in view.tasks if not task.done],
        done=[task for task in view.tasks if task.done],
        unwell=unwell,
        well=well,
        slow=[row for row in view.latency if row.service in bad],
        steady=[row for row in view.latency if row.service not in bad],
        timeline=timeline,
        left_out=left_out,
        left_out_at=TIMELINE_SHOWN // 2 + 1 if left_out else 0,
        full=_full(view),
        at_once=AT_ONCE,
        todo_at_once=TODO_AT_ONCE,
        rows_at_once=ROWS_AT_ONCE,
        noted=noted(view.incident),
        fills=FILLS,
        css=style(),
        stopped=failed_stages(view.incident),
        people=PEOPLE,
        shown=TESTS_SHOWN,
    )
    # On a phone a cell without a value takes a line for nothing.
    return page.replace(">–</td>", " data-none>–</td>")
