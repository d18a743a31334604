"""Turn how far a test run is into the line at the foot of the terminal, with what earlier runs of the same command took."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from resilience.cli.demand import on_demand

with on_demand():
    from resilience.core import words
    from resilience.runs import pace

if TYPE_CHECKING:
    from resilience.runs.pace import Times
    from resilience.show.sticky import Line
    from resilience.suite.records import Progress


class Progresses:
    """Called with each progress of a test run; `finish` when the run came to its end keeps how long the last command took.

    Start-up, collection and tests are told apart, each with what it took before. A command that is not pytest only starts.
    """

    def __init__(self, line: Line, file: Path, folder: Path) -> None:
        self._line, self._file, self._folder = line, file, folder
        self._last: Progress | None = None
        self._began: dict[str, float] = {}
        self._expected: Times | None = None

    def __call__(self, progress: Progress) -> None:
        if self._last is None or progress.number != self._last.number:
            self.finish()
            self._began = {}
            self._expected = pace.expected(self._file, progress.command, self._folder)
        self._last = progress
        if progress.round == 1:
            self._began.setdefault(progress.phase, monotonic())
        self._say(progress)

    def finish(self) -> None:
        """Keep how long the command took, where all of it ran in one round."""
        last, began = self._last, self._began
        if last is None or not began or (last.collected and last.finished < last.collected):
            return
        ended = monotonic()
        starting = min(began.values())
        collecting = began.get("collecting", began.get("running", ended))
        running = began.get("running", ended)
        times = pace.Times(
            start_s=max(0.0, collecting - starting),
            collect_s=max(0.0, running - collecting),
            run_s=ended - running,
            tests=last.collected,
        )
        pace.remember(self._file, last.command, self._folder, times)
        self._last = None

    def _say(self, progress: Progress) -> None:
        """Say what the command is at; in a second round nothing is expected, as what is run again differs each time."""
        before = self._expected if progress.round == 1 else None
        which = f"command {progress.number} of {progress.commands}, " if progress.commands > 1 else ""
        again = f" again (round {progress.round})" if progress.round > 1 else ""
        if progress.phase == "starting":
            pytest = before is not None and before.tests
            took = (before.start_s if pytest else before.total_s) if before is not None else None
            self._line.say(f"{which}started{again}: {progress.command}", expected_s=took)
        elif progress.phase == "collecting":
            self._line.say(f"{which}collecting tests{again}", expected_s=before.collect_s if before else None)
            self._line.far(f"{before.tests:,.0f} the last time" if before else "")
        elif progress.phase == "running":
            self._line.say(f"{which}running tests{again}", expected_s=before.run_s if before else None)
            self._line.far(how_far(progress))
        else:
            self._line.say(f"{which}{progress.note or progress.phase}")


def how_far(progress: Progress) -> str:
    return words.progress_line(
        finished=progress.finished,
        collected=progress.collected,
        counts=progress.counts,
        rate=progress.rate,
        eta_s=progress.eta_s,
        current=progress.current,
        current_s=progress.current_s,
    )
