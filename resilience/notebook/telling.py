"""Tell on stderr where a headless run is: a line a stage, and on a terminal what its cell says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from resilience.core.records import Incident, StageName, StageStatus
from resilience.core.words import listing, recovery_line, seconds, staging_line, tests_line, totals_line
from resilience.show import sticky, terminal

COUNTS = "tests: "
"""How a line of counters begins, by which it is told from what the tests print themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Where a headless run is: which stage, which of its cells, and the last line that cell showed."""

    stage: StageName
    status: StageStatus
    cell: str = ""
    index: int = 0
    cells: int = 0
    text: str = ""
    elapsed_s: float = 0.0


class Teller:
    """What a run is followed by: give its `tell` to `execute`.

    A stage that ended is a line, with what was found or decided in it as `came_of` says; what its cell does stands at the
    foot of the terminal meanwhile. `began` (monotonic) is where its clock starts, else at the run's.
    """

    def __init__(self, came_of: Callable[[StageName], str] | None = None, *, began: float | None = None) -> None:
        self._came_of, self._began = came_of, began
        self._counting: StageName | None = None

    def tell(self, moment: Moment) -> None:
        """Write a line where a stage has ended; else say at the foot of the terminal what its cell does."""
        name = moment.stage.value.replace("_", " ")
        elapsed = moment.elapsed_s if self._began is None else monotonic() - self._began
        if moment.status is StageStatus.STARTED:
            self._say(moment, name)
            return
        told = ""
        if moment.status is StageStatus.FINISHED and self._came_of is not None:
            told = self._came_of(moment.stage)
        text = f"{seconds(elapsed):>8}  {name}: {told or moment.status.value.replace('_', ' ')}"
        if moment.text:
            text += f" ({moment.text.splitlines()[0]})"
        terminal.say(text, console=terminal.err)

    def _say(self, moment: Moment, name: str) -> None:
        """Say the stage and how far it is; once tests are counted, what they print themselves would only flicker."""
        line = sticky.current()
        if line is None:
            return
        counts = moment.text.startswith(COUNTS)
        if counts:
            self._counting = moment.stage
        elif self._counting is moment.stage:
            return
        line.say(name)
        line.far(" ".join(moment.text.removeprefix(COUNTS).split()))


def came_of(stage: StageName, incident: Incident) -> str:
    """Return what a stage found, decided or did, in one line; empty where there is nothing to tell."""
    match stage:
        case StageName.ASSESS if incident.health is not None:
            return staging_line(incident.health)
        case StageName.CHOOSE_MODE if incident.decision is not None:
            return tests_line(incident.decision)
        case StageName.APPLY_FALLBACK if incident.applied is not None:
            ready = [stand_in.service for stand_in in incident.applied.stand_ins if stand_in.ready]
            return f"stand-ins are ready for {listing(ready)}; {incident.applied.env_file or 'no env file'} was written"
        case StageName.RUN_TESTS if incident.tests is not None:
            return totals_line(incident.tests.totals)
        case StageName.VALIDATE_RECOVERY if incident.recovery is not None:
            restored = incident.restored is not None and incident.restored.identical
            return recovery_line(incident.recovery) + ("; everything is put back to the byte" if restored else "")
    return ""
