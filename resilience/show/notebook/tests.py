"""Show a test run, while it runs and when it is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

from resilience.core.groups import TestGroup, groups
from resilience.core.marks import OUTCOMES, VERDICTS, outcome_word
from resilience.core.records import TestSuiteResult
from resilience.core.words import gist, result_lines, seconds
from resilience.show.notebook.blocks import BOXES, GOOD, WARN, box, folded, head, listed, marked, table

_TESTS_SHOWN = 40


def progress_view(
    counts: Mapping[str, int], *, done: int, total: int, current: str = "", note: str = "", failures: Sequence[str] = ()
) -> str:
    """Return a running test run: a bar, the counts, the test in flight and the failures so far."""
    well = sum(counts.get(name, 0) for name in ("passed", "xfailed", "xpassed", "skipped"))
    lost = max(done - well, 0)
    whole = max(total, done, 1)
    bar = "".join(
        f'<i style="width:{100 * part / whole:.2f}%;background:{colour}"></i>'
        for part, colour in ((well, GOOD), (lost, WARN))
    )
    shown = ", ".join(f"{count:,} {outcome_word(name)}" for name, count in counts.items() if count) or "starting"
    of = f"{done:,} of {total:,}" if total else f"{done:,}"
    parts = [
        head(f"TESTS: {f'running, {of}' if total else 'starting'}" + (f" · {note}" if note else "")),
        f'<div class="bar" role="img" aria-label="{escape(of)} tests">{bar}</div>',
        f"<div>{escape(shown)}</div>",
    ]
    if counts.get("failed") or counts.get("error"):
        parts.append('<div class="dim">failures are judged at the end: an outage may be behind them</div>')
    if current:
        parts.append(f'<div class="dim">now: <code>{escape(current)}</code></div>')
    if failures:
        parts.append("<b>Failed so far</b>" + listed(failures[-8:], code=True))
    return "".join(parts)


def tests_view(result: TestSuiteResult, link: Callable[[str], str] | None = None) -> str:  # noqa: PT028 - no test
    """Return the verdict first, then the counts, then each test that needs a person.

    `link` returns the link to a place in the team's files, or "" for none.
    """
    lines = result_lines(result)
    kind = next(kind for kind, tone in BOXES.items() if tone is VERDICTS[result.verdict].tone)
    parts = [box(lines[0].strip(), kind=kind), *(f"<div>{escape(line.strip())}</div>" for line in lines[1:])]
    parts.append(f'<div class="dim">in {escape(seconds(result.duration_s))}, exit code {result.exit_code}</div>')
    found = groups(result)
    parts.extend(_tests(group, link or (lambda _: ""), is_open=group.messages or group is found[0]) for group in found)
    if result.reached:
        rows = [
            [
                ("line", escape(reached.service)),
                ("num", "–" if reached.connections is None else f"{reached.connections:,}"),
                ("", escape(reached.detail)),
            ]
            for reached in result.reached
        ]
        proof = table(["Stand-in", "Connections by tests", "Detail"], rows)
        parts.append(folded("Did the tests reach the stand-ins?", proof))
    parts.extend(box(note) for note in result.notes)
    return "".join(parts)


def _tests(group: TestGroup, link: Callable[[str], str], *, is_open: bool = False) -> str:
    """Return one group as a table, cut to what a notebook can hold; the rest is counted."""
    rows = []
    for test in group.tests[:_TESTS_SHOWN]:
        said = gist(test.message or test.reason or "")
        rows.append(
            [
                (
                    "",
                    f"<code>{escape(test.id).replace('::', '::<wbr>')}</code>"
                    + _place(test.failed_at or test.where, link),
                ),
                ("line", marked(OUTCOMES[test.outcome])),
                ("line", escape(test.service or "")),
                ("", escape(said[:300])),
            ]
        )
    more = (
        f'<div class="dim">and {len(group.tests) - _TESTS_SHOWN:,} more, in junit.xml</div>'
        if len(group.tests) > _TESTS_SHOWN
        else ""
    )
    shown = table(["Test", "Outcome", "Service", "Said"], rows)
    meaning = f'<div class="dim">{escape(group.meaning)}</div>'
    return folded(f"{group.title} ({len(group.tests):,})", meaning + shown + more, is_open=is_open)


def _place(where: str | None, link: Callable[[str], str]) -> str:
    """Return the place in the team's files as a link, and nothing where the page cannot open it: the test's name says it."""
    href = link(where) if where else ""
    return f'<br><a href="{escape(href)}">{escape(where or "")}</a>' if href else ""
