"""Look at all services, and say what is down, why, and what to type next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from resilience.cli.arguments import check_seconds, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, ExitZero, Json, Verbose
from resilience.cli.output import builtins_of, leave, log_to_stderr, print_json
from resilience.cli.runs import decide_here
from resilience.core.errors import LockedError
from resilience.show import sticky

with on_demand():
    from rich import table as rich_table

    from resilience.cli import following, standing
    from resilience.core import next_steps, plan as planning, steadiness as steadying, verdict, words
    from resilience.runs import escalating, looking
    from resilience.show import terminal
    from resilience.teach import store

if TYPE_CHECKING:
    from resilience.core.records import Decision, InfrastructureHealth, Notice
    from resilience.core.settings import Settings


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
        typer.Option("--watch", help="Watch as `resilience watch` does, every so many seconds (the guide: 300)."),
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="All that each service said, the evidence, and the text to paste.")
    ] = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
    exit_zero: ExitZero = False,
) -> None:
    """One look at all services: what is down, why, what to type next.

    \b
      resilience assess                        what is down, why, what next
      resilience assess --details              with all that each service said
      resilience assess --critical --samples 5
      resilience assess --url postgresql://user@localhost:5432/app
      resilience assess --json > health.json
    """
    log_to_stderr(verbose)
    settings = settings_from(config, environment, url)
    if watch is not None:
        check_seconds("--watch", watch)
        _watch(settings, watch, critical)
        return
    looks = asyncio.run(_looks(settings, critical, samples))
    health = looks[-1]
    decision = decide_here(health, settings)
    told = escalating.notices_of_look(settings, health)
    sticky.end()
    if as_json:
        document = looking.assess_document(health, decision)
        document["escalation"] = builtins_of(told)
        if samples > 1:
            document["samples"] = builtins_of(
                steadying.summarise([s for look in looks for s in looking.samples_of(look, "assess")])
            )
        print_json(document)
    else:
        # A URL alone names no tests, of which something could be said.
        _show(health, decision if settings.source else None, settings, told, details=details)
        if samples > 1:
            _show_samples(looks)
    leave(verdict.exit_code_of(health.overall_status), exit_zero, looked=True)


async def _looks(settings: Settings, critical: bool, samples: int) -> list[InfrastructureHealth]:
    """Look `samples` times; the last one knows what flapped in the ones before."""

    looks: list[InfrastructureHealth] = []
    with sticky.line("looking at staging"):
        for _ in range(samples):
            flapping = steadying.flapping_services(s for look in looks for s in looking.samples_of(look, "assess"))
            looks.append(await looking.look(settings, critical=critical, flapping=flapping))
    return looks


def _show_samples(looks: list[InfrastructureHealth]) -> None:
    table = rich_table.Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("service", "looks", "min", "p50", "p95", "max", "loss"):
        table.add_column(column, justify="left" if column == "service" else "right")
    for row in steadying.summarise([s for look in looks for s in looking.samples_of(look, "assess")]).values():
        table.add_row(
            row.service,
            str(row.samples),
            *(words.seconds(v) for v in (row.min_s, row.p50_s, row.p95_s, row.max_s)),
            f"{row.loss:.0%}",
        )
    terminal.out.print(table)


def _show(
    health: InfrastructureHealth,
    decision: Decision | None,
    settings: Settings,
    told: Sequence[Notice],
    *,
    details: bool,
) -> None:
    """Show one screen, or with `details` all of it; a damaged journal is said and keeps nobody from looking."""
    found = standing.where_things_stand(settings)
    if found.damage:
        terminal.err.print(found.damage, markup=False, soft_wrap=True)
    steps = next_steps.next_steps(
        replace(
            found.situation,
            staging=health.overall_status,
            blocked=decision is not None and decision.blocked,
            changes=decision is not None and planning.changes_anything(decision),
        )
    )
    notes = [*([found.applied] if found.applied else []), *store.standing(settings, datetime.now(UTC))]
    if details:
        terminal.show_health(health, decision)
        terminal.show_notices(told)
        terminal.show_steps(steps, notes=notes, last=words.verdict_line(health, decision))
        return
    unwell = any(result.fault is not None for result in health.services)
    loud = any(not notice.quiet for notice in told)
    what = "the text to paste, what each service said" if loud else "all that each service said, and its hints"
    more = next_steps.Step("resilience assess --details", what)
    terminal.show_assessment(
        health, decision, steps=[*steps, *([more] if unwell and settings.source else [])], notices=told, notes=notes
    )


def _watch(settings: Settings, interval_s: float, critical: bool) -> None:
    """Watch as the verb `watch` does; where nothing can be kept, or another watch runs here, print only."""
    keeps = settings.source is not None
    try:
        following.follow(settings, interval_s=interval_s, critical=critical, keeps=keeps)
    except LockedError:
        terminal.err.print("Another watch runs here and alerts; this one only prints.", soft_wrap=True)
        following.follow(settings, interval_s=interval_s, critical=critical, keeps=False)
