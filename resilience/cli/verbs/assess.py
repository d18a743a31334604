"""Look at all services, and say what is down, why, and what to type next."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from resilience.cli.arguments import check_seconds, settings_from
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, ExitZero, Json, Verbose
from resilience.cli.output import builtins_of, leave, log_to_stderr, print_json
from resilience.cli.runs import decide_here
from resilience.core.errors import RecordError
from resilience.core.records import ConnectivityStatus, InfrastructureHealth
from resilience.core.settings import Settings
from resilience.core.steadiness import Steadiness, flapping_services, summarise
from resilience.core.words import fault_phrase, seconds, staging_line
from resilience.fallback import journal
from resilience.runs import runbook
from resilience.show import terminal

app = verb()


@app.command()
def assess(
    critical: Annotated[bool, typer.Option("--critical", help="Only the critical services.")] = False,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Looks in a row; shows min, p50, p95, max and loss.")
    ] = 1,
    url: Annotated[
        list[str] | None, typer.Option("--url", help="Look at this URL; needs no configuration. May be given again.")
    ] = None,
    watch: Annotated[
        float | None,
        typer.Option("--watch", help="Look again every so many seconds and print what changes (the guide: 300)."),
    ] = None,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
    exit_zero: ExitZero = False,
) -> None:
    """One look at all services: what is down, why, what to type next."""
    log_to_stderr(verbose)
    settings = settings_from(config, environment, url)
    if watch is not None:
        check_seconds("--watch", watch)
        asyncio.run(_watch(settings, watch, critical))
        return
    looks = asyncio.run(_looks(settings, critical, samples))
    health = looks[-1]
    decision = decide_here(health, settings)
    if as_json:
        document = runbook.assess_document(health, decision)
        if samples > 1:
            document["samples"] = builtins_of(
                summarise([s for look in looks for s in runbook.samples_of(look, "assess")])
            )
        print_json(document)
    else:
        terminal.show_health(health, decision)
        if samples > 1:
            _show_samples(looks)
        _next(health, settings)
    leave(runbook.exit_code_of(health.overall_status), exit_zero, looked=True)


async def _looks(settings: Settings, critical: bool, samples: int) -> list[InfrastructureHealth]:
    """Look `samples` times; the last one knows what flapped in the ones before."""

    looks: list[InfrastructureHealth] = []
    with terminal.working("looking at staging"):
        for _ in range(samples):
            flapping = flapping_services(s for look in looks for s in runbook.samples_of(look, "assess"))
            looks.append(await runbook.look(settings, critical=critical, flapping=flapping))
    return looks


def _show_samples(looks: list[InfrastructureHealth]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("service", "looks", "min", "p50", "p95", "max", "loss"):
        table.add_column(column, justify="left" if column == "service" else "right")
    for row in summarise([s for look in looks for s in runbook.samples_of(look, "assess")]).values():
        table.add_row(
            row.service,
            str(row.samples),
            *(seconds(v) for v in (row.min_s, row.p50_s, row.p95_s, row.max_s)),
            f"{row.loss:.0%}",
        )
    terminal.out.print(table)


def _next(health: InfrastructureHealth, settings: Settings) -> None:

    try:
        applied = journal.load(settings.state)
    except RecordError as exc:
        applied = None
        terminal.err.print(str(exc), markup=False, soft_wrap=True)
    if applied is not None:
        state = "unfinished" if applied.unfinished else "applied"
        terminal.out.print(
            f"A fallback is {state} here (mode {applied.mode}, by {applied.user}, "
            f"since {applied.started_at:%H:%M:%S} UTC): resilience status"
        )
    if health.overall_status is ConnectivityStatus.AVAILABLE:
        terminal.out.print("[bold]Next:[/bold] resilience " + ("recover" if applied else "test"))
    elif applied is not None and not applied.unfinished:
        terminal.out.print("[bold]Next:[/bold] resilience test   resilience recover   (once staging is back)")
    elif health.overall_status is ConnectivityStatus.UNKNOWN:
        terminal.out.print("[bold]Next:[/bold] resilience doctor")
    else:
        terminal.out.print(
            "[bold]Next:[/bold] resilience plan   (shows what apply would do)   resilience apply   resilience test"
        )


async def _watch(settings: Settings, interval_s: float, critical: bool) -> None:
    """Print what changes, with a live table above it on a terminal, until interrupted.

    A service is down after 3 bad looks of 10 and up again when at most 1 of 10 was bad; in between, or to and fro, it flaps.
    """

    followed: dict[str, Steadiness] = {}
    before: dict[str, str] | None = None
    out = terminal.out
    with Live(console=out, transient=True, refresh_per_second=4) if out.is_terminal else nullcontext() as live:
        while True:
            flapping = [name for name, one in followed.items() if one.flapping]
            health = await runbook.look(settings, critical=critical, flapping=flapping)
            at = f"{health.started_at:%Y-%m-%d %H:%M:%SZ}"
            lines = [] if before is not None else [f"{at} {staging_line(health)}"]
            for sample in runbook.samples_of(health, "watch"):
                one = followed.setdefault(sample.service, Steadiness(sample.service))
                transition = one.look(sample)
                if transition is not None and transition.before != "unknown":
                    lines.append(f"{at} {sample.service}: {transition.before} → {transition.state}")
            now = {result.name: result.status.value for result in health.services}
            if before is not None and now != before:
                changed = [result for result in health.services if now[result.name] != before.get(result.name)]
                lines += [
                    f"{at} {r.name}: {before.get(r.name)} → {r.status.value} ({fault_phrase(r)})" for r in changed
                ]
                lines.append(f"{at} {staging_line(health)}")
            before = now
            for line in lines:
                out.print(line, markup=False, soft_wrap=True)
            if out.quiet:
                return
            if live is not None:
                live.update(terminal.services_table(health.services))
            await asyncio.sleep(interval_s)
