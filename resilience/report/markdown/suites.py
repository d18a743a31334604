"""Write one run of the suite: its counts, its groups of tests, its commands, and what they reached."""

from __future__ import annotations

from collections.abc import Sequence

from resilience.core.groups import TestGroup
from resilience.core.marks import outcome_word
from resilience.core.records import CommandResult, Reached, TestOutcome
from resilience.core.words import plural, seconds
from resilience.report.markdown.blocks import folded, indented, table
from resilience.report.markdown.cut import Cut
from resilience.report.texts import code, fence, prose, shorten
from resilience.report.view.suites import SuiteView


def suite_of(suite: SuiteView, cut: Cut) -> list[str]:
    """Return the section of one run of the suite; what passed on a later round is the first to go where it must fit."""
    result = suite.result
    parts = [f"## {suite.title}", prose(suite.sentence)]
    parts.append(table(("outcome", "tests"), ((outcome_word(name), f"{count:,}") for name, count in suite.totals)))
    parts += [_group(group, cut) for group in suite.groups if group.key != "retried" or cut.retried]
    if result.commands:
        parts.append(folded(f"What was run ({plural(len(result.commands), 'command')})", _commands(result.commands)))
    if result.reached:
        parts.append(f"Proof that the tests reached the stand-ins: {'; '.join(map(_proof, result.reached))}.")
    parts += [f"- {prose(note)}" for note in result.notes[:20]]
    return parts


def _commands(commands: Sequence[CommandResult]) -> str:
    rows = (
        (
            code(shorten(one.command, 200)),
            prose(one.evidence or one.kind),
            str(one.exit_code),
            str(one.rounds),
            seconds(one.duration_s),
        )
        for one in commands
    )
    return table(("command", "judged by", "exit code", "rounds", "took"), rows)


def _proof(reached: Reached) -> str:
    count = "cannot count" if reached.connections is None else plural(reached.connections, "connection")
    said = {None: "", True: ", tests reached it", False: ", **the tests did not reach it**"}[reached.canary]
    return f"{prose(reached.service)}: {count}{said}"


def _group(group: TestGroup, cut: Cut) -> str:
    """Return one group: its tests with what they said where a person has to find out why, else as a table to unfold."""
    head = f"### {group.title}: {len(group.tests):,}\n\n{group.meaning}"
    if not cut.tests:
        return head
    shown = group.tests[: cut.tests]
    rest = len(group.tests) - len(shown)
    more = f"_… and {rest:,} more in `junit.xml`._" if rest else ""
    if group.messages:
        return "\n".join([f"{head}\n", *(_item(test, cut) for test in shown), *([f"- {more}"] if more else [])])
    listed = table(("test", "why"), (_row(test, cut) for test in shown))
    body = f"{listed}\n\n{more}" if more else listed
    return head + "\n\n" + folded(plural(len(group.tests), "test"), body)


def _row(test: TestOutcome, cut: Cut) -> tuple[str, ...]:
    """Return a test and why it is listed, in two columns, which a phone shows whole."""
    why = test.reason or test.message or test.previous or ""
    known = [prose(test.service)] if test.service else []
    known += [code(test.fault.value)] if test.fault else []
    known += [plural(test.rounds, "round")] if test.rounds > 1 else []
    said = code(shorten(why, min(cut.message_chars, 200))) if why else ""
    return code(shorten(test.id, 300)), ": ".join(part for part in (", ".join(known), said) if part) or "–"


def _end(text: str, lines: int, chars: int) -> str:
    """Return the last lines of a failure as pytest shows it: what was asserted and what was found stands at its end."""
    kept = [shorten(line, 200) for line in text.splitlines()[-lines:]]
    while len(kept) > 1 and sum(map(len, kept)) > chars:
        kept.pop(0)
    return shorten("\n".join(kept), chars)


def _item(test: TestOutcome, cut: Cut) -> str:
    item = f"- {code(shorten(test.id, 300))}" + (f" {prose(f'({test.service})')}" if test.service else "")
    if test.previous:
        item += f", at first {code(shorten(test.previous, 120))}"
    if place := test.failed_at or test.where:
        item += f", at {code(place)}"
    if test.shown and cut.message_lines > 3:
        item += "\n\n" + indented(fence(_end(test.shown, cut.message_lines, cut.message_chars)))
    elif test.message:
        said = "\n".join(shorten(line, 300) for line in test.message.splitlines()[: cut.message_lines])
        item += "\n\n" + indented(fence(shorten(said, cut.message_chars)))
    return item
