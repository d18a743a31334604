"""Print an assessment on one screen: the verdict first and again last, one line a service, what to type one a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from resilience.core.escalation import escalation_lines
from resilience.core.marks import LOOKS, STATUSES, Tone
from resilience.core.next_steps import Step
from resilience.core.records import ConnectivityResult, ConnectivityStatus, Decision, InfrastructureHealth, Notice
from resilience.core.words import (
    also_possible,
    cause_title,
    fault_word,
    seconds,
    short_tests_line,
    staging_line,
    tests_line,
    verdict_line,
)
from resilience.show.terminal.console import out
from resilience.show.terminal.wrapping import ENDLESS, sentence_lines, width_of

MOST = 8
"""Services from which on the well ones share a line, so that the unwell still stand on one screen."""
_QUIET = (ConnectivityStatus.AVAILABLE, ConnectivityStatus.NOT_CONFIGURED)


def show_assessment(
    health: InfrastructureHealth,
    decision: Decision | None,
    *,
    steps: Sequence[Step],
    notices: Sequence[Notice] = (),
    notes: Sequence[str] = (),
    console: Console = out,
) -> None:
    """Print what one look found, for a screen of 80 × 24 with up to eight services.

    What is longer than its line there is cut, but for the headlines, the cause's next step and the commands, which
    somebody copies; what explains most is left out last where the screen is too low, and blank lines stand between the
    parts where they fit. `--details` shows all of it. Where the output is no terminal nothing is cut, wrapped or left out.
    """
    width = width_of(console)
    # One line for what was typed, one for the next prompt.
    height = console.height - 2 if console.is_terminal else ENDLESS
    headlines = [_fitting(health, width), *([_tests(decision, width)] if decision else [])]
    first = [line for text in headlines for line in sentence_lines(_bold_head(text), console)]
    rows, typed, last = (
        _rows(health.services, width),
        _steps(steps, width),
        [_bold_head(verdict_line(health, decision))],
    )
    said = [(part.rank, part.lines(width, console)) for part in _reasons(health, notices, notes)]
    room = height - sum(map(len, (first, rows, typed, last)))
    while (over := sum(len(lines) for _, lines in said) - room) > 0 and (rank := max(rank for rank, _ in said)):
        said = [part for part in said if part[0] != rank]
    blanks = -over
    for number, block in enumerate((first, rows, [line for _, lines in said for line in lines], typed, last)):
        if block and number and (blanks := blanks - 1) >= 0:
            console.print()
        for line in block:
            console.print(line, soft_wrap=True)


def show_steps(steps: Sequence[Step], *, notes: Sequence[str] = (), last: str = "", console: Console = out) -> None:
    """Print what holds here, what to type, a command a line, and what is to stand last."""
    width = width_of(console)
    for line in (*map(Text, notes), *_steps(steps, width), *([_bold_head(last)] if last else [])):
        console.print(line, soft_wrap=True)


def _bold_head(text: str) -> Text:
    """Return a line whose nouns in capitals, up to each colon, are bold."""
    line = Text(text)
    line.highlight_regex(r"\b[A-Z][A-Z ]*:", "bold")
    return line


def _fitting(health: InfrastructureHealth, width: int) -> str:
    """Return the first line with as many services named as two lines hold; all stand below in their rows."""
    for most in (4, 3, 2):
        if len(line := staging_line(health, most=most)) <= 2 * width - 10:
            return line
    return staging_line(health, most=1)


def _tests(decision: Decision, width: int) -> str:
    line = tests_line(decision)
    return line if len(line) <= 2 * width - 10 else short_tests_line(decision)


def _cut(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    return text


def _rows(results: Sequence[ConnectivityResult], width: int) -> list[Text]:
    """Return a line for each service, the columns as wide as what stands in them; of more than MOST the well share one."""
    shown = list(results)
    folded: list[ConnectivityResult] = []
    if len(shown) > MOST:
        folded = [result for result in results if result.status in _QUIET and not result.flapping]
        shown = [result for result in results if result.status not in _QUIET or result.flapping]
    names = [result.name + ("*" if result.critical else "") for result in shown]
    words = [STATUSES[result.status].signed + (" (flapping)" if result.flapping else "") for result in shown]
    times = [seconds(result.response_time_s) for result in shown]
    ends = [result.endpoint for result in shown]
    wide = width >= 110
    name_w, word_w, time_w, end_w = (max(map(len, column), default=0) for column in (names, words, times, ends))
    lines = []
    for result, name, word, took, end in zip(shown, names, words, times, ends, strict=True):
        line = Text(f"{name:<{name_w}}  ")
        line.append(f"{word:<{word_w}}", style=STATUSES[result.status].look.terminal)
        line.append(f"  {took:>{time_w}}")
        if wide:
            line.append(f"  {end:<{end_w}}")
        line.append(f"  {_found(result)}" if _found(result) else "")
        line.rstrip()
        lines.append(_cut(line, width))
    for status in _QUIET:
        if alike := [result for result in folded if result.status is status]:
            line = Text(f"{STATUSES[status].sign} {len(alike):,} {STATUSES[status].word}: ", style="dim")
            line.append(", ".join(result.name for result in alike))
            lines.append(_cut(line, width))
    return lines


def _found(result: ConnectivityResult) -> str:
    if result.status is ConnectivityStatus.NOT_CONFIGURED:
        return result.detail
    if result.fault is None and result.status is ConnectivityStatus.AVAILABLE:
        return ""
    phase = f" (phase {result.phase.value.replace('_', ' ')})" if result.phase else ""
    return f"{fault_word(result)}{phase}"


@dataclass(frozen=True, slots=True)
class _Part:
    """A line that is cut to the screen, or with `whole` wrapped, as it holds what somebody copies.

    Where the screen is too low, the parts of the highest `rank` are left out first; those of rank 0 never.
    """

    rank: int
    text: str
    head: str = ""
    style: str = ""
    whole: bool = False

    def lines(self, width: int, console: Console) -> list[Text]:
        line = Text.assemble((self.head, "bold"), self.text, style=self.style)
        return sentence_lines(line, console, clauses=True) if self.whole else [_cut(line, width)]


def _reasons(health: InfrastructureHealth, notices: Sequence[Notice], notes: Sequence[str]) -> list[_Part]:
    """Return why staging is so and what to do about it, whom to tell, and what else holds here."""
    parts = []
    if any(result.critical for result in health.services):
        parts.append(_Part(3, "* critical", style="dim"))
    never = [result.name for result in health.services if result.never_reached and result.status not in _QUIET]
    if never:
        parts.append(_Part(6, f"Never yet reached from this host and network (VPN? tunnel?): {', '.join(never)}"))
    for cause in health.causes[:1]:
        issue = f" (as in {cause.issue})" if cause.issue else ""
        parts.append(_Part(0, f"{cause_title(cause.cause)}{issue}: {', '.join(cause.services)}", head="Cause: "))
        if cause.evidence and len(cause.services) > 1:
            parts.append(_Part(4, f"  because {cause.evidence[0]}"))
        parts.append(_Part(1, f"  → {cause.next}", whole=True))
    if others := also_possible(health.causes):
        parts.append(_Part(5, others, head="Also possible: "))
    for number, (line, notice) in enumerate(zip(escalation_lines(notices), notices, strict=True)):
        style = "dim" if notice.quiet else LOOKS[Tone.BAD].terminal
        parts.append(_Part(2 if number else 0, line, style=style, whole=not number))
    return [*parts, *(_Part(0, note, whole=True) for note in notes)]


def _steps(steps: Sequence[Step], width: int) -> list[Text]:
    """Return each command on its line, and what it does beside it, which goes where the command has no room for it."""
    column = max((len(step.command) for step in steps), default=0) + 3
    lines = []
    for number, step in enumerate(steps):
        line = Text("      " if number else "Next: ", style="" if number else "bold")
        command = Text.assemble((f"{step.command:<{column}}", ""))
        room = width - len(line) - column
        if step.why and len(step.why) <= room:
            command.append(step.why, style="dim")
        command.rstrip()
        lines.append(Text.assemble(line, command))
    return lines
