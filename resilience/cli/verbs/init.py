"""Show what would be written to set this repository up, and write it where asked to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from resilience.cli.group import verb
from resilience.cli.output import leave
from resilience.home.init import inspect_repository, write as write_proposal
from resilience.show import terminal

app = verb()


@app.command()
def init(
    write: Annotated[
        bool, typer.Option("--write/--look", help="Write; else only show (asked for on a terminal).")
    ] = False,
) -> None:
    """Set this repository up: looks at it, shows what it would write, writes resilience.toml."""
    leave(_init_repository(Path.cwd(), write=write))


def _init_repository(folder: Path, *, write: bool) -> int:
    """Show what would be written for this repository, and write it where asked to."""
    proposal = inspect_repository(folder)
    for line in proposal.found:
        terminal.out.print(f"  found: {line}", markup=False)
    terminal.out.print("[bold]resilience.toml[/bold] would say:" if not write else "[bold]resilience.toml[/bold]")
    sys.stdout.write(proposal.toml + "\n")
    sure = write
    if not write and sys.stdin.isatty() and sys.stdout.isatty():
        sure = typer.confirm("Write resilience.toml and the git-ignored folder .resilience/?")
    if not sure:
        terminal.out.print("Nothing was written. To write it: resilience init --write")
        return 0
    for path in write_proposal(proposal):
        terminal.out.print(f"Wrote {path}", markup=False)
    terminal.out.print("[bold]Next:[/bold] resilience doctor")
    return 0
