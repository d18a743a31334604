"""Say what is missing, unset, unreachable or never drilled here, and what to type."""

from __future__ import annotations

import asyncio

from resilience.cli.arguments import settings_from
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Verbose
from resilience.cli.output import leave, log_to_stderr
from resilience.core.errors import NotConfiguredError, ResilienceError
from resilience.home.doctor import diagnose
from resilience.runs import runbook
from resilience.show import terminal

app = verb()


@app.command()
def doctor(config: Config = "", environment: Environment = "", verbose: Verbose = False) -> None:
    """What is missing, unset, unreachable or never drilled, and what to type."""
    log_to_stderr(verbose)
    leave(asyncio.run(_examine(config, environment)))


async def _examine(config: str, environment: str) -> int:
    """Say what is missing, unset, unreachable or never drilled, each with what to type; 0 where nothing is."""
    settings = settings_from(config, environment)
    results = None
    try:
        results = (await runbook.look(settings, remember=False)).services
    except NotConfiguredError:
        pass
    except ResilienceError as exc:
        terminal.err.print(str(exc), markup=False)
    findings = diagnose(settings, results=results)
    bad = [finding for finding in findings if not finding.ok]
    for finding in findings:
        sign = "[green]ok[/green]  " if finding.ok else "[yellow]look[/yellow]"
        terminal.out.print(f"{sign} [bold]{finding.what}[/bold]: ", end="")
        terminal.out.print(
            finding.found + (f" (expected: {finding.expected})" if not finding.ok and finding.expected else ""),
            markup=False,
        )
        if not finding.ok and finding.hint:
            terminal.out.print(f"       → {finding.hint}", markup=False, soft_wrap=True)
    terminal.out.print(f"{len(findings) - len(bad)} of {len(findings)} as expected.")
    return 0 if not bad else 10
