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
    from resilience.lab import lab as labs
    from resilience.show import terminal


app = verb()


@app.command()
def lab(scenario: Annotated[str, typer.Argument()] = "healthy", verbose: Verbose = False) -> None:
    """The embedded staging by hand: prints its variables and takes faults by name until Ctrl-C."""
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
