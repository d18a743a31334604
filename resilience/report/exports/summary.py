"""Turn a view into summary.md: what a person needs in at most 60 lines, the body of an issue comment and of a step summary."""

from __future__ import annotations

from collections.abc import Iterator

from resilience.core.escalation import escalation_lines
from resilience.core.groups import groups
from resilience.core.marks import STATUSES
from resilience.core.records import ConnectivityStatus, Outcome
from resilience.core.words import cause_title, totals_line
from resilience.report.exports.export import Export, File
from resilience.report.markdown.blocks import plain, table
from resilience.report.texts import code, hint, prose, shorten
from resilience.report.view import View

MOST_LINES = 60
_SERVICES, _TESTS = 12, 8


def summary(view: View) -> str:
    """Return the Markdown. What a service or a test said stands in code spans; lists are cut, and say what is left out."""
    lines = [*_head(view), *_services(view), *_cause(view), *_tests(view), *_people(view)]
    text = "\n".join(lines).splitlines()
    if len(text) > MOST_LINES:
        text = [*text[: MOST_LINES - 2], "", "_Cut: the rest stands in the report._"]
    return "\n".join(text) + "\n"


def _head(view: View) -> Iterator[str]:
    yield f"### {plain(view.title)}"
    yield ""
    yield f"**{prose(view.verdict)}**"
    yield ""
    for line in view.lines:
        yield f"- {prose(line)}"


def _services(view: View) -> Iterator[str]:
    """Yield the services as they were found at first, which says what the outage was, and as they are now.

    What was unwell stands first, and of that what is critical.
    """
    incident = view.incident
    first = incident.health or incident.latest
    if first is None:
        return
    latest = incident.latest or first
    order = [ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.UNKNOWN, ConnectivityStatus.DEGRADED]
    order += [ConnectivityStatus.AVAILABLE]
    asked = [result for result in first.services if result.status in order]
    asked.sort(key=lambda result: (order.index(result.status), not result.critical))
    rows = []
    for result in asked[:_SERVICES]:
        now = latest.result(result.name) or result
        rows.append(
            (
                code(result.name) + (" (critical)" if result.critical else ""),
                STATUSES[result.status].signed,
                prose(shorten(result.detail, 120)) if result.detail else "–",
                STATUSES[now.status].signed,
                code(result.endpoint),
            )
        )
    yield ""
    yield table(("service", "at first look", "found", "now", "endpoint"), rows)
    if len(asked) > _SERVICES:
        yield ""
        yield f"and {len(asked) - _SERVICES} more services"


def _cause(view: View) -> Iterator[str]:
    """Yield the likely cause, and what to do about it where it is not over."""
    health, recovery = view.incident.health, view.incident.recovery
    over = recovery is not None and recovery.recovered
    for cause in health.causes[:1] if health is not None else ():
        services = ", ".join(code(name) for name in cause.services)
        issue = f" (as in {prose(cause.issue)})" if cause.issue else ""
        yield ""
        yield f"**Likely cause:** {cause_title(cause.cause)}{issue}: {services}."
        if not over:
            yield f"Next: {hint(cause.next)}"


def _tests(view: View) -> Iterator[str]:
    tests = view.incident.tests
    if tests is None:
        return
    yield ""
    yield f"**Tests** (mode {tests.mode.value}): {prose(totals_line(tests.totals))}"
    for group in groups(tests):
        if group.tests[0].outcome is Outcome.PASSED:
            continue
        yield ""
        yield f"{group.title} ({len(group.tests):,}):"
        yield ""
        for test in group.tests[: _TESTS if group.key == "product" else 3]:
            said = shorten(next(iter((test.message or test.reason or "").splitlines()), ""), 160)
            yield f"- {code(test.id)}" + (f": {code(said)}" if said else "")
        left = len(group.tests) - (_TESTS if group.key == "product" else 3)
        if left > 0:
            yield f"- and {left:,} more"


def _people(view: View) -> Iterator[str]:
    """Yield what the history says of the outage, and whom to tell of it."""
    for label, value in view.recalled:
        yield ""
        yield f"**{label}:** {prose(value)}"
    recovery = view.incident.recovery
    if view.incident.notices:
        yield ""
        yield f"**Whom to tell{' while it lasted' if recovery is not None and recovery.recovered else ''}:**"
        yield ""
    for line in escalation_lines(view.incident.notices):
        # Whom to tell stands in code: only an escalation's own comment mentions anybody.
        yield f"- {code(line)}"


def _files(view: View) -> Iterator[File]:
    yield File(path="summary.md", content=summary(view))


EXPORT = Export(name="summary.md", files=_files, end=_files)
