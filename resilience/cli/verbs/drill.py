"""Run the whole runbook against an embedded staging that breaks on a timetable, and compare with what should come of it."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.opening import open_report
from resilience.cli.options import Open, Out, Verbose
from resilience.cli.output import leave, log_to_stderr
from resilience.core.errors import ResilienceError
from resilience.show import sticky

with on_demand():
    from resilience import stand_ins as local
    from resilience.core import codec, records, words
    from resilience.host import log
    from resilience.lab import differences, lab as labs, scenario_file, shipped
    from resilience.notebook import headless
    from resilience.runs import configuration, runbook
    from resilience.show import terminal

if TYPE_CHECKING:
    from resilience.core.records import TimelineEvent
    from resilience.lab.scenario import Scenario, Timing


app = verb()

_KEEP_S = 0.5


def _scenarios() -> list[tuple[str, str]]:
    return [*shipped.scenario_titles().items(), ("list", "Name the scenarios.")]


class _NamingScenarios(typer.core.TyperCommand):
    """The help names the scenarios, which are files, and reads them only then."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Scenarios"):
            formatter.write_dl(list(shipped.scenario_titles().items()))


@app.command(cls=_NamingScenarios)
def drill(
    scenario: Annotated[
        str,
        typer.Argument(help="One of the scenarios below, `list`, or a file of your own.", autocompletion=_scenarios),
    ] = "database-unavailable",
    out: Out = "",
    opens: Open = False,
    verbose: Verbose = False,
) -> None:
    """The whole runbook against an outage on a timetable.

    \b
      resilience drill                         the first of the scenarios
      resilience drill vpc-connector
      resilience drill list
      resilience drill ./own.toml --out /tmp/drills
    """
    log_to_stderr(verbose)
    if scenario == "list":
        _list_drills()
        return
    leave(run_drill(scenario, out=out, opens=opens))


def _list_drills() -> None:
    """Print the scenarios by name."""
    for name, title in shipped.scenario_titles().items():
        terminal.out.print(f"{name:<32} {title}", markup=False)


def run_drill(name: str, *, out: str = "", opens: bool = False) -> int:
    """Run the scenario of this name; 0 where the runbook did what it expects, 1 where not, with the difference.

    Uses its own folder, ports, lock and env file; nothing of the team's is read or touched but the outputs folder.
    """
    scenario = scenario_file.load_scenario(name)
    outputs = _outputs(out)
    world = Path(tempfile.mkdtemp(prefix="resilience-drill-"))
    try:
        with sticky.line("starting a staging of its own"):
            code = asyncio.run(_drill(scenario, world / "lab", outputs))
        open_report((outputs / "latest").resolve() / "report.html", wanted=opens)
        return code
    finally:
        shutil.rmtree(world, ignore_errors=True)


async def _drill(scenario: Scenario, world: Path, outputs: Path) -> int:
    """Break the lab's staging by the timetable while the run goes through its stages; return 0 where all was as expected.

    A signal ends the drill without a comparison, with the signal's own code. Whatever happens, the stand-ins are put away.
    """
    began = monotonic()
    sys.stderr.write(f"Drill {scenario.name}: {scenario.title}\n")
    events: list[TimelineEvent] = []

    def happened(event: TimelineEvent) -> None:
        events.append(event)
        broken = event.kind is records.EventKind.LAB_FAULT
        what = "the drill breaks " if broken else "the drill repairs " if ": " in event.what else ""
        terminal.say(f"{words.seconds(monotonic() - began):>8}  {what}{event.what}", console=terminal.err)

    async with labs.Lab(scenario, world, on_event=happened) as lab:
        settings = replace(lab.settings, outputs=outputs, drill=scenario.name)
        run = runbook.Run.create(
            settings, slug=f"drill-{scenario.name}", apply=True, parameters={"config": str(lab.config)}
        )
        try:
            sticky.say("looking at staging while it is well")
            await _sample_before(run, scenario.timing)
            sticky.say("beginning the outage")
            await lab.begin_outage()
            sticky.say("starting the stages")
            async with _keeping(events, run.folder / "lab.jsonl"):
                executed = await headless.go(run, {"apply": True}, environ=lab.environ, began=began)
        finally:
            with suppress(ResilienceError):
                await runbook.restore(settings, force=True)
            await local.stop(settings)
    code = headless.conclude(run, executed)
    if executed.signal is not None:
        return records.ExitCode.worst(executed.exit_code)
    incident = run.refresh()
    for line in differences.planted_lines(scenario.expect, incident):
        terminal.say(line, console=terminal.err)
    unlike = differences.differences(scenario.expect, incident)
    for difference in unlike:
        terminal.say(f"Not as the scenario expects: {difference}", style="red", console=terminal.err)
    told = "as expected" if not unlike else f"NOT as expected ({words.plural(len(unlike), 'difference')})"
    terminal.say(
        f"DRILL {scenario.name}: {told}, in {words.seconds(monotonic() - began)} "
        f"(as a run it would have ended with exit code {code})",
        style="bold red" if unlike else "bold green",
        console=terminal.err,
    )
    return 1 if unlike else 0


async def _sample_before(run: runbook.Run, timing: Timing) -> None:
    """Look at the healthy staging for a while, so that the report shows what it was like before."""
    with log.quiet():
        until = monotonic() + timing.before_s
        while monotonic() < until:
            health = await runbook.look(run.settings)
            run.add_samples(runbook.samples_of(health, "before"))
            await asyncio.sleep(timing.interval_s)


@asynccontextmanager
async def _keeping(events: Sequence[TimelineEvent], file: Path) -> AsyncIterator[None]:
    """Keep `file` up to date with what the lab did: it goes on from a thread of its own, and the run's report reads this."""

    def write() -> None:
        file.write_bytes(b"".join(codec.to_json(event, indent=0) + b"\n" for event in tuple(events)))

    async def go_on() -> None:
        while True:
            await asyncio.sleep(_KEEP_S)
            write()

    write()
    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        write()


def _outputs(out: str) -> Path:
    if out:
        return Path(out).expanduser().resolve()
    try:
        return configuration.load_settings().outputs
    except ResilienceError:
        # A drill must also run where the team's configuration is broken.
        return Path.cwd() / "outputs"
