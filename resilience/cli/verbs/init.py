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
    from resilience.home import guide_files, init as setting_up
    from resilience.show import terminal


app = verb()


@app.command()
def init(
    write: Annotated[
        bool, typer.Option("--write/--look", help="Write; else only show (asked for on a terminal).")
    ] = False,
    guide: Annotated[
        bool, typer.Option("--guide", help="The outage guide's own files instead: config/, docker/ and three scripts.")
    ] = False,
) -> None:
    """Set this repository up: shows, then writes resilience.toml.

    \b
      resilience init                          shows, and asks before it writes
      resilience init --write
      resilience init --guide --write          the outage guide's own files
    """
    if guide:
        _guide(write)
        return
    proposal = setting_up.inspect_repository(Path.cwd())
    for line in proposal.found:
        terminal.out.print(f"  found: {line}", markup=False, soft_wrap=True)
    for line in proposal.questions:
        terminal.out.print(f"  question: {line}", markup=False, soft_wrap=True)
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


def _guide(write: bool) -> None:
    """Write what the outage guide names, or say what would be written."""
    for name in guide_files.guide_files():
        if not write:
            terminal.out.print(f"  {name}", markup=False)
    if not (write or _confirmed("Write the guide's files?")):
        terminal.out.print("Nothing was written. To write them: resilience init --guide --write")
        return
    done = guide_files.write_guide_files(Path.cwd())
    for path in done.written:
        terminal.out.print(f"Wrote {path}", markup=False)
    for path in done.kept:
        terminal.out.print(f"Left as it is: {path}", markup=False)
    terminal.out.print("[bold]Next:[/bold] cp config/.env.test.resilient config/.env.test.active; resilience doctor")


def _confirmed(question: str = "Write resilience.toml and the git-ignored folder .resilience/?") -> bool:
    """Ask where somebody is there to answer; elsewhere nothing is written."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return typer.confirm(question)
