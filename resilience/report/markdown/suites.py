"""Write one run of the suite: its counts, its groups of tests, its commands, and what they reached."""

from __future__ import annotations

from resilience.core.groups import TestGroup
from resilience.core.marks import outcome_word
from resilience.core.words import plural, seconds
from resilience.report.markdown.blocks import folded, indented, table
from resilience.report.markdown.cut import Cut
from resilience.report.texts import code, fence, prose, shorten
from resilience.report.view.suites import SuiteView


def suite_of(suite: SuiteView, cut: Cut) -> list[str]:
    result = suite.result
    parts = [f"## {suite.title}", prose(suite.sentence)]
    parts.append(table(("outcome", "tests"), ((outcome_word(name), f"{count:,}") for name, count in suite.totals)))
    for group in suite.groups:
        if group.key == "retried" and not cut.retried:
            continue
        parts.append(_group(group, cut))
    commands = table(
        ("command", "judged by", "exit code", "rounds", "took"),
        (
            (
                code(shorten(one.command, 200)),
                prose(one.evidence or one.kind),
                str(one.exit_code),
                str(one.rounds),
                seconds(one.duration_s),
            )
            for one in result.commands
        ),
    )
    if result.commands:
        parts.append(folded(f"What was run ({plural(len(result.commands), 'command')})", commands))
    if result.reached:
        seen = "; ".join(
            f"{prose(one.service)}: "
            + (plural(one.connections, "connection") if one.connections is not None else "cannot count")
            + (
                ""
                if one.canary is None
                else ", canary reached it"
                if one.canary
                else ", **the canary did not reach it**"
            )
            for one in result.reached
        )
        parts.append(f"Proof that the tests reached the stand-ins: {seen}.")
    parts += [f"- {prose(note)}" for note in result.notes[:20]]
    return parts


def _group(group: TestGroup, cut: Cut) -> str:
    head = f"### {group.title}: {len(group.tests):,}\n\n{group.meaning}"
    if not cut.tests:
        return head
    shown = group.tests[: cut.tests]
    rest = len(group.tests) - len(shown)
    if not group.messages:
        rows = []
        for test in shown:
            why = test.reason or test.message or test.previous or ""
            rows.append(
                (
                    code(shorten(test.id, 300)),
                    prose(test.service or "–"),
                    code(test.fault.value) if test.fault else "–",
                    str(test.rounds),
                    code(shorten(why, min(cut.message_chars, 200))) if why else "–",
                )
            )
        body = table(("test", "service", "fault", "rounds", "said"), rows)
        if rest:
            body += f"\n\n_… and {rest:,} more in `junit.xml`._"
        return head + "\n\n" + folded(f"{plural(len(group.tests), 'test')}", body)
    items = []
    for test in shown:
        note = f" ({test.service})" if test.service else ""
        item = f"- {code(shorten(test.id, 300))}{prose(note) and ' ' + prose(note) if note else ''}"
        if test.previous:
            item += f", at first {code(shorten(test.previous, 120))}"
        if test.message:
            said = "\n".join(shorten(line, 300) for line in test.message.splitlines()[: cut.message_lines])
            item += "\n\n" + indented(fence(shorten(said, cut.message_chars)))
        items.append(item)
    if rest:
        items.append(f"- _… and {rest:,} more in `junit.xml`._")
    return head + "\n\n" + "\n".join(items)
