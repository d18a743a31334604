"""Tell on stderr where a headless run is: a line a stage, and on a terminal what its cell says."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass

from resilience.core.records import StageName, StageStatus
from resilience.core.words import seconds


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
    """What a run is followed by: give its `tell` to `execute`."""

    def tell(self, moment: Moment) -> None:
        """Write a line where a stage has ended, and on a terminal rewrite the current one as its cell goes on."""
        live = sys.stderr.isatty()
        name = moment.stage.value.replace("_", " ")
        if moment.status is not StageStatus.STARTED:
            text = f"{seconds(moment.elapsed_s):>8}  {name}: {moment.status.value.replace('_', ' ')}"
            if moment.text:
                text += f" ({moment.text.splitlines()[0]})"
            sys.stderr.write(("\r\x1b[2K" if live else "") + text + "\n")
        elif live:
            doing = moment.text or (f"cell {moment.index} of {moment.cells}" if moment.cells else "starting")
            with suppress(OSError):
                width = os.get_terminal_size(sys.stderr.fileno()).columns
                sys.stderr.write(f"\r\x1b[2K{f'{seconds(moment.elapsed_s):>8}  {name}: {doing}'[: width - 1]}")
        sys.stderr.flush()
