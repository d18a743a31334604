"""Turn a view into Markdown that fits a GitHub comment and in which no text of a service means anything."""

from __future__ import annotations

from resilience.core.marks import LOOKS
from resilience.report.markdown.blocks import plain, sentence, table
from resilience.report.markdown.changes import changes
from resilience.report.markdown.cut import LEVELS, Cut
from resilience.report.markdown.details import details
from resilience.report.markdown.impact import impact, left_to_do, review
from resilience.report.markdown.latency import latency
from resilience.report.markdown.people import notices, past, people
from resilience.report.markdown.services import down
from resilience.report.markdown.suites import suite_of
from resilience.report.markdown.taught import taught
from resilience.report.markdown.timeline import timeline
from resilience.report.texts import prose
from resilience.report.view import View
from resilience.report.view.headline import failed_stages

LIMIT = 60_000
"""Characters; GitHub refuses a comment of more than 65,536."""


def markdown(view: View, *, limit: int = LIMIT) -> str:
    """Return the report as GitHub-flavoured Markdown of at most `limit` characters, cut in the order of `cut.LEVELS`.

    No text of a service can mention anybody, close an issue or draw a picture: see `report.texts.prose` and `code`.
    """
    text = ""
    for level in LEVELS:
        text = _render(view, level)
        if len(text) <= limit:
            return text
    # Only very many services or causes come here; the head says what matters, so it is what stays, with what people wrote.
    kept = "\n\n".join(people(view))
    tail = f"\n\n_Cut here to fit a GitHub comment; all of it is in `report.html`._\n\n{kept}\n"
    head = text.partition(kept)[0] if kept else text
    return head[: max(limit - len(tail), 0)].rsplit("\n\n", 1)[0] + tail


def _render(view: View, cut: Cut) -> str:
    """Return all sections at one level of cutting: the verdict and what was down first, how it was made last."""
    parts = [
        *_head(view),
        *impact(view),
        *left_to_do(view),
        *down(view),
        *_run(view),
        *timeline(view, cut),
        *(part for suite in view.suites for part in suite_of(suite, cut)),
        *taught(view),
        *latency(view, cut),
        *changes(view, cut),
        *notices(view),
        *past(view),
        *review(view),
        *people(view),
        *(details(view) if cut.details else ()),
        _foot(cut),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(view: View) -> list[str]:
    parts = [
        f"# {plain(view.title)}",
        f"**{LOOKS[view.verdict_kind].sign} {prose(view.verdict)}**",
        "  \n".join(sentence(line) for line in view.lines),
    ]
    if view.incident.drill:
        parts.append(
            "> This was a drill: “staging” was an embedded lab on one machine, broken on purpose. The servers, the probes "
            "and the tests were real."
        )
    if view.missing:
        parts.append("> **Missing from this report:**\n" + "\n".join(f"> - {prose(one)}" for one in view.missing))
    parts += [f"**The runbook stopped:** {prose(one)}" for one in failed_stages(view.incident)]
    return parts


def _run(view: View) -> list[str]:
    """Return what names the run and its few figures: below what hurts, as nobody asks for them first."""
    parts = ["## The run", table(("", ""), [(f"**{name}**", prose(value)) for name, value in view.facts])]
    if view.figures:
        parts.append(table(("", "", "counted from"), [(f"**{a}**", b, c) for a, b, c in view.figures]))
    return parts


def _foot(cut: Cut) -> str:
    end = "Made from `incident.json` and `samples.csv`; charts and all details are in `report.html`. All times are UTC."
    return f"<sub>{end}{f' Cut to fit a GitHub comment: {cut.says}.' if cut.says else ''}</sub>"
