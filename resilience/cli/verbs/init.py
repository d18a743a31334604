"""Show what would be written to set this repository up, and write it where asked to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from resilience.cli.demand import on_demand
from resilience.cli.group import verb

with on_demand():
    from resilience.home import init as setting_up
    from resilience.show import terminal


app = verb()


@app.command()
def init(
    write: Annotated[
        bool, typer.Option("--write/--look", help="Write; else only show (asked for on a terminal).")
    ] = False,
) -> None:
    """Set this repository up: looks at it, shows what it would write, writes resilience.toml."""
    proposal = setting_up.inspect_repository(Path.cwd())
    for line in proposal.found:
        terminal.out.print(f"  found: {line}", markup=False)
    terminal.out.print("[bold]resilience.toml[/bold] would say:" if not write else "[bold]resilience.toml[/bold]")
    sys.stdout.write(proposal.toml + "\n")
    if not (write or _confirmed()):
        terminal.out.print("Nothing was written. To write it: resilience init --write")
        return
    if not write and _staging_exported(proposal.exported):
        proposal = proposal.with_staging_exports()
    for path in setting_up.write(proposal):
        terminal.out.print(f"Wrote {path}", markup=False)
    terminal.out.print("[bold]Next:[/bold] resilience doctor")


def _staging_exported(names: Sequence[str]) -> bool:
    """Ask whether the tests may get staging's own values: off, as many suites flush or truncate what they are given."""
    return bool(names) and typer.confirm(
        f"When staging is well, give the tests staging's own {', '.join(names)} (never over your shell's)? "
        "Many suites flush or truncate what they are given",
        default=False,
    )


def _confirmed() -> bool:
    """Ask where somebody is there to answer; elsewhere nothing is written."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return typer.confirm("Write resilience.toml and the git-ignored folder .resilience/?")
