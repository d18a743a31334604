"""Declare the options that several verbs take, each once."""

from __future__ import annotations

from typing import Annotated

import typer

from resilience.cli.demand import on_demand

with on_demand():
    from resilience.core import records


def _modes() -> list[str]:
    return [mode.value for mode in records.TestExecutionMode]


Config = Annotated[
    str,
    typer.Option("--config", help="The configuration; else RESILIENCE_CONFIG, resilience.toml, config/runbook.toml."),
]
Environment = Annotated[str, typer.Option("--environment", help="Its name in texts, such as staging.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; everything else goes to stderr.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log lines on stderr.")]
TakeOver = Annotated[bool, typer.Option("--take-over", help="Interrupt who holds the lock on this host, and go on.")]
Force = Annotated[
    str,
    typer.Option(
        "--force", help="full, degraded, offline or critical_only, whatever the health says.", autocompletion=_modes
    ),
]
ExitZero = Annotated[bool, typer.Option("--exit-zero", help="Exit 0, and say in words what that hides.")]
Parameters = Annotated[
    list[str] | None, typer.Option("-p", "--parameter", help="name=value for the notebooks. May be given again.")
]
Out = Annotated[str, typer.Option("--out", help="Where runs go, instead of outputs/; run: also s3://BUCKET/FOLDER.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Stand-ins with empty data.")]
Open = Annotated[bool, typer.Option("--open", help="Open the report in a browser when it is written.")]
