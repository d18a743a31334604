"""Print the verdict of a test run and the tests that need a person, and whether staging is back."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.markup import escape

from resilience.core.marks import OUTCOMES
from resilience.core.records import Incident, Outcome, Recovery, TestSuiteResult
from resilience.core.words import both_codes_line, recovery_line, result_lines
from resilience.host.demand import on_demand
from resilience.show.terminal.console import headline, out, say

with on_demand():
    # The room's door loads this file for a look as well, which has no tests to group.
    from resilience.core import groups


def show_tests(result: TestSuiteResult, *, console: Console = out) -> None:
    """Print the verdict, the product's failures first, then what infrastructure took, by reason."""
    headline(console, *result_lines(result))
    found = groups.groups(result)
    for group in found:
        if group.messages:
            _show_messages(group, console)
    reasons: Counter[str] = Counter()
    for group in found:
        for test in group.tests:
            if not group.messages and test.outcome is not Outcome.PASSED:
                reasons[f"{OUTCOMES[test.outcome].word}: {test.reason or test.message or 'no reason known'}"] += 1
    for reason, count in reasons.most_common(12):
        console.print(f"  [yellow]{count:>5,}[/yellow] {escape(reason)}")
    for note in result.notes:
        console.print(f"  note: {escape(note)}")


def _show_messages(group: groups.TestGroup, console: Console, *, most: int = 20) -> None:
    """Print the tests of one group with the first line of what they said; the product's need no heading of their own."""
    if group.key != "product":
        console.print(f"  [bold]{group.title}:[/bold] {group.meaning}")
    for test in group.tests[:most]:
        style = OUTCOMES[test.outcome].look.terminal
        first = (test.message or "").partition("\n")[0]
        console.print(f"  [{style}]{OUTCOMES[test.outcome].word}[/{style}] {escape(test.id)}: {escape(first)}")
    if len(group.tests) > most:
        console.print(f"  … and {len(group.tests) - most:,} more in the report")


def show_recovery(recovery: Recovery, *, console: Console = out) -> None:
    headline(console, recovery_line(recovery))


def show_codes(incident: Incident, *, console: Console = out) -> None:
    """Print the exit codes of a command and of its run where they differ; one alone is told by the shell."""
    if line := both_codes_line(incident):
        say(line, console=console)
