"""Say what is missing, unset, unreachable or never drilled here, and what to type."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Verbose
from resilience.cli.output import leave, log_to_stderr
from resilience.core.errors import NotConfiguredError, ResilienceError
from resilience.show import sticky

with on_demand():
    from resilience.home import doctor as doctoring
    from resilience.runs import runbook
    from resilience.show import terminal

if TYPE_CHECKING:
    from resilience.core.records import ConnectivityResult
    from resilience.core.settings import Settings
    from resilience.home.doctor import Finding


app = verb()


@app.command()
def doctor(config: Config = "", environment: Environment = "", verbose: Verbose = False) -> None:
    """What is missing, unset, unreachable or never drilled.

    \b
      resilience doctor
    """
    log_to_stderr(verbose)
    settings = settings_from(config, environment)
    findings = doctoring.diagnose(settings, results=asyncio.run(_look(settings)))
    sticky.end()
    for finding in findings:
        _show(finding)
    good = sum(finding.ok for finding in findings)
    terminal.out.print(f"{good} of {len(findings)} as expected.")
    leave(0 if good == len(findings) else 10)


async def _look(settings: Settings) -> Sequence[ConnectivityResult] | None:
    """Return how the services are; None where none can be asked, which keeps doctor from nothing else."""
    try:
        return (await runbook.look(settings, remember=False)).services
    except NotConfiguredError:
        return None  # the findings say of each service what is unset
    except ResilienceError as exc:
        terminal.err.print(str(exc), markup=False)
        return None


def _show(finding: Finding) -> None:
    sign = "[green]ok[/green]  " if finding.ok else "[yellow]look[/yellow]"
    expected = f" (expected: {finding.expected})" if not finding.ok and finding.expected else ""
    terminal.out.print(f"{sign} [bold]{finding.what}[/bold]: ", end="")
    terminal.out.print(finding.found + expected, markup=False)
    if not finding.ok and finding.hint:
        terminal.out.print(f"       → {finding.hint}", markup=False, soft_wrap=True)
