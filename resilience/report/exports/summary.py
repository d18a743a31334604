"""Turn a view into summary.md: what a person needs in at most 60 lines, the body of an issue comment and of a step summary."""

from __future__ import annotations

from collections.abc import Iterator

from resilience.core.escalation import escalation_lines
from resilience.core.groups import groups
from resilience.core.marks import STATUSES
from resilience.core.records import Outcome
from resilience.core.words import cause_title, gist, plural, totals_line
from resilience.report.exports.export import Export, File
from resilience.report.markdown.blocks import plain, table
from resilience.report.markdown.impact import task_line
from resilience.report.texts import code, hint, prose, shorten
from resilience.report.view import View
from resilience.report.view.formats import span
from resilience.report.view.services import well_line

MOST_LINES = 60
_SERVICES, _TESTS, _TASKS, _TAUGHT = 8, 5, 10, 3


def summary(view: View) -> str:
    """Return the Markdown. What a service or a test said stands in code spans; lists are cut, and say what is left out.

    The order is that in which a stranger asks: what and when, what it cost, what is left to do, then the evidence. Where it is
    too long, the lists get shorter, the last ones first; what they leave out is said in each.
    """
    text: list[str] = []
    for services, tests, tasks in ((_SERVICES, _TESTS, _TASKS), (_SERVICES, 2, 8), (6, 1, 8), (4, 1, 6), (3, 1, 4)):
        lines = [*_head(view), *_impact(view), *_left_to_do(view, tasks), *_services(view, services), *_cause(view)]
        text = "\n".join([*lines, *_tests(view, tests), *_taught(view), *_people(view)]).splitlines()
        if len(text) <= MOST_LINES:
            break
    else:
        text = [*text[: MOST_LINES - 2], "", "_Cut: the rest stands in the report._"]
    return "\n".join(text) + "\n"


def _head(view: View) -> Iterator[str]:
    yield f"### {plain(view.title)}"
    yield ""
    yield f"**{prose(view.verdict)}**"
    yield ""
    for line in view.lines:
        yield f"- {prose(line)}"


def _impact(view: View) -> Iterator[str]:
    if view.impact:
        yield ""
        yield "**Impact**"
        yield ""
    for label, value in view.impact:
        yield f"- {label}: {hint(value)}"


def _left_to_do(view: View, most: int) -> Iterator[str]:
    """Yield the open tasks as a task list, and how many are done; those that do not fit are counted."""
    open_ = [task for task in view.tasks if not task.done]
    done = len(view.tasks) - len(open_)
    yield ""
    yield f"**What is left to do**{f' ({done} done)' if done else ''}"
    yield ""
    if not open_:
        yield "Nothing that we know of."
    for task in open_[:most]:
        yield task_line(task, limit=160)
    if len(open_) > most:
        yield f"- and {len(open_) - most} more in the report"


def _services(view: View, most: int) -> Iterator[str]:
    """Yield the services that were unwell, as they were found at first and as they are now, and the number of the well ones.

    What was unwell at first stands first, and of that what is critical.
    """
    rows = [row for row in view.services if not row.well]
    if not view.services:
        return
    yield ""
    if rows:
        # Three columns, which a phone shows whole.
        cells = (
            (
                code(row.first.name) + (" (critical)" if row.first.critical else ""),
                f"{STATUSES[row.first.status].signed}, {prose(row.why)}; now {STATUSES[row.now].signed}",
                span(row.down_s),
            )
            for row in rows[:most]
        )
        yield table(("service", "at first look, and now", "bad for"), cells)
        yield ""
    left = f"{plural(len(rows) - most, 'more service')} unwell; " if len(rows) > most else ""
    yield (
        f"{left}{well_line(view.services)}.".replace("; .", ".")
        if left or len(rows) < len(view.services)
        else "All were unwell."
    )


def _cause(view: View) -> Iterator[str]:
    """Yield the likely cause, and what to do about it where it is not over."""
    health, recovery = view.incident.health, view.incident.recovery
    over = recovery is not None and recovery.recovered
    for cause in health.causes[:1] if health is not None else ():
        left = len(cause.services) - 6
        services = ", ".join(code(name) for name in cause.services[:6]) + (f" and {left} more" if left > 0 else "")
        issue = f" (as in {prose(cause.issue)})" if cause.issue else ""
        yield ""
        yield f"**Likely cause:** {cause_title(cause.cause)}{issue}: {services}."
        if not over:
            yield f"Next: {hint(cause.next)}"


def _tests(view: View, most: int) -> Iterator[str]:
    """Yield the counts, and of each group that somebody has to act on its first tests; all groups with their number."""
    tests = view.incident.tests
    if tests is None:
        return
    yield ""
    yield f"**Tests** (mode {tests.mode.value}): {prose(totals_line(tests.totals))}"
    counted = []
    for group in groups(tests):
        if group.tests[0].outcome is Outcome.PASSED:
            continue
        if not group.messages:
            counted.append(f"{group.title} ({len(group.tests):,})")
            continue
        yield ""
        shown = group.tests[: most if group.key == "product" else 1]
        yield f"{group.title} ({len(group.tests):,}):"
        yield ""
        for test in shown:
            said = shorten(gist(test.message or test.reason or ""), 160)
            place = test.failed_at or test.where
            yield f"- {code(test.id)}" + (f" at {code(place)}" if place else "") + (f": {code(said)}" if said else "")
        if len(group.tests) > len(shown):
            yield f"- and {len(group.tests) - len(shown):,} more"
    if counted:
        yield ""
        yield f"{', '.join(counted)}."


def _taught(view: View) -> Iterator[str]:
    """Yield what the stand-ins knew, one line for all."""
    if view.taught:
        yield ""
        yield f"**Stand-ins:** {prose('; '.join(one.said for one in view.taught[:_TAUGHT]))}."


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
