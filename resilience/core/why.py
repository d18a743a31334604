"""Turn the evidence of a test's judgement into the lines that say why it was judged so."""

from __future__ import annotations

from resilience.core.marks import BLAME, OUTCOMES, Blame
from resilience.core.records import Evidence, Outcome, SeenLook, TestOutcome
from resilience.core.words import plural

_TO_ACT = {
    Blame.PRODUCT: "the product's",
    Blame.INFRASTRUCTURE: "infrastructure's",
    Blame.UNDECIDED: "undecided: the product's or an outage's, settled when the service is back",
    Blame.GAP: "a gap of the stand-in",
    Blame.UNKNOWN: "not known",
    Blame.NONE: "nobody's: nothing failed",
}


def why_lines(test: TestOutcome, *, since: TestOutcome | None = None) -> tuple[str, ...]:
    """Return the judgement of a test, then for each round in which it failed what was seen: error, sign, endpoint, looks.

    `since` is what it came to later, on recovered staging: an undecided test that is settled waits for nothing any more.
    """
    suspect = ", suspect" if test.suspect else ""
    blame = _TO_ACT[BLAME[test.outcome]]
    if test.outcome is Outcome.UNDECIDED and since is not None and since.outcome is not Outcome.UNDECIDED:
        blame = f"settled since, on recovered staging: {OUTCOMES[since.outcome].word}, {_TO_ACT[BLAME[since.outcome]]}"
    lines = [f"{test.id}: {OUTCOMES[test.outcome].word}{suspect} ({blame})"]
    if test.where:
        lines.append(f"  at {test.where}")
    if test.reason:
        lines.append(f"  {test.reason}")
    for evidence in test.evidence:
        lines.extend(f"  {line}" for line in _round(evidence))
    if not test.evidence:
        lines.append("  no error was judged: it never failed, or never ran")
    return tuple(lines)


def _round(evidence: Evidence) -> list[str]:
    """Return one round: the rule that judged it, then the evidence in the order in which the rule asked for it.

    A line stands only where there is something to tell: an empty one would read as "looked, and nothing was there".
    """
    lines = [
        f"round {evidence.round}: {OUTCOMES[evidence.judgement].word} by rule {evidence.rule} of docs/verdict.md: "
        f"{evidence.reason}"
    ]
    if evidence.error:
        lines.append(f"  error     {evidence.error}")
    if evidence.signs:
        lines.append(f"  sign      {'; '.join(evidence.signs)}")
    if evidence.endpoint or evidence.service:
        named = f"{evidence.endpoint or 'no address'} ({evidence.service or 'no configured service'})"
        lines.append(f"  endpoint  {named}")
    if evidence.used:
        lines.append(f"  used      {', '.join(evidence.used)}" + (" (? = may have)" if _unsure(evidence) else ""))
    for when, look in (("before", evidence.before), ("during", evidence.during), ("after", evidence.after)):
        if look is not None:
            lines.append(f"  look {when:<7}{_look(look)}")
    if evidence.service:
        lines.append(f"  there     {plural(evidence.passed_there, 'other test')} of this round passed")
    if evidence.recordings:
        lines.append(f"  recorded  it {evidence.recordings}")
    return lines


def _unsure(evidence: Evidence) -> bool:
    return any(name.endswith("?") for name in evidence.used)


def _look(look: SeenLook) -> str:
    state = "unwell" if look.red else look.detail if look.fault is None else "not well"
    fault = f", {look.fault.value}" if look.fault is not None else ""
    detail = f": {look.detail}" if look.detail and (look.red or look.fault is not None) else ""
    return f"{look.at:%H:%M:%S}Z {look.service} {state or 'unknown'}{fault}{detail}"
