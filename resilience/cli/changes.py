"""Turn looks in a row into the lines that say what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.cli.demand import on_demand

with on_demand():
    from resilience.core import steadiness as steadying, words
    from resilience.runs import runbook

if TYPE_CHECKING:
    from resilience.core.records import InfrastructureHealth
    from resilience.core.steadiness import Steadiness


class Changes:
    """Follow the services from look to look.

    A service is down after 3 bad looks of 10 and up again when at most 1 of 10 was bad; in between, or to and fro, it
    flaps.

    Status by status it tells at once; that a service is down, up or flaps only after several looks, since one bad
    look in ten is nobody's alarm.
    """

    def __init__(self) -> None:
        self._followed: dict[str, Steadiness] = {}
        self._before: dict[str, str] | None = None
        """Service → its status in the look before; None before the first."""

    @property
    def flapping(self) -> tuple[str, ...]:
        """Return the services that flap, as the next look is to know."""
        return tuple(name for name, steadiness in self._followed.items() if steadiness.flapping)

    def lines(self, health: InfrastructureHealth) -> list[str]:
        """Return what is new in this look: all of it in the first, then transitions and changed statuses, else nothing."""
        at = f"{health.started_at:%Y-%m-%d %H:%M:%SZ}"
        transitions = [f"{at} {text}" for text in self._transitions(health)]
        before, self._before = self._before, {result.name: result.status.value for result in health.services}
        if before is None:
            return [f"{at} {words.staging_line(health)}", *transitions]
        changed = [result for result in health.services if result.status.value != before.get(result.name)]
        if not changed and before.keys() == self._before.keys():
            return transitions
        return [
            *transitions,
            *(f"{at} {r.name}: {before.get(r.name)} → {r.status.value} ({words.fault_phrase(r)})" for r in changed),
            f"{at} {words.staging_line(health)}",
        ]

    def _transitions(self, health: InfrastructureHealth) -> list[str]:
        """Return which services went down, came up or began to flap by several looks; the first state known is no news."""
        told = []
        for sample in runbook.samples_of(health, "watch"):
            transition = self._followed.setdefault(sample.service, steadying.Steadiness(sample.service)).look(sample)
            if transition is not None and transition.before != "unknown":
                told.append(f"{sample.service}: {transition.before} → {transition.state}")
        return told
