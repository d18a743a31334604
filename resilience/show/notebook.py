"""Turn records into small HTML tables and texts for notebooks; every status is a word as well as a colour."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import PurePath
from typing import Any

from resilience.core.errors import ResilienceError
from resilience.core.groups import TestGroup, groups
from resilience.core.marks import (
    LOOKS,
    MODES,
    NO_ANSWER,
    OUTCOMES,
    PHASES,
    STAGES,
    STATUSES,
    VERDICTS,
    Mark,
    Tone,
    outcome_word,
)
from resilience.core.records import (
    Applied,
    ConnectivityStatus,
    Decision,
    EnvChange,
    Incident,
    InfrastructureHealth,
    Outcome,
    Plan,
    Recovery,
    RecoveryCheck,
    Restored,
    Sample,
    StageName,
    StandIn,
    TestExecutionMode,
    TestSuiteResult,
    Verdict,
)
from resilience.core.settings import ModeSettings
from resilience.core.words import (
    cause_title,
    fault_phrase,
    plural,
    recovery_line,
    result_lines,
    seconds,
    staging_line,
    tests_line,
)

_GOOD, _WARN, _BAD, _DIM = (LOOKS[tone].ink for tone in (Tone.GOOD, Tone.PARTIAL, Tone.BAD, Tone.QUIET))

# Theme colours come from JupyterLab's variables where there are any, else from the page around.
_STYLE = """<style>
.rb{font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:14px;line-height:1.45;max-width:72rem;
color:var(--jp-ui-font-color1,inherit)}
.rb .head{font-size:16px;font-weight:600;margin:.2em 0 .5em}
.rb.rb table{border-collapse:collapse;margin:.3em 0 .8em;width:auto}
.rb.rb th,.rb.rb td{text-align:left;vertical-align:top;padding:.25em .9em .25em 0;border:0;background:none;
border-bottom:1px solid var(--jp-border-color2,rgba(128,128,128,.35));white-space:normal;max-width:34rem;
overflow-wrap:anywhere}
.rb.rb th{font-weight:600;color:var(--jp-ui-font-color2,inherit);white-space:nowrap}
.rb.rb td.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.rb.rb td.line{white-space:nowrap}
.rb .pill{display:inline-block;border-radius:1em;padding:0 .65em;color:#fff;font-weight:600;white-space:nowrap}
.rb .dim{color:var(--jp-ui-font-color2,inherit);opacity:.9}
.rb ul,.rb ol{margin:.2em 0 .8em;padding-left:1.4em}
.rb.rb code,.rb.rb pre{font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:13px;background:none;
color:inherit;white-space:pre-wrap;overflow-wrap:anywhere}
.rb.rb pre{border:1px solid var(--jp-border-color2,rgba(128,128,128,.35));border-radius:4px;
padding:.5em .8em;margin:.3em 0}
.rb .box{border-left:4px solid;padding:.4em .8em;margin:.4em 0}
.rb .bar{display:flex;height:14px;border-radius:7px;overflow:hidden;max-width:40rem;
background:var(--jp-border-color2,rgba(128,128,128,.35))}
.rb .bar i{display:block;height:100%}
.rb .cell{display:inline-block;width:1.5em;height:1.5em;line-height:1.5em;text-align:center;border-radius:3px;
color:#fff;margin-right:3px;font-weight:600}
.rb .cell.todo{border:1px dashed var(--jp-ui-font-color2,currentColor);color:inherit;box-sizing:border-box}
.rb summary{cursor:pointer}
.rb.rb tr{background:none}
.rb details{margin:.3em 0}
.rb svg{vertical-align:middle}
</style>"""

_TESTS_SHOWN = 40


def html(record: object) -> str:
    """Return a record as an HTML fragment that stands alone: no script, nothing loaded, all texts escaped."""
    for kind, render in _HTML.items():
        if isinstance(record, kind):
            return page(render(record))
    return page(f"<pre>{escape(str(record))}</pre>")


def text(record: object) -> str:
    """Return a record as the lines that say it, for a terminal and for papermill's log."""
    for kind, render in _TEXT.items():
        if isinstance(record, kind):
            return "\n".join(render(record))
    return str(record)


def page(*parts: str) -> str:
    """Wrap fragments into one with our style, and keep MathJax from reading a shell's `$(…)` as a formula."""
    return f'{_STYLE}<div class="rb tex2jax_ignore mathjax_ignore">{"".join(parts)}</div>'


def head(line: str) -> str:
    return f'<div class="head">{escape(line)}</div>'


_BOXES = {"bad": Tone.BAD, "warn": Tone.PARTIAL, "good": Tone.GOOD, "unknown": Tone.UNKNOWN}


def box(message: str, *, kind: str = "note", hint: str = "") -> str:
    """Return a box that cannot be overlooked: a note, or one whose `kind` is good, warn, bad or unknown."""
    tone = _BOXES.get(kind)
    colour, sign = (LOOKS[tone].ink, f"{LOOKS[tone].sign} ") if tone else (_DIM, "")
    after = f'<br><span class="dim">What to do: </span><code>{escape(hint)}</code>' if hint else ""
    return f'<div class="box" style="border-color:{colour}"><b>{sign}{escape(message)}</b>{after}</div>'


def error(exc: BaseException) -> str:
    """Return an error as a box: what happened, and what to do."""
    if isinstance(exc, ResilienceError):
        return box(f"{type(exc).__name__}: {exc.message}", kind="bad", hint=exc.hint)
    return box(f"{type(exc).__name__}: {exc or 'no message'}", kind="bad", hint="see the run's logs/ folder")


def busy(what: str, lines: Sequence[str] = ()) -> str:
    """Return what is being done, and its latest steps."""
    steps = "".join(f"<li>{escape(line)}</li>" for line in lines[-8:])
    return head(f"{what} …") + (f"<ul>{steps}</ul>" if steps else "")


def pill(status: ConnectivityStatus) -> str:
    return _marked(STATUSES[status])


def _yes(well: bool, word: str, other: str) -> str:
    return _marked(Mark(word=word, tone=Tone.GOOD) if well else Mark(word=other, tone=Tone.BAD))


def _marked(mark: Mark) -> str:
    return _pill(mark.look.ink, mark.signed)


def spark(samples: Sequence[Sample], *, width: int = 110, height: int = 22) -> str:
    """Draw one service's response times as a line; a look that found it down is a red tick across the full height."""
    if len(samples) < 2:
        return ""
    times = [sample.response_time_s or 0.0 for sample in samples]
    top = max(times) or 1.0
    step = width / max(len(samples) - 1, 1)
    points, marks = [], []
    for position, (sample, value) in enumerate(zip(samples, times, strict=True)):
        x = position * step
        if sample.status in (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.UNKNOWN):
            marks.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}" stroke="{_BAD}" stroke-width="2.5"/>')
        else:
            points.append(f"{x:.1f},{height - 2 - (height - 4) * value / top:.1f}")
    line = (
        f'<polyline points="{" ".join(points)}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        if len(points) > 1
        else "".join(
            f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="2" fill="currentColor"/>' for p in points
        )
    )
    label = f"{plural(len(samples), 'look')}, slowest {seconds(max(times))}, {len(marks)} failed"
    return (
        f'<svg width="{width}" height="{height}" viewBox="-2 0 {width + 4} {height}" role="img" aria-label="{label}">'
        f"<title>{label}</title>{''.join(marks)}{line}</svg>"
    )


def health_view(health: InfrastructureHealth, samples: Sequence[Sample] = ()) -> str:
    """Return the status table, with a trend per service where there are samples, and the causes below it."""
    by_service: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.target == "staging":
            by_service.setdefault(sample.service, []).append(sample)
    trend = any(len(found) > 1 for found in by_service.values())
    rows = []
    for result in health.services:
        well = result.status is ConnectivityStatus.AVAILABLE
        configured = result.status is not ConnectivityStatus.NOT_CONFIGURED
        found = "" if well or not configured else fault_phrase(result)
        if result.never_reached and not well and configured:
            found += "; never yet reached from this host"
        name = escape(result.name) + (' <span class="dim">critical</span>' if result.critical else "")
        row = [
            ("line", name),
            ("line", pill(result.status)),
            ("num", escape(seconds(result.response_time_s)) if configured else ""),
            ("", escape(found or (result.detail if not configured else ""))),
            ("", f"<code>{escape(result.endpoint)}</code>" if result.endpoint else ""),
        ]
        if trend:
            row.append(("line", spark(by_service.get(result.name, [])[-40:])))
        rows.append(row)
    columns = ["Service", "Status", "Answered in", "What was found", "Endpoint", *(["Trend"] if trend else [])]
    where = (
        f'<div class="dim">seen from {escape(health.vantage.host)} at {health.started_at:%H:%M:%S} UTC, '
        f"in {escape(seconds(health.duration_s))}</div>"
    )
    phases = _details("Where the time went, phase by phase", phases_view(health))
    return head(staging_line(health)) + _table(columns, rows) + causes_view(health) + phases + where


def phases_view(health: InfrastructureHealth) -> str:
    """Return a waterfall: per service, when each phase of the probe ended, on one logarithmic axis from 0.1 ms."""
    asked = [result for result in health.services if result.response_time_s]
    if not asked:
        return ""
    left, width, row, floor = 120, 520, 20, 1e-4
    decades = max(1, math.ceil(math.log10(max(result.response_time_s or floor for result in asked) / floor)))

    def x(elapsed_s: float) -> float:
        return left + width * min(1.0, math.log10(max(elapsed_s, floor) / floor) / decades)

    marks = []
    for decade in range(decades + 1):
        at = x(floor * 10**decade)
        marks.append(
            f'<line x1="{at:.0f}" x2="{at:.0f}" y1="4" y2="{4 + row * len(asked)}" stroke="currentColor" opacity="0.15"/>'
            f'<text x="{at:.0f}" y="{row * len(asked) + 18}" text-anchor="middle" opacity="0.7">'
            f"{escape(seconds(floor * 10**decade))}</text>"
        )
    for number, result in enumerate(asked):
        top, elapsed = 6 + row * number, 0.0
        marks.append(f'<text x="{left - 8}" y="{top + 11}" text-anchor="end">{escape(result.name)}</text>')
        for name, mark in PHASES.items():
            took = getattr(result.phases, f"{name}_s")
            if took:
                marks.append(_bar(x(elapsed), x(elapsed + took), top, mark.fill, f"{mark.word} {seconds(took)}"))
                elapsed += took
        total = result.response_time_s or 0.0
        if result.fault is not None and total > elapsed:
            phase = result.phase.value.replace("_", " ") if result.phase else "phase"
            marks.append(
                _bar(x(elapsed), x(total), top, NO_ANSWER.fill, f"{phase} not finished after {seconds(total)}")
            )
        marks.append(f'<text x="{x(total) + 6:.0f}" y="{top + 11}">{escape(seconds(total))}</text>')
    legend = " ".join(
        f'<span style="border-left:0.8em solid {mark.fill};padding-left:0.3em;margin-right:0.8em">{escape(mark.word)}</span>'
        for mark in (*PHASES.values(), NO_ANSWER)
    )
    height = row * len(asked) + 24
    return (
        f'<svg width="{left + width + 80}" height="{height}" style="max-width:100%" font-size="12" fill="currentColor" '
        f'role="img" aria-label="time since each probe began, by phase">{"".join(marks)}</svg>'
        f'<div class="dim">{legend}</div><div class="dim">Time since the probe began, on a logarithmic axis.</div>'
    )


def _bar(start: float, end: float, top: float, colour: str, title: str) -> str:
    width = max(1.5, end - start)
    return (
        f'<rect x="{start:.1f}" y="{top}" width="{width:.1f}" height="14" fill="{colour}">'
        f"<title>{escape(title)}</title></rect>"
    )


def causes_view(health: InfrastructureHealth) -> str:
    """Return the causes, each with its evidence and the next thing to do."""
    parts = []
    for cause in health.causes:
        evidence = "".join(f"<li>{escape(line)}</li>" for line in cause.evidence)
        name = cause_title(cause.cause)
        issue = f" ({escape(cause.issue)})" if cause.issue else ""
        parts.append(
            f"<b>Likely cause: {escape(name)}{issue}</b> — {escape(', '.join(cause.services))}<ul>{evidence}</ul>"
            + (f'<div><span class="dim">Next: </span>{escape(cause.next)}</div>' if cause.next else "")
        )
    return "".join(f'<div class="box" style="border-color:{_WARN}">{part}</div>' for part in parts)


def decision_view(decision: Decision) -> str:
    """Return the mode, why, and what is held back."""
    parts = [head(tests_line(decision)), _list(decision.reasons)]
    if decision.forced and decision.would_be:
        parts.append(
            box(
                f"mode {decision.mode.value} was asked for by {decision.asked_by or 'a person'}; "
                f"by health it would be {decision.would_be.value}",
                kind="warn",
            )
        )
    if decision.held:
        parts.append("<b>Held back</b>" + _list(f"{name}: {why}" for name, why in decision.held.items()))
    return "".join(parts)


def modes_view(modes: Mapping[TestExecutionMode, ModeSettings], chosen: TestExecutionMode | None = None) -> str:
    """Return what each mode would run, with the chosen one marked."""
    rows = []
    for mode in TestExecutionMode:
        known = modes.get(mode)
        commands = "".join(
            f"<div><code>{escape(command)}</code></div>" for command in (known.commands if known else ())
        )
        mark = _pill(_GOOD, "✓ chosen") if mode is chosen else ""
        select = f"<code>{escape(known.select)}</code>" if known and known.select else ""
        rows.append(
            [
                ("line", f"<b>{escape(mode.value)}</b> {mark}"),
                ("", MODES[mode].meaning),
                ("", commands or '<span class="dim">no command is configured</span>'),
                ("", select),
            ]
        )
    selects = any(known.select for known in modes.values())
    columns = ["Mode", "Means", "Would run", *(["Selected by"] if selects else [])]
    return _table(columns, (row[: len(columns)] for row in rows))


def plan_view(plan: Plan, *, carried_out: bool = False) -> str:
    """Return all that apply would do, how to undo it, and how to do it by hand."""
    state = "carried out, see below" if carried_out else "nothing has been done yet"
    parts = [head(f"PLAN: mode {plan.mode.value}, {plural(len(plan.steps), 'step')}; {state}")]
    parts.append(f"<ol>{''.join(f'<li>{escape(step)}</li>' for step in plan.steps)}</ol>")
    if plan.changes:
        title = f"{plural(len(plan.changes), 'variable')} in {PurePath(plan.env_file).name or 'the env file'}"
        parts.append(_details(title, _changes(plan.changes), is_open=len(plan.changes) <= 6))
    commands = "\n".join(command.command for command in plan.commands)
    if commands:
        parts.append(f"<b>Tests</b><pre>{escape(commands)}</pre>")
    if plan.select:
        parts.append(f"<div>selected by <code>{escape(plan.select)}</code></div>")
    if plan.held_markers:
        parts.append(
            "<b>Tests held back</b>" + _list(f"marked {name}: {why}" for name, why in plan.held_markers.items())
        )
    if plan.undo:
        parts.append("<b>Undo</b>" + _list(plan.undo))
    parts.append(_by_hand(plan.by_hand))
    parts.extend(box(note) for note in plan.notes)
    return "".join(parts)


def applied_view(applied: Applied) -> str:
    """Return what was applied, stand-in by stand-in."""
    ready = [stand_in for stand_in in applied.stand_ins if stand_in.ready]
    if applied.failed:
        line = f"APPLIED with gaps: no stand-in for {', '.join(applied.failed)} (mode {applied.mode.value})"
    elif not applied.stand_ins and not applied.changes:
        line = f"APPLIED: nothing had to be changed (mode {applied.mode.value})"
    else:
        count = plural(len(ready), "stand-in")
        line = f"APPLIED: {count} ready in {seconds(applied.duration_s)} (mode {applied.mode.value})"
    parts = [head(line)]
    if applied.stand_ins:
        parts.append(
            _table(["Stand-in for", "Ready", "Provided by", "Endpoint", "Start"], map(_stand_in, applied.stand_ins))
        )
    if applied.redecided:
        parts.append(box("A stand-in did not come up, so the mode was chosen again.", kind="warn"))
    if applied.env_file:
        name = escape(PurePath(applied.env_file).name)
        parts.append(f"<div>Wrote <code>{name}</code>; undo with <code>resilience restore</code></div>")
    parts.append(_details(plural(len(applied.steps), "step"), _list(applied.steps)) if applied.steps else "")
    return "".join(parts)


def progress_view(
    counts: Mapping[str, int], *, done: int, total: int, current: str = "", note: str = "", failures: Sequence[str] = ()
) -> str:
    """Return a running test run: a bar, the counts, the test in flight and the failures so far."""
    well = sum(counts.get(name, 0) for name in ("passed", "xfailed", "xpassed", "skipped"))
    lost = max(done - well, 0)
    whole = max(total, done, 1)
    bar = "".join(
        f'<i style="width:{100 * part / whole:.2f}%;background:{colour}"></i>'
        for part, colour in ((well, _GOOD), (lost, _WARN))
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
        parts.append("<b>Failed so far</b>" + _list(failures[-8:], code=True))
    return "".join(parts)


def tests_view(result: TestSuiteResult) -> str:
    """Return the verdict first, then the counts, then each test that needs a person."""
    lines = result_lines(result)
    kind = next(kind for kind, tone in _BOXES.items() if tone is VERDICTS[result.verdict].tone)
    parts = [box(lines[0].strip(), kind=kind), *(f"<div>{escape(line.strip())}</div>" for line in lines[1:])]
    parts.append(f'<div class="dim">in {escape(seconds(result.duration_s))}, exit code {result.exit_code}</div>')
    found = groups(result)
    parts.extend(_tests(group, is_open=group.messages or group is found[0]) for group in found)
    if result.reached:
        rows = [
            [
                ("line", escape(reached.service)),
                ("num", "–" if reached.connections is None else f"{reached.connections:,}"),
                ("", escape(reached.detail)),
            ]
            for reached in result.reached
        ]
        proof = _table(["Stand-in", "Connections by tests", "Detail"], rows)
        parts.append(_details("Did the tests reach the stand-ins?", proof))
    parts.extend(box(note) for note in result.notes)
    return "".join(parts)


def gauge(in_a_row: int, needed: int, checks: Sequence[RecoveryCheck] = ()) -> str:
    """Draw n of m good checks as a row of cells, with the latest reason of a bad one."""
    cells = "".join(
        f'<span class="cell" style="background:{_GOOD}">✓</span>'
        if position < in_a_row
        else '<span class="cell todo">·</span>'
        for position in range(max(needed, in_a_row if in_a_row <= 12 else needed))
    )
    last = next((check for check in reversed(checks) if not check.good), None)
    why = f'<div class="dim">last bad check at {last.at:%H:%M:%S} UTC: {escape(last.why)}</div>' if last else ""
    label = f"{in_a_row} of {needed} good checks in a row"
    if in_a_row > needed:
        label = f"{in_a_row} good checks in a row, {needed} needed"
    return f'<div role="img" aria-label="{label}">{cells} <b>{label}</b></div>{why}'


def recovery_view(recovery: Recovery) -> str:
    """Return whether staging is back, as a gauge and a sentence."""
    note = (
        box("Staging is back.", kind="good")
        if recovery.recovered
        else box("Staging is not proved to be back.", kind="warn", hint="run this stage again later")
    )
    row = _table(
        ["At (UTC)", "Look", "In a row", "Why"],
        [
            [
                ("line", f"{check.at:%H:%M:%S}"),
                (
                    "line",
                    _pill(_GOOD, f"{LOOKS[Tone.GOOD].sign} good")
                    if check.good
                    else _pill(_BAD, f"{LOOKS[Tone.BAD].sign} bad"),
                ),
                ("num", str(check.in_a_row)),
                ("", escape(check.why)),
            ]
            for check in recovery.checks[-12:]
        ],
    )
    return (
        head(recovery_line(recovery))
        + gauge(recovery.in_a_row, recovery.good_needed, recovery.checks)
        + note
        + _details(plural(len(recovery.checks), "check"), row)
    )


def restored_view(restored: Restored) -> str:
    """Return what restoring found and did."""
    if restored.nothing_to_do:
        return head("RESTORED: nothing had been applied, so there was nothing to put back")
    parts = [
        head("RESTORED: every file is as it was, to the byte" if restored.identical else "RESTORED, but look below")
    ]
    parts.append(_list(restored.steps or tuple(f"stopped the stand-in {name}" for name in restored.stopped)))
    if restored.kept_copies:
        parts.append(box("Edited files were kept as copies: " + ", ".join(restored.kept_copies), kind="warn"))
    if restored.shell_variables:
        names = " ".join(restored.shell_variables)
        parts.append(box(f"This shell still has {names} set.", kind="warn", hint='eval "$(resilience env --unset)"'))
    return "".join(parts)


def incident_view(incident: Incident, files: Sequence[PurePath] = ()) -> str:
    """Return the run at a glance: stages, verdict, and where its files are."""
    rows = []
    for name in StageName:
        stage = incident.stage(name)
        if stage is None:
            rows.append([("line", name.value), ("line", '<span class="dim">not yet</span>'), ("num", ""), ("", "")])
            continue
        took = (stage.finished_at - stage.started_at).total_seconds() if stage.finished_at else None
        said = " ".join(
            filter(None, (stage.error, f"in cell {stage.cell}" if stage.cell else "", stage.hint, stage.note))
        )
        rows.append(
            [
                ("line", name.value),
                ("line", _marked(STAGES[stage.status])),
                ("num", escape(seconds(took))),
                ("", escape(said)),
            ]
        )
    drill = (
        box(f"A drill ({incident.drill}): nothing here says anything about staging.", kind="warn")
        if incident.drill
        else ""
    )
    listed = _details(plural(len(files), "file"), _list((path.name for path in files), code=True)) if files else ""
    code = "" if incident.exit_code is None else f", exit code {incident.exit_code}"
    return (
        head(f"RUN {incident.run}: {_verdict(incident)}{code}")
        + drill
        + _table(["Stage", "Status", "Took", "Note"], rows)
        + listed
    )


def by_hand_view(lines: Sequence[str]) -> str:
    """Return how to do a step by hand."""
    return _by_hand(lines)


def _pill(colour: str, words: str) -> str:
    return f'<span class="pill" style="background:{colour}">{escape(words)}</span>'


def _table(columns: Sequence[str], rows: Iterable[Sequence[tuple[str, str]]]) -> str:
    top = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{kind}">{cell}</td>' if kind else f"<td>{cell}</td>" for kind, cell in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _list(lines: Iterable[str], *, code: bool = False) -> str:
    items = "".join(f"<li><code>{escape(x)}</code></li>" if code else f"<li>{escape(x)}</li>" for x in lines)
    return f"<ul>{items}</ul>" if items else ""


def _details(title: str, body: str, *, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{escape(title)}</summary>{body}</details>" if body else ""


def _by_hand(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return _details("The same by hand", f"<pre>{escape(chr(10).join(lines))}</pre>")


def _changes(changes: Sequence[EnvChange]) -> str:
    def shown(value: str | None) -> str:
        return '<span class="dim">unset</span>' if value is None else f"<code>{escape(value)}</code>"

    rows = [[("line", f"<code>{escape(c.name)}</code>"), ("", shown(c.before)), ("", shown(c.after))] for c in changes]
    return _table(["Variable", "Before", "After"], rows)


def _stand_in(stand_in: StandIn) -> list[tuple[str, str]]:
    said = stand_in.error or "; ".join(stand_in.gaps)
    return [
        ("line", escape(stand_in.service)),
        (
            "line",
            _pill(_GOOD, f"{LOOKS[Tone.GOOD].sign} ready")
            if stand_in.ready
            else _pill(_BAD, f"{LOOKS[Tone.BAD].sign} not ready"),
        ),
        ("", escape(f"{stand_in.provider} {stand_in.version}".strip()) + (f"<br>{escape(said)}" if said else "")),
        ("", f"<code>{escape(stand_in.endpoint)}</code>"),
        ("num", escape(seconds(stand_in.start_s + stand_in.prepare_s))),
    ]


def _tests(group: TestGroup, *, is_open: bool = False) -> str:
    """Return one group as a table, cut to what a notebook can hold; the rest is counted."""
    rows = []
    for test in group.tests[:_TESTS_SHOWN]:
        said = test.message or test.reason or ""
        rows.append(
            [
                ("", f"<code>{escape(test.id)}</code>"),
                ("line", _marked(OUTCOMES[test.outcome])),
                ("line", escape(test.service or "")),
                ("", escape(said[:300])),
            ]
        )
    more = (
        f'<div class="dim">and {len(group.tests) - _TESTS_SHOWN:,} more, in junit.xml</div>'
        if len(group.tests) > _TESTS_SHOWN
        else ""
    )
    table = _table(["Test", "Outcome", "Service", "Said"], rows)
    meaning = f'<div class="dim">{escape(group.meaning)}</div>'
    return _details(f"{group.title} ({len(group.tests):,})", meaning + table + more, is_open=is_open)


def _health_text(health: InfrastructureHealth) -> list[str]:
    lines = [staging_line(health)]
    for result in health.services:
        answered = seconds(result.response_time_s)
        lines.append(f"  {result.name:<14} {STATUSES[result.status].word:<15} {answered:>9}  {fault_phrase(result)}")
    for cause in health.causes:
        lines.append(f"  likely cause: {cause_title(cause.cause)} ({', '.join(cause.services)}); next: {cause.next}")
    return lines


def _tests_text(result: TestSuiteResult) -> list[str]:
    return [
        *result_lines(result),
        *(
            f"  {OUTCOMES[test.outcome].word}: {test.id}"
            for group in groups(result)
            for test in group.tests
            if test.outcome is not Outcome.PASSED
        ),
    ]


def _incident_text(incident: Incident) -> list[str]:
    stages = [
        f"  {stage.name.value:<18} {STAGES[stage.status].word:<12} {stage.error or stage.note}"
        for stage in incident.stages
    ]
    return [f"RUN {incident.run}: {_verdict(incident)}", *stages]


def _verdict(incident: Incident) -> str:
    return "no verdict yet" if incident.verdict is Verdict.RUNNING else VERDICTS[incident.verdict].word


_HTML: dict[type, Callable[[Any], str]] = {
    InfrastructureHealth: health_view,
    Decision: decision_view,
    Plan: plan_view,
    Applied: applied_view,
    TestSuiteResult: tests_view,
    Recovery: recovery_view,
    Restored: restored_view,
    Incident: incident_view,
    BaseException: error,
}

_TEXT: dict[type, Callable[[Any], list[str]]] = {
    InfrastructureHealth: _health_text,
    Decision: lambda decision: [tests_line(decision), *(f"  - {reason}" for reason in decision.reasons)],
    Plan: lambda plan: [f"PLAN: mode {plan.mode.value}", *(f"  {n}. {step}" for n, step in enumerate(plan.steps, 1))],
    Applied: lambda applied: [
        f"APPLIED: mode {applied.mode.value}",
        *(f"  {s.service}: {'ready' if s.ready else s.error} ({s.provider})" for s in applied.stand_ins),
    ],
    TestSuiteResult: _tests_text,
    Recovery: lambda recovery: [recovery_line(recovery)],
    Restored: lambda restored: [
        "RESTORED: nothing to do" if restored.nothing_to_do else "RESTORED",
        *(f"  {step}" for step in restored.steps),
    ],
    Incident: _incident_text,
    ResilienceError: lambda exc: [f"{type(exc).__name__}: {exc}"],
}
