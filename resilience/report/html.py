"""Turn a view into one HTML file that loads nothing, runs nothing, prints well and reads well in the dark."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from resilience.core.escalation import joint_text
from resilience.core.groups import held_back
from resilience.core.marks import LOOKS, STAGES, STATUSES, outcome_word, verdict_word
from resilience.core.records import ConnectivityStatus
from resilience.core.words import also_possible, cause_title, plural, seconds
from resilience.report.people import PEOPLE, sent_sentence
from resilience.report.texts import pieces, shorten
from resilience.report.view import Chart, Section, View
from resilience.report.view.formats import percent, span, when
from resilience.report.view.headline import failed_stages

CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""Inline styles only: charts are inline SVG whose colours are style attributes, which hashes do not cover."""
TESTS_SHOWN = 500
"""Tests of one group in the page; junit.xml holds all."""


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
        words=lambda text: text.replace("_", " "),
        cause_title=cause_title,
        also_possible=also_possible,
        outcome=outcome_word,
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


def html(view: View, *, charts: tuple[Chart, ...] = ()) -> str:
    """Return the page. Every text is escaped but our style sheet and our own SVG, whose texts were escaped when drawn.

    The content security policy forbids scripts and any request, so that a page that a service's text got into can do
    nothing.
    """
    page: str = _template().render(
        view=view,
        incident=view.incident,
        charts=_by_section(charts),
        csp=CSP,
        css=style(),
        stopped=failed_stages(view.incident),
        people=PEOPLE,
        shown=TESTS_SHOWN,
    )
    # On a phone a cell without a value takes a line for nothing.
    return page.replace(">–</td>", " data-none>–</td>")
