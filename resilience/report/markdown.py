"""Turn a view into Markdown that fits a GitHub comment and in which no text of a service means anything.

Order of cutting, until it fits 60,000 characters: 1. parameters and versions; 2. tests that passed on a later round and all
test messages beyond three lines; 3. lists of tests beyond 40 each, the timeline beyond 60 rows; 4. phases and the diagram;
5. lists beyond 10, messages beyond one line, changes of the environment; 6. lists of tests altogether. The verdict, what was
down, the totals and what people wrote are never cut (what people wrote beyond 20,000 characters stays in the file on disk
under its name of before).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from resilience.core.groups import TestGroup
from resilience.core.marks import LOOKS, STAGES, STATUSES, outcome_word, verdict_word
from resilience.core.records import ConnectivityStatus
from resilience.core.words import cause_title, plural, seconds
from resilience.report.mermaid import gantt
from resilience.report.series import Stats
from resilience.report.texts import code, fence, hint, prose, shorten
from resilience.report.view import PEOPLE, View
from resilience.report.view.formats import percent, span, when
from resilience.report.view.headline import failed_stages
from resilience.report.view.suites import SuiteView

LIMIT = 60_000
"""Characters; GitHub refuses a comment of more than 65,536."""
NOBODY = "_Nobody has written here yet. What stands between these marks survives when the report is made again._"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How much is shown at one level of cutting."""

    details: bool = True
    retried: bool = True
    tests: int = 400
    rows: int = 400
    message_lines: int = 12
    message_chars: int = 1_200
    phases: bool = True
    changes: bool = True
    says: str = ""


LEVELS = (
    Cut(),
    Cut(details=False, says="parameters and versions"),
    Cut(
        details=False, retried=False, message_lines=3, message_chars=400, says="long messages, tests that passed later"
    ),
    Cut(
        details=False,
        retried=False,
        tests=40,
        rows=60,
        message_lines=3,
        message_chars=300,
        says="lists beyond 40 tests",
    ),
    Cut(
        details=False,
        retried=False,
        tests=40,
        rows=60,
        message_lines=3,
        message_chars=300,
        phases=False,
        says="lists beyond 40 tests, phases, the diagram",
    ),
    Cut(
        details=False,
        retried=False,
        tests=10,
        rows=30,
        message_lines=1,
        message_chars=160,
        phases=False,
        changes=False,
        says="lists beyond 10 tests, phases, the diagram, changes of the environment",
    ),
    Cut(
        details=False,
        retried=False,
        tests=0,
        rows=15,
        message_lines=1,
        message_chars=160,
        phases=False,
        changes=False,
        says="all lists of tests, phases, the diagram, changes of the environment",
    ),
)


def markdown(view: View, *, limit: int = LIMIT) -> str:
    """Return the report as GitHub-flavoured Markdown of at most `limit` characters, cut in the order stated above."""
    text = ""
    for level in LEVELS:
        text = _render(view, level)
        if len(text) <= limit:
            return text
    # Only absurdly many services or causes come here; the head says what matters, so it is what stays.
    tail = "\n\n_Cut here to fit a GitHub comment; all of it is in `report.html`._\n"
    return text[: limit - len(tail)].rsplit("\n\n", 1)[0] + tail


def _render(view: View, cut: Cut) -> str:
    parts: list[str] = [
        f"# {_plain(view.title)}",
        f"**{LOOKS[view.verdict_kind].sign} {prose(view.verdict)}**",
        "  \n".join(_sentence(line) for line in view.lines),
    ]
    if view.incident.drill:
        parts.append(
            "> This was a drill: “staging” was an embedded lab on one machine, broken on purpose. The servers, the probes "
            "and the tests were real."
        )
    if view.missing:
        parts.append("> **Missing from this report:**\n" + "\n".join(f"> - {prose(one)}" for one in view.missing))
    for one in failed_stages(view.incident):
        parts.append(f"**The runbook stopped:** {prose(one)}")
    parts.append(_table(("", ""), [(f"**{name}**", prose(value)) for name, value in view.facts]))
    if view.figures:
        parts.append(_table(("", "", "reckoned"), [(f"**{a}**", b, c) for a, b, c in view.figures]))
    parts += _down(view)
    parts += _timeline(view, cut)
    for suite in view.suites:
        parts += _suite(suite, cut)
    parts += _latency(view, cut)
    parts += _changes(view, cut)
    parts += _notices(view)
    parts += _past(view)
    parts += _people(view)
    if cut.details:
        parts += _details(view)
    end = "Made from `incident.json` and `samples.csv`; charts and all details are in `report.html`. All times are UTC."
    if cut.says:
        end += f" Cut to fit a GitHub comment: {cut.says}."
    parts.append(f"<sub>{end}</sub>")
    return "\n\n".join(part for part in parts if part) + "\n"


def _plain(text: str) -> str:
    return prose(text.replace("“", "").replace("”", ""))


def _sentence(line: str) -> str:
    head, colon, rest = line.partition(": ")
    return f"**{prose(head)}:** {prose(rest)}" if colon and head.isupper() else prose(line)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _folded(title: str, body: str, *, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{title}</summary>\n\n{body}\n\n</details>"


def _down(view: View) -> list[str]:
    health = view.incident.health
    if health is None:
        return ["## What was down", "Nothing is known: the services were not assessed."]
    rows = []
    for row in view.services:
        rows.append(
            (
                f"**{prose(row.first.name)}**" + (" (critical)" if row.first.critical else ""),
                STATUSES[row.first.status].signed,
                prose(row.why)
                if row.first.status is not ConnectivityStatus.AVAILABLE
                else seconds(row.first.response_time_s),
                when(row.since),
                span(row.down_s) if row.down_s is not None else "–",
                STATUSES[row.now].signed,
                prose(row.stand_in) if row.stand_in else "–",
            )
        )
    parts = ["## What was down"]
    head = ("service", "at first look", "why", "since (UTC)", "for", "now", "stand-in")
    parts.append(_table(head, rows))
    for cause in health.causes:
        evidence = "\n".join(f"- {code(one)}" for one in cause.evidence)
        names = ", ".join(prose(name) for name in cause.services)
        issue = f" (see {code(cause.issue)})" if cause.issue else ""
        parts.append(
            f"**Likely cause: {prose(cause_title(cause.cause))}** for {names}{issue}\n\n{evidence}\n\n"
            f"Next: {hint(cause.next)}"
        )
    told = []
    for row in view.services:
        result = row.first
        if result.status in (ConnectivityStatus.AVAILABLE, ConnectivityStatus.NOT_CONFIGURED):
            continue
        text = f"**{prose(result.name)}** at {code(result.endpoint)}"
        if result.fault:
            text += f": {code(result.fault.value)}" + (f" in phase {code(result.phase.value)}" if result.phase else "")
        lines = [text]
        if result.expected or result.found:
            lines.append(f"- expected {code(result.expected)}, found {code(result.found)}")
        if result.detail:
            lines.append(f"- {code(shorten(result.detail, 300))}")
        if result.hint:
            lines.append(f"- {hint(result.hint)}")
        if result.never_reached:
            lines.append("- never yet reached from this host, so it may never have worked from here")
        told.append("\n".join(lines))
    if told:
        parts.append(_folded("Evidence by service", "\n\n".join(told)))
    if view.incident.decision is not None and view.incident.decision.reasons:
        reasons = "\n".join(f"- {prose(one)}" for one in view.incident.decision.reasons)
        parts.append(f"**Why mode {prose(view.incident.decision.mode.value)}:**\n\n{reasons}")
    return parts


def _timeline(view: View, cut: Cut) -> list[str]:
    if not view.timeline:
        return []
    rows = view.timeline
    left_out = ""
    if len(rows) > cut.rows:
        half = cut.rows // 2
        left_out = f"\n\n_{len(rows) - 2 * half} rows between are left out; they are in `incident.json`._"
        rows = (*rows[:half], *rows[-half:])
    several_days = view.timeline[0].at.date() != view.timeline[-1].at.date()
    table = _table(
        ("UTC", "what", "", "data"),
        (
            (
                when(row.at, day=several_days),
                prose(row.what),
                prose(shorten(row.detail, 200)) if row.detail else "",
                code(row.link) if row.link else "",
            )
            for row in rows
        ),
    )
    parts = ["## Timeline", f"On {view.timeline[0].at:%Y-%m-%d}, UTC.\n\n{table}{left_out}"]
    if cut.phases and (diagram := gantt(view)):
        parts.append(f"```mermaid\n{diagram}\n```")
        parts.append(
            "<sub>Red: unavailable. Dark: degraded, or another mode than full. Pale: available. "
            "The same stands in the tables.</sub>"
        )
    return parts


def _suite(suite: SuiteView, cut: Cut) -> list[str]:
    result = suite.result
    parts = [f"## {suite.title}", prose(suite.sentence)]
    parts.append(_table(("outcome", "tests"), ((outcome_word(name), f"{count:,}") for name, count in suite.totals)))
    for group in suite.groups:
        if group.key == "retried" and not cut.retried:
            continue
        parts.append(_group(group, cut))
    commands = _table(
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
        parts.append(_folded(f"What was run ({plural(len(result.commands), 'command')})", commands))
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
        body = _table(("test", "service", "fault", "rounds", "said"), rows)
        if rest:
            body += f"\n\n_… and {rest:,} more in `junit.xml`._"
        return head + "\n\n" + _folded(f"{plural(len(group.tests), 'test')}", body)
    items = []
    for test in shown:
        note = f" ({test.service})" if test.service else ""
        item = f"- {code(shorten(test.id, 300))}{prose(note) and ' ' + prose(note) if note else ''}"
        if test.previous:
            item += f", at first {code(shorten(test.previous, 120))}"
        if test.message:
            said = "\n".join(shorten(line, 300) for line in test.message.splitlines()[: cut.message_lines])
            item += "\n\n" + _indented(fence(shorten(said, cut.message_chars)))
        items.append(item)
    if rest:
        items.append(f"- _… and {rest:,} more in `junit.xml`._")
    return head + "\n\n" + "\n".join(items)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _stats(stats: Stats) -> tuple[str, str]:
    if not stats.samples:
        return "–", "–"
    figures = " / ".join(seconds(value) for value in (stats.p50_s, stats.p95_s, stats.max_s))
    return ("no answer" if stats.p50_s is None else figures), percent(stats.loss)


def _latency(view: View, cut: Cut) -> list[str]:
    if not view.latency:
        return []
    if view.window is None:
        plain = [(prose(row.service), *_stats(row.before), f"{row.before.samples:,}") for row in view.latency]
        table = _table(("service", "p50 / p95 / max", "loss", "samples"), plain)
    else:
        head = ("service", "before: p50 / p95 / max", "loss", "during", "loss", "after", "loss")
        table = _table(
            head,
            (
                (prose(row.service), *_stats(row.before), *_stats(row.during), *_stats(row.after))
                for row in view.latency
            ),
        )
    parts = [
        "## Latency",
        "Of answered probes of staging, from this vantage; loss is the share that got no good answer.\n\n" + table,
    ]
    if view.phases and cut.phases:
        rows = []
        for phase in view.phases:
            spent = ", ".join(f"{name} {seconds(value)}" for name, value in phase.parts) or "–"
            if phase.status is ConnectivityStatus.UNAVAILABLE and phase.rest_s > 0.001:
                spent += f", then {seconds(phase.rest_s)} without an answer"
            rows.append(
                (
                    prose(phase.service),
                    phase.which,
                    when(phase.at),
                    seconds(phase.total_s),
                    spent,
                    code(phase.fault) if phase.fault else "–",
                )
            )
        parts.append(
            _folded(
                "Phases of the worst and the median probe",
                _table(("service", "probe", "UTC", "took", "phases", "fault"), rows),
            )
        )
    return parts


def _changes(view: View, cut: Cut) -> list[str]:
    applied, restored = view.incident.applied, view.incident.restored
    if applied is None:
        return ["## What was changed", "Nothing was changed on this machine."]
    parts = ["## What was changed"]
    how = f"mode {prose(applied.mode.value)}, at {when(applied.applied_at)} UTC on {code(applied.host)}"
    text = f"In {code(applied.env_file)}, {how}."
    if restored is None:
        text += " **Not restored yet**: `resilience restore` puts everything back."
    elif restored.identical:
        text += f" Restored at {when(restored.restored_at)} UTC: every byte, mode and existence as before."
    else:
        text += f" Restored at {when(restored.restored_at)} UTC, **but not identical**; see the steps."
    parts.append(text)
    if applied.failed:
        parts.append("Did not come up: " + ", ".join(code(name) for name in applied.failed) + ".")
    if applied.changes and cut.changes:
        rows = [
            (
                code(one.name),
                "–" if one.before is None else "secret" if one.secret else code(shorten(one.before, 120)),
                "removed" if one.after is None else "secret" if one.secret else code(shorten(one.after, 120)),
            )
            for one in applied.changes[:100]
        ]
        table = _table(("variable", "before", "while applied"), rows)
        parts.append(_folded(f"{plural(len(applied.changes), 'variable')} changed", table))
    steps = (*applied.steps, *(restored.steps if restored else ()))
    if steps and cut.changes:
        parts.append(_folded(plural(len(steps), "step"), "\n".join(f"1. {prose(step)}" for step in steps[:100])))
    return parts


def _notices(view: View) -> list[str]:
    if not view.incident.notices:
        return []
    rows = [
        (
            when(one.at),
            code(one.whom),
            prose(one.reason),
            code(one.label) if one.label else "–",
            code(one.issue) if one.issue else "–",
        )
        for one in view.incident.notices
    ]
    return [
        "## Whom to tell, and why",
        "Nothing has been sent.\n\n" + _table(("UTC", "whom", "why", "label", "issue"), rows),
    ]


def _past(view: View) -> list[str]:
    if len(view.past) < 2:
        return []
    rows = [
        (
            when(one.started_at, day=True),
            code(one.run),
            prose(one.host),
            prose(verdict_word(one.verdict)),
            prose(one.mode or "–"),
        )
        for one in view.past[-30:]
    ]
    title = f"This incident so far: {plural(len(view.past), 'run')}"
    return [f"## {title}", _table(("UTC", "run", "host", "verdict", "mode"), rows)]


def _people(view: View) -> list[str]:
    parts = []
    for key, title in PEOPLE.items():
        text = view.people.get(key, "").strip() or NOBODY
        parts.append(f"## {title}\n\n<!-- people:{key} -->\n{text}\n<!-- /people:{key} -->")
    return parts


def _details(view: View) -> list[str]:
    incident = view.incident
    parts = []
    if incident.stages:
        rows = []
        for stage in incident.stages:
            took = span(stage.finished_at - stage.started_at) if stage.finished_at else "–"
            status = prose(STAGES[stage.status].word)
            rows.append(
                (prose(stage.name.value), status, when(stage.started_at), took, prose(stage.note or stage.by or "–"))
            )
        parts.append(_folded("Stages", _table(("stage", "status", "UTC", "took", ""), rows)))
    pairs = [*incident.parameters.items(), *(("version of " + k, v) for k, v in incident.versions.items())]
    if pairs:
        parts.append(
            _folded("Parameters and versions", _table(("", ""), ((prose(k), code(shorten(v, 200))) for k, v in pairs)))
        )
    if incident.notes:
        parts.append("\n".join(f"- {prose(note)}" for note in incident.notes[:30]))
    return parts
