"""Turn an incident into the fields of a review that can be known, each empty one with the command that fills it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from resilience.core.records import ConnectivityStatus, EventKind, Incident
from resilience.core.tasks import ACKNOWLEDGED, note_of
from resilience.core.words import cause_title, listing
from resilience.report.series import Line, Window
from resilience.report.view.formats import when

_UNWELL = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.DEGRADED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeverityRule:
    """One row: the severity, when it fits, and why that is so."""

    word: str
    fits: Callable[[Incident, frozenset[str], frozenset[str]], bool]
    """Takes the incident, the critical services that were down, and all that were unwell."""
    reason: str


SEVERITIES: tuple[SeverityRule, ...] = (
    SeverityRule(
        word="1 of 4",
        fits=lambda incident, down, _: bool(down) and incident.decision is not None and incident.decision.blocked,
        reason="a critical service was down with nothing in its place: no tests could run",
    ),
    SeverityRule(
        word="2 of 4",
        fits=lambda _, down, __: bool(down),
        reason="a critical service was down: {down}",
    ),
    SeverityRule(
        word="3 of 4",
        fits=lambda incident, _, unwell: (
            bool(unwell) and (incident.tests is None or incident.tests.totals.infrastructure_unavailable > 0)
        ),
        reason="no critical service was down, and yet tests were held back or none was run",
    ),
    SeverityRule(
        word="4 of 4",
        fits=lambda _, __, unwell: bool(unwell),
        reason="services were unwell, and no test was lost to it",
    ),
)
"""The first that fits decides; 1 is the worst. It is counted from the first look, which the mode was chosen by."""


def severity(incident: Incident) -> str:
    """Return how bad it was, with the reason; nothing where staging was well or is not known."""
    health = incident.health
    if health is None:
        return ""
    unwell = frozenset(one.name for one in health.services if one.status in _UNWELL)
    down = frozenset(
        one.name for one in health.services if one.critical and one.status is ConnectivityStatus.UNAVAILABLE
    )
    rule = next((rule for rule in SEVERITIES if rule.fits(incident, down, unwell)), None)
    return f"{rule.word}: {rule.reason.format(down=listing(sorted(down)))}" if rule is not None else ""


def review(incident: Incident, lines: Sequence[Line], window: Window | None) -> tuple[tuple[str, str, str], ...]:
    """Return label, value and, where the value is empty, what to type to fill it; nothing without an outage."""
    if window is None and not severity(incident):
        return ()
    health = incident.health
    cause = cause_title(health.causes[0].cause) if health is not None and health.causes else ""
    return (
        ("Severity", severity(incident), ""),
        ("Detected by", _detected(incident, lines, window), ""),
        ("Acknowledged", _acknowledged(incident), "resilience ack" if not _over(incident) else "nobody took it"),
        ("Trigger", _trigger(incident), 'resilience note "trigger: …"'),
        ("Cause", _noted(incident, "cause") or cause, 'resilience note "cause: …"'),
        (
            "Change of a build just before",
            listing(list(builds(incident))) if any(builds(incident)) else "",
            _how(incident),
        ),
        ("Repeat of", incident.repeat_of or "no earlier outage of this kind is known", ""),
    )


def _how(incident: Incident) -> str:
    asked = incident.health is not None and any("build" in one.facts for one in incident.health.services)
    return "none was seen" if asked else "not known: no service has build_from in resilience.toml"


def _over(incident: Incident) -> bool:
    return incident.recovery is not None and incident.recovery.recovered


def _detected(incident: Incident, lines: Sequence[Line], window: Window | None) -> str:
    """Return who looked first: a watch, or the first look of a run, with the place it was made from."""
    here = f"{incident.vantage.user}@{incident.vantage.host}"
    first = next((line for line in lines if window is not None and len(line) and line.at[0] < window.start), None)
    look = "looks that went on before it began" if first is not None else "the first look of this run"
    at = incident.health.started_at if incident.health is not None else incident.started_at
    return f"{look}, from {here}; assessed at {when(at)} UTC"


def _acknowledged(incident: Incident) -> str:
    found = [event for event in incident.timeline if event.what == ACKNOWLEDGED and event.kind is EventKind.BY_HAND]
    return "; ".join(f"{when(event.at)} UTC, {event.detail}" for event in found)


def _trigger(incident: Incident) -> str:
    """Return what set it off, as far as it is known: what a person noted, what the lab broke, a build that changed."""
    noted = _noted(incident, "trigger")
    broken = [event.what for event in incident.timeline if event.kind is EventKind.LAB_FAULT]
    return (
        noted or (f"the drill broke it on purpose: {broken[0]}" if broken else "") or listing_or_none(builds(incident))
    )


def listing_or_none(found: Iterator[str]) -> str:
    names = list(found)
    return listing(names) if names else ""


def builds(incident: Incident) -> Iterator[str]:
    """Yield a sentence for each service of which another build answered than at the last good look before this run."""
    for one in incident.health.services if incident.health is not None else ():
        before, now = one.facts.get("build_before", ""), one.facts.get("build", "")
        if before and now and before != now:
            since = one.facts.get("build_seen", "")
            yield f"{one.name} went from build {before} to {now}" + (f", after {since} UTC" if since else "")


def _noted(incident: Incident, sort: str) -> str:
    found = (note_of(event.detail, sort) for event in incident.timeline if event.kind is EventKind.BY_HAND)
    return "; ".join(text for text in found if text)
