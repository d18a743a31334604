"""Run the embedded staging by hand until Ctrl-C or the end of the input."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Verbose
from resilience.cli.output import log_to_stderr

with on_demand():
    from resilience.lab import lab as labs, shipped
    from resilience.show import terminal


app = verb()


def _scenarios() -> list[tuple[str, str]]:
    return list(shipped.scenario_titles().items())


@app.command()
def lab(
    scenario: Annotated[
        str,
        typer.Argument(
            help="The outage that `outage` begins; resilience drill -h names them.", autocompletion=_scenarios
        ),
    ] = "healthy",
    verbose: Verbose = False,
) -> None:
    """The embedded staging by hand: type a fault, see what it does.

    \b
      resilience lab
      resilience lab database-unavailable

    Then type a line, such as

    \b
      outage                                   begin the outage of the scenario
      redis refuse                             break one service by a fault
      redis healthy                            and repair it
      recovery                                 end all faults
      status                                   addresses, faults, connections
      quit

    Faults: healthy, refuse, black_hole, silent, reset, end_of_file, garbage, cut, latency, rate, http_status, flapping.

    In another shell, paste the `export` lines that it prints; then `resilience assess`
    looks at this staging, and docs/teaching.md lets it teach its stand-ins. Nothing of
    yours is touched; quit, Ctrl-C or the end of the input stops everything.
    """
    log_to_stderr(verbose)
    world = Path(tempfile.mkdtemp(prefix="resilience-lab-"))
    lines: Iterator[str] = iter(sys.stdin.readline, "")
    try:
        asyncio.run(
            labs.serve(
                scenario,
                world / "lab",
                say=lambda text: terminal.out.print(text, markup=False, soft_wrap=True),
                ask=lambda: next(lines, None),
            )
        )
    finally:
        shutil.rmtree(world, ignore_errors=True)
