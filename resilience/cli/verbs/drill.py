"""Run the whole runbook against an embedded staging that breaks on a timetable, and compare with what should come of it."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from resilience import stand_ins as local
from resilience.cli.group import verb
from resilience.cli.options import Out, Verbose
from resilience.cli.output import leave, log_to_stderr
from resilience.core.codec import to_json
from resilience.core.errors import ResilienceError
from resilience.core.records import ExitCode, TimelineEvent
from resilience.host.log import quiet
from resilience.lab.lab import Lab
from resilience.lab.scenario import Scenario, load_scenario, scenario_names
from resilience.notebook.headless import conclude, go
from resilience.runs import runbook
from resilience.runs.configuration import load_settings
from resilience.show import terminal

app = verb()


@app.command()
def drill(
    scenario: Annotated[
        str, typer.Argument(help="Which outage; `resilience drill list` names them.")
    ] = "database-unavailable",
    out: Out = "",
    verbose: Verbose = False,
) -> None:
    """The whole runbook against an embedded staging that breaks on a timetable. Touches nothing of yours."""
    log_to_stderr(verbose)
    if scenario == "list":
        _list_drills()
        return
    leave(run_drill(scenario, out=out))


def _list_drills() -> None:
    """Print the scenarios by name."""
    for name in scenario_names():
        terminal.out.print(f"{name:<32} {load_scenario(name).title}", markup=False)


def run_drill(name: str, *, out: str = "") -> int:
    """Run the scenario of this name; 0 where the runbook did what it expects, 1 where not, with the difference.

    Uses its own folder, ports, lock and env file; nothing of the team's is read or touched but the outputs folder.
    """
    scenario = load_scenario(name)
    outputs = _outputs(out)
    world = Path(tempfile.mkdtemp(prefix="resilience-drill-"))
    try:
        return asyncio.run(_drill(scenario, world / "lab", outputs))
    finally:
        shutil.rmtree(world, ignore_errors=True)


async def _drill(scenario: Scenario, world: Path, outputs: Path) -> int:
    began = monotonic()
    sys.stderr.write(f"Drill {scenario.name}: {scenario.title}\n")
    events: list[TimelineEvent] = []
    async with Lab(scenario, world, on_event=events.append) as lab:
        settings = replace(lab.settings, outputs=outputs, drill=scenario.name)
        run = runbook.Run.create(
            settings, slug=f"drill-{scenario.name}", apply=True, parameters={"config": str(lab.config)}
        )
        # The lab goes on telling from its own thread while the notebooks run: the run's report reads this file.
        log = run.folder / "lab.jsonl"

        def keep() -> None:
            log.write_bytes(b"".join(to_json(event, indent=0) + b"\n" for event in list(events)))

        try:
            await _sample_before(run, scenario.timing.before_s, scenario.timing.interval_s)
            await lab.begin_outage()
            keep()
            flush = asyncio.create_task(_keep_on(keep))
            try:
                executed = await go(run, {"apply": True}, environ=lab.environ)
            finally:
                flush.cancel()
                with suppress(asyncio.CancelledError):
                    await flush
                keep()
        finally:
            with suppress(ResilienceError):
                await runbook.restore(settings, force=True)
            await local.stop(settings)
    code = conclude(run, executed)
    if executed.signal is not None:
        return ExitCode.worst(executed.exit_code)
    differences = scenario.differences(run.refresh())
    for difference in differences:
        terminal.err.print(f"[red]Not as the scenario expects:[/red] {difference}")
    took = monotonic() - began
    told = "as expected" if not differences else f"{len(differences)} differences"
    terminal.err.print(
        f"Drill {scenario.name}: {told}, in {took:.1f} s. The run's own exit code would have been {code}."
    )
    return 1 if differences else 0


async def _sample_before(run: runbook.Run, seconds: float, interval_s: float) -> None:
    """Look at the healthy staging for a while, so that the report shows what it was like before."""
    with quiet():
        until = monotonic() + seconds
        while monotonic() < until:
            health = await runbook.look(run.settings)
            run.add_samples(runbook.samples_of(health, "before"))
            await asyncio.sleep(interval_s)


async def _keep_on(keep: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(0.5)
        keep()


def _outputs(out: str) -> Path:
    if out:
        return Path(out).expanduser().resolve()
    try:
        return load_settings().outputs
    except ResilienceError:
        # A drill must also run where the team's configuration is broken.
        return Path.cwd() / "outputs"
