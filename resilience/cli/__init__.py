"""Turn words typed at three in the morning into stages of the runbook, and records into what is read there.

Importing this loads Typer and no more: drivers, pandas and papermill are fetched by the verbs that need them.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO, TypeVar

import typer

from resilience.core.errors import RecordError, ResilienceError, UsageError, did_you_mean

if TYPE_CHECKING:
    from types import FrameType

    from resilience.core.records import InfrastructureHealth, TestExecutionMode
    from resilience.core.settings import Settings
    from resilience.runs.runbook import Run
    from resilience.suite.records import Progress

T = TypeVar("T")

_HELP = """Find out what is broken in staging, and run the tests all the same.

\b
  resilience assess                      what is down, why, and what to type next
  resilience drill database-unavailable  the whole runbook against an outage of our own
"""


class _Group(typer.core.TyperGroup):
    """Verbs; a mistyped one gets "did you mean"."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            raise UsageError(f"resilience {args[0]}: no such verb.", hint=did_you_mean(args[0], known))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as exc:
            # Typer would make both signals the same silent 130.
            raise _PutDownError from exc


app = typer.Typer(
    cls=_Group,
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
services_app = typer.Typer(
    help="Start, stop and show the stand-ins on this machine.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(services_app, name="services")

Config = Annotated[
    str,
    typer.Option("--config", help="The configuration; else RESILIENCE_CONFIG, resilience.toml, config/runbook.toml."),
]
Environment = Annotated[str, typer.Option("--environment", help="Its name in texts, such as staging.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; everything else goes to stderr.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log lines on stderr.")]
TakeOver = Annotated[bool, typer.Option("--take-over", help="Interrupt who holds the lock on this host, and go on.")]
Force = Annotated[
    str, typer.Option("--force", help="full, degraded, offline or critical_only, whatever the health says.")
]
ExitZero = Annotated[bool, typer.Option("--exit-zero", help="Exit 0, and say in words what that hides.")]


# --------------------------------------------------------------------------- looking


@app.command(help="One look at all services: what is down, why, what to type next.")
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
    _logging(verbose)
    settings = _settings(config, environment, url)
    if watch is not None:
        _seconds("--watch", watch)
        _run(_watch(settings, watch, critical))
        return
    from resilience.runs import runbook

    looks = _run(_looks(settings, critical, samples))
    health = looks[-1]
    decision = _decide(health, settings)
    if as_json:
        document = runbook.assess_document(health, decision)
        if samples > 1:
            from resilience.core.steadiness import summarise

            document["samples"] = _builtins(
                summarise([s for look in looks for s in runbook.samples_of(look, "assess")])
            )
        _print_json(document)
    else:
        from resilience.show import terminal

        terminal.show_health(health, decision)
        if samples > 1:
            _show_samples(looks)
        _next(health, settings)
    _exit(runbook.exit_code_of(health.overall_status), exit_zero, looked=True)


async def _looks(settings: Settings, critical: bool, samples: int) -> list[InfrastructureHealth]:
    """Look `samples` times; the last one knows what flapped in the ones before."""
    from resilience.core.steadiness import flapping_services
    from resilience.runs import runbook
    from resilience.show import terminal

    looks: list[InfrastructureHealth] = []
    with terminal.working("looking at staging"):
        for _ in range(samples):
            flapping = flapping_services(s for look in looks for s in runbook.samples_of(look, "assess"))
            looks.append(await runbook.look(settings, critical=critical, flapping=flapping))
    return looks


def _show_samples(looks: list[InfrastructureHealth]) -> None:
    from rich.table import Table

    from resilience.core.steadiness import summarise
    from resilience.core.words import seconds
    from resilience.runs import runbook
    from resilience.show import terminal

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
    from resilience.core.records import ConnectivityStatus
    from resilience.fallback import journal
    from resilience.show import terminal

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
    from contextlib import nullcontext

    from rich.live import Live

    from resilience.core.steadiness import Steadiness
    from resilience.core.words import fault_phrase, staging_line
    from resilience.runs import runbook
    from resilience.show import terminal

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


@app.command(help="The mode the tests should run in, and why.")
def mode(
    force: Force = "",
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    _logging(verbose)
    from resilience.runs import runbook

    forced, settings = _mode(force), _settings(config, environment)
    health = _run(_look(settings))
    decision = _decide(health, settings, forced)
    if as_json:
        _print_json({"schema": 1, "overall_status": health.overall_status.value, **_builtins(decision)})
    else:
        from resilience.core.words import staging_line
        from resilience.show import terminal

        terminal.headline(terminal.out, staging_line(health))
        terminal.show_decision(decision)
    _exit(runbook.exit_code_of(health.overall_status))


@app.command(help="What apply would do, in the words it will use. Changes nothing.")
def plan(
    force: Force = "",
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    _logging(verbose)
    from resilience.core.plan import make_plan
    from resilience.fallback.journal import variables_before
    from resilience.runs import runbook

    forced, settings = _mode(force), _settings(config, environment)
    health = _run(_look(settings))
    decision = _decide(health, settings, forced)
    made = make_plan(decision, health, settings, before=variables_before(settings.state, settings.env_file))
    if as_json:
        _print_json({"schema": 1, "overall_status": health.overall_status.value, **_builtins(made)})
    else:
        from resilience.core.words import staging_line, tests_line
        from resilience.show import terminal

        terminal.headline(terminal.out, staging_line(health), tests_line(decision))
        terminal.show_plan(made)
    _exit(runbook.exit_code_of(health.overall_status))


# --------------------------------------------------------------------------- changing


@app.command(help="Start stand-ins and write the env file, so that it can be undone to the byte.")
def apply(
    force: Force = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Stand-ins with empty data.")] = False,
    take_over: TakeOver = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    _logging(verbose)
    from resilience.core.plan import changes_anything
    from resilience.show import terminal

    forced, settings = _mode(force), _settings(config, environment)
    _unlocked(settings, "apply", take_over)
    run = _applied_run(settings) or _new_run(settings, "apply", applies=True)

    async def go() -> Any:
        with terminal.working("looking at staging", quiet=as_json):
            await run.assess()
        decision = run.choose_mode(forced, asked_by="--force", extend=True)
        run.make_plan()
        if decision.blocked or not changes_anything(decision):
            return None
        tell = terminal.err if as_json else terminal.out
        numbers = itertools.count(1)
        return await run.apply(
            on_step=lambda what: tell.print(f"  {next(numbers)}. {what}", markup=False, soft_wrap=True),
            on_progress=lambda what: tell.print(f"     · {what}", markup=False, soft_wrap=True),
            fresh=fresh,
            take_over=take_over,
        )

    with _ending(run):
        applied = _run(go())
    failed = applied is not None and bool(applied.failed)
    run.finish()
    if as_json:
        _print_json({"schema": 1, "run": run.incident.run, "applied": _builtins(applied) if applied else None})
    else:
        terminal.headline(terminal.out, *run.headline())
        if applied is None:
            decision = run.incident.decision
            blocked = decision is not None and decision.blocked
            terminal.out.print(
                "Nothing was changed: " + ("tests are blocked." if blocked else "staging can be used as it is.")
            )
        else:
            terminal.show_applied(applied)
            terminal.out.print('[bold]Next:[/bold] resilience test   (shells: eval "$(resilience env)")')
    blocked = run.incident.decision is not None and run.incident.decision.blocked
    _exit(20 if failed or blocked else 0)


@app.command(help="Put the env file back to the byte and stop the stand-ins. No database is touched.")
def restore(
    force: Annotated[
        bool, typer.Option("--force", help="Also where somebody edited the file; a copy of the edit is kept.")
    ] = False,
    keep_stand_ins: Annotated[bool, typer.Option("--keep-stand-ins", help="Leave the stand-ins running.")] = False,
    take_over: TakeOver = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    _logging(verbose)
    from resilience.core.redact import Redactor
    from resilience.core.words import staging_line
    from resilience.fallback.undo_settings import settings_for_restore
    from resilience.runs import runbook
    from resilience.show import terminal

    settings, unreadable = settings_for_restore(config, environment=environment)
    run = _run_to_restore(settings, unreadable)
    console = terminal.err if as_json else terminal.out

    async def go() -> Any:
        if run is not None:
            return await run.restore(force=force, keep_stand_ins=keep_stand_ins, take_over=take_over)
        return await runbook.restore(settings, force=force, keep_stand_ins=keep_stand_ins, take_over=take_over)

    restored = _run(go())
    terminal.show_restored(restored, console=console)
    if not unreadable and not restored.nothing_to_do:
        try:
            # Read anew: what was applied decided about the settings until now.
            terminal.headline(console, staging_line(_run(_look(_settings(config, environment)))))
        except ResilienceError as exc:
            # The exit code is about the undo, which is done.
            sys.stderr.write(f"resilience: restored; staging was not looked at: {exc}\n")
    if unreadable:
        why = Redactor(settings.secrets).text(unreadable)
        sys.stderr.write(f"resilience: the configuration could not be read, and was not needed to restore: {why}\n")
    if as_json:
        _print_json({"schema": 1, **_builtins(restored)})
    _exit(0)


app.command("undo", help="The same as restore.")(restore)


@app.command(help='What the child processes get, for shells: eval "$(resilience env)".')
def env(
    unset: Annotated[bool, typer.Option("--unset", help="Take the variables back from this shell.")] = False,
    config: Config = "",
    environment: Environment = "",
) -> None:
    from resilience.core.envtext import export_lines, unset_lines
    from resilience.fallback import journal
    from resilience.fallback.exported import exported_names, note_exported
    from resilience.host.files import read_env_file

    settings = _settings(config, environment)
    applied = journal.load(settings.state)
    if unset:
        sys.stdout.write(unset_lines(name for name in exported_names(settings.state) if name in os.environ))
        return
    if applied is None or applied.status != "applied":
        raise UsageError("no fallback is applied here, so there is nothing to export.", hint="resilience apply")
    values = read_env_file(settings.env_file)
    note_exported(settings.state, values)
    own = [] if os.environ.get("RESILIENCE_APPLIED") else [n for n, v in values.items() if os.environ.get(n, v) != v]
    if own:
        sys.stderr.write(
            f"resilience env: this shell had values of its own for {', '.join(sorted(own))}; "
            "env --unset takes ours away but cannot give those back, a new shell has them\n"
        )
    sys.stdout.write(export_lines(values))


# --------------------------------------------------------------------------- testing, recovering


@app.command(
    help="Run commands in the mode that fits: resilience test -- pytest tests/unit -v",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": False, "allow_interspersed_args": False},
)
def test(
    command: Annotated[
        list[str] | None,
        typer.Argument(help="A command after --; else those configured for the mode.", metavar="[-- COMMAND...]"),
    ] = None,
    force: Force = "",
    select: Annotated[str, typer.Option("--select", help="A marker expression instead of the mode's.")] = "",
    exit_code: Annotated[str, typer.Option("--exit-code", help="ours, or original: the command's own.")] = "ours",
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds for each command.")] = None,
    total_timeout: Annotated[float | None, typer.Option("--total-timeout", help="Seconds for all of them.")] = None,
    wait_for_services: Annotated[
        float | None,
        typer.Option(
            "--wait-for-services", help="Seconds to wait in all for lost services before tests are run again."
        ),
    ] = None,
    progress: Annotated[
        bool, typer.Option("--progress", help="One line that counts, instead of the tests' own output (kept in logs/).")
    ] = False,
    take_over: TakeOver = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
    exit_zero: ExitZero = False,
) -> None:
    import shlex

    _logging(verbose)
    if exit_code not in ("ours", "original"):
        raise UsageError(f"--exit-code {exit_code}: ours or original was expected.", hint="--exit-code original")
    from resilience.show import terminal

    for option, value in (("--timeout", timeout), ("--total-timeout", total_timeout)):
        _seconds(option, value)
    _seconds("--wait-for-services", wait_for_services, zero=True)
    forced, settings = _mode(force), _settings(config, environment)
    _unlocked(settings, "test", take_over)
    run = _applied_run(settings) or _new_run(settings, "test")
    given = [command[0] if len(command) == 1 else shlex.join(command)] if command else None

    async def go() -> Any:
        with terminal.working("looking at staging", quiet=as_json):
            await run.assess()
        decision = run.choose_mode(forced, asked_by="--force")
        if not run.applied_now:
            decision = run.without_stand_ins()
        if not as_json:
            terminal.headline(terminal.out, *run.headline())
        if decision.blocked and not force and given is None:
            return None
        return await run.run_tests(
            given,
            select=select,
            timeout_s=timeout,
            total_timeout_s=total_timeout,
            wait_for_services_s=wait_for_services,
            exit_code=exit_code,
            output=_nowhere if progress else _pass_through(sys.stderr) if as_json else None,
            on_progress=_tell_progress if progress else None,
            take_over=take_over,
        )

    with _ending(run):
        result = _run(go())
    if progress and sys.stderr.isatty():
        sys.stderr.write("\r\x1b[2K")
    page = _write_report(run)
    if result is None:
        if as_json:
            _print_json(_builtins(run.blocked_result()))
        _exit(20, exit_zero)
    if as_json:
        _print_json(_builtins(result))
    else:
        terminal.show_tests(result)
        if page:
            terminal.out.print(f"[bold]Report:[/bold] {page}", soft_wrap=True)
    _exit(result.exit_code, exit_zero)


def _nowhere(data: bytes) -> None:
    """Let the tests' own output go to the log only."""


def _tell_progress(progress: Progress) -> None:
    """Keep one line on stderr up to date; where that is no terminal, say only how it ended."""
    from resilience.core.words import progress_line

    live = sys.stderr.isatty()
    if not live and progress.phase != "done":
        return
    text = progress_line(
        finished=progress.finished,
        collected=progress.collected,
        counts=progress.counts,
        rate=progress.rate,
        eta_s=progress.eta_s,
        current=progress.current,
        phase=progress.phase,
    )
    width = (os.get_terminal_size(sys.stderr.fileno()).columns if live else 0) or 1000
    sys.stderr.write(("\r\x1b[2K" if live else "") + text[: width - 1] + ("" if live else "\n"))
    sys.stderr.flush()


def _pass_through(stream: TextIO) -> Callable[[bytes], None]:
    """Return what writes the tests' own output to this stream, byte by byte as it came."""

    def write(data: bytes) -> None:
        stream.buffer.write(data)
        stream.buffer.flush()

    return write


@app.command(help="Wait until staging stays healthy, then restore, run the critical tests, then the full suite.")
def recover(
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for staging; 0 looks once.")] = 43200.0,
    run_tests: Annotated[
        bool, typer.Option("--tests/--no-tests", help="Run the critical tests and the full suite afterwards.")
    ] = True,
    take_over: TakeOver = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    _logging(verbose)
    from resilience.show import terminal

    _seconds("--wait", wait, zero=True)
    settings = _settings(config, environment)
    run = _applied_run(settings) or _new_run(settings, "recover")
    console = terminal.err if as_json else terminal.out

    def tell(check: Any) -> None:
        want = settings.recovery.good
        state = f"{check.in_a_row} good in a row ({want} needed)" if check.good else f"not yet: {check.why}"
        console.print(f"{check.at:%H:%M:%SZ} {state}", markup=False)

    from resilience.runs.runbook import recover as recovering

    with _ending(run):
        code = _run(
            recovering(
                run,
                wait_s=wait,
                tests=run_tests,
                on_check=tell,
                take_over=take_over,
                output=_pass_through(sys.stderr) if as_json else None,
            )
        )
    incident = run.incident
    if as_json:
        _print_json(
            {
                "schema": 1,
                "run": incident.run,
                "exit_code": code,
                "recovery": _builtins(incident.recovery),
                "restored": _builtins(incident.restored),
                "critical_tests": _builtins(incident.critical_tests),
                "full_tests": _builtins(incident.full_tests),
            }
        )
    else:
        if incident.recovery is not None:
            terminal.show_recovery(incident.recovery)
        if incident.restored is not None:
            terminal.show_restored(incident.restored)
        for title, result in (("critical tests", incident.critical_tests), ("full suite", incident.full_tests)):
            if result is not None:
                terminal.out.print(f"[bold]{title}[/bold]")
                terminal.show_tests(result)
        terminal.out.print(f"[bold]Report:[/bold] {run.folder / 'report.html'}", soft_wrap=True)
    _exit(code)


# --------------------------------------------------------------------------- whole runs


@app.command(help="All stages headless through papermill; always leaves a report. Only looks unless --apply is given.")
def run(
    apply: Annotated[
        bool, typer.Option("--apply/--no-apply", help="Start stand-ins, write the env file, run tests.")
    ] = False,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="name=value for the notebooks. May be given again.")
    ] = None,
    out: Annotated[str, typer.Option("--out", help="Where runs go, instead of outputs/.")] = "",
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="What makes the exit code not 0: failures, degraded or never.")
    ] = "",
    total_timeout: Annotated[float | None, typer.Option("--total-timeout", help="Seconds for all stages.")] = None,
    stage_timeout: Annotated[float | None, typer.Option("--stage-timeout", help="Seconds for each stage.")] = None,
    take_over: TakeOver = False,
    config: Config = "",
    environment: Environment = "",
    verbose: Verbose = False,
    exit_zero: ExitZero = False,
) -> None:
    _logging(verbose)
    from resilience.notebook.headless import run_all

    for option, value in (("--total-timeout", total_timeout), ("--stage-timeout", stage_timeout)):
        _seconds(option, value)
    settings = _settings(config, environment)
    code = run_all(
        settings,
        apply=apply,
        parameters=_pairs(parameter),
        out=out,
        fail_on=fail_on,
        total_timeout_s=total_timeout,
        stage_timeout_s=stage_timeout,
        take_over=take_over,
    )
    _exit(code, exit_zero)


@app.command(help="Continue a run at the stage that failed.")
def resume(
    folder: Annotated[
        str, typer.Argument(help="The run, such as 2026-11-22/031407Z-incident; else the newest.")
    ] = "latest",
    parameter: Annotated[list[str] | None, typer.Option("-p", "--parameter")] = None,
    config: Config = "",
    environment: Environment = "",
    verbose: Verbose = False,
) -> None:
    _logging(verbose)
    from resilience.notebook.headless import resume_run

    settings = _settings(config, environment)
    _exit(resume_run(_find_run(settings, folder), parameters=_pairs(parameter)))


@app.command(help="The whole runbook against an embedded staging that breaks on a timetable. Touches nothing of yours.")
def drill(
    scenario: Annotated[
        str, typer.Argument(help="Which outage; `resilience drill list` names them.")
    ] = "database-unavailable",
    out: Annotated[str, typer.Option("--out", help="Where the run goes, instead of outputs/.")] = "",
    verbose: Verbose = False,
) -> None:
    _logging(verbose)
    from resilience.cli.drill import list_drills, run_drill

    if scenario == "list":
        list_drills()
        return
    _exit(run_drill(scenario, out=out))


@app.command(help="The embedded staging by hand: prints its variables and takes faults by name until Ctrl-C.")
def lab(scenario: Annotated[str, typer.Argument()] = "healthy", verbose: Verbose = False) -> None:
    _logging(verbose)
    from resilience.cli.drill import run_lab

    run_lab(scenario)


@app.command(help="Write the report of a run again, from its records.")
def report(
    folder: Annotated[str, typer.Argument(help="The run; else the newest.")] = "latest",
    public: Annotated[
        bool, typer.Option("--public", help="Replace private addresses, host names, project ids and e-mail addresses.")
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf/--no-pdf", help="report.pdf as well, where a Chromium is there.")] = True,
    config: Config = "",
    environment: Environment = "",
    verbose: Verbose = False,
) -> None:
    _logging(verbose)
    from resilience.runs import runbook
    from resilience.show import terminal

    settings = _settings(config, environment)
    wanted = _find_run(settings, folder)
    with terminal.working("writing the report"):
        missing = runbook.render_again(wanted, settings, public=public)
        printed = _run(runbook.print_report(wanted)) if pdf else None
    for text in missing:
        terminal.err.print(f"Missing: {text}", markup=False)
    if printed is not None:
        sys.stdout.write(f"{printed}\n")
    sys.stdout.write(f"{wanted / 'report.html'}\n")


@app.command(help="What is applied, what runs, who holds the lock; --hand-over prints it for the next engineer.")
def status(
    hand_over: Annotated[bool, typer.Option("--hand-over", help="In full sentences, for the next engineer.")] = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
) -> None:
    from resilience.cli.status import gather, show

    settings = _settings(config, environment)
    found = gather(settings)
    if as_json:
        _print_json(found)
    else:
        show(found, settings, hand_over=hand_over)


@app.command(help="What is missing, unset, unreachable or never drilled, and what to type.")
def doctor(config: Config = "", environment: Environment = "", verbose: Verbose = False) -> None:
    _logging(verbose)
    from resilience.cli.status import doctor as examine

    _exit(_run(examine(config, environment)))


@app.command(help="Set this repository up: looks at it, shows what it would write, writes resilience.toml.")
def init(
    write: Annotated[
        bool, typer.Option("--write/--look", help="Write; else only show (asked for on a terminal).")
    ] = False,
) -> None:
    from resilience.cli.status import init_repository

    _exit(init_repository(Path.cwd(), write=write))


@app.command(help="Open a copy of the notebooks in JupyterLab.")
def notebook(
    no_browser: Annotated[bool, typer.Option("--no-browser")] = False,
    folder: Annotated[str, typer.Option("--folder", help="Where the copy goes.")] = "",
) -> None:
    from resilience.cli.status import open_notebooks

    _exit(open_notebooks(folder, browser=not no_browser))


@services_app.command("up", help="Start the stand-ins of these services, or of all that have one.")
def services_up(
    names: Annotated[list[str] | None, typer.Argument()] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="With empty data.")] = False,
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
) -> None:
    from resilience import stand_ins as local
    from resilience.show import terminal

    settings = _settings(config, environment)
    chosen = _services(settings, names)
    with terminal.working("starting stand-ins", quiet=as_json):
        found = _run(local.start(chosen, settings, fresh=fresh))
    _show_stand_ins(found, as_json)
    _exit(20 if any(not stand_in.ready for stand_in in found) else 0)


@services_app.command("down", help="Stop stand-ins that were started here. Data are kept.")
def services_down(
    names: Annotated[list[str] | None, typer.Argument()] = None, config: Config = "", environment: Environment = ""
) -> None:
    from resilience import stand_ins as local

    settings = _settings(config, environment)
    chosen = [service.name for service in _services(settings, names)] if names else None
    stopped = _run(local.stop(settings, chosen))
    sys.stdout.write(f"stopped: {', '.join(stopped) or 'nothing was running'}\n")


@services_app.command("status", help="Which stand-ins run, where, with which data.")
def services_status(config: Config = "", environment: Environment = "", as_json: Json = False) -> None:
    from resilience import stand_ins as local

    _show_stand_ins(local.status(_settings(config, environment)), as_json)


def _show_stand_ins(found: Any, as_json: bool) -> None:
    from resilience.show import terminal

    if as_json:
        _print_json({"schema": 1, "services": [_builtins(stand_in) for stand_in in found]})
        return
    for stand_in in found:
        terminal.out.print(terminal.stand_in_line(stand_in))
    if not found:
        terminal.out.print("No stand-in runs. Start them: resilience services up")


def _services(settings: Settings, names: list[str] | None) -> list[Any]:
    known = [service.name for service in settings.services]
    for name in names or ():
        if name not in known:
            raise UsageError(f"service {name!r} is unknown.", hint=did_you_mean(name, known))
    return [service for service in settings.services if (service.name in names if names else bool(service.local))]


# --------------------------------------------------------------------------- shared


def _settings(config: str, environment: str = "", urls: list[str] | None = None) -> Settings:
    from resilience.runs import configuration as reading

    if urls:
        return reading.settings_for_url(urls)
    return reading.load_settings(config or None, environment=environment)


def _mode(force: str) -> TestExecutionMode | None:
    from resilience.runs.runbook import parse_mode

    return parse_mode(force) if force else None


def _seconds(option: str, value: float | None, *, zero: bool = False) -> None:
    """Refuse what is no length of time; click takes -1 and nan for numbers."""
    if value is not None and not (0 < value < float("inf") or (zero and value == 0)):
        least = "0 or more" if zero else "above 0"
        raise UsageError(f"{option} {value:g}: seconds {least} were expected.", hint=f"{option} 300")


def _unlocked(settings: Settings, verb: str, take_over: bool) -> None:
    """Refuse before anything is made where another is at work; the lock itself is taken later, for as long as needed."""
    from resilience.core.errors import LockedError
    from resilience.host.lock import holder

    who = None if take_over else holder(settings.state)
    if who is not None:
        raise LockedError(
            f"another run holds the lock: {who}.", hint=f"wait, or hand over safely: resilience {verb} --take-over"
        )


@contextmanager
def _ending(run: Run) -> Iterator[None]:
    """Write the verdict of a run that breaks off, so that no record says "running" for ever."""
    from resilience.core.records import Verdict

    try:
        yield
    except KeyboardInterrupt:
        _write_report(run, verdict=Verdict.INTERRUPTED, exit_code=_PutDownError().exit_code)
        raise
    except Exception as exc:
        code = exc.exit_code if isinstance(exc, ResilienceError) else 30
        _write_report(run, verdict=Verdict.RUNBOOK_FAILED, exit_code=code)
        raise


def _write_report(run: Run, **judged: Any) -> Path | None:
    """Judge the run and leave its report, without the charts, which take seconds; `resilience report` draws them.

    What goes wrong with it is said, and takes nothing from the verdict.
    """
    try:
        run.report(charts=False, **judged)
    except Exception as exc:  # noqa: BLE001 - the tests' exit code counts for more than their report
        run.finish(**judged)
        sys.stderr.write(f"resilience: the report was not written in full: {exc}\n")
        return None
    return run.folder / "report.html"


async def _look(settings: Settings, critical: bool = False) -> InfrastructureHealth:
    from resilience.runs import runbook

    return await runbook.look(settings, critical=critical)


def _decide(health: InfrastructureHealth, settings: Settings, force: TestExecutionMode | None = None) -> Any:
    """Return the decision that a run would take here: an applied fallback counts as long as it is applied."""
    from datetime import UTC, datetime

    from resilience.core.mode import decide

    try:
        run = _applied_run(settings)
    except RecordError:
        run = None  # said where it matters; how staging is does not depend on it
    applied = run.incident.applied if run is not None and run.applied_now else None
    return decide(
        health,
        settings,
        now=datetime.now(UTC),
        force=force,
        asked_by="--force",
        applied=applied.mode if applied else None,
        in_use=tuple(s.service for s in applied.stand_ins if s.ready) if applied else (),
    )


def _applied_run(settings: Settings) -> Run | None:
    from resilience.runs.runbook import applied_run

    return applied_run(settings)


def _run_to_restore(settings: Settings, unreadable: str) -> Run | None:
    """Return the applied run; None where its record cannot be read, without which the files are put back all the same."""
    try:
        return _applied_run(settings)
    except ResilienceError:
        if not unreadable:
            raise
        return None


def _new_run(settings: Settings, slug: str, *, applies: bool = False) -> Run:
    from resilience.runs.runbook import Run
    from resilience.settings.build import require_configured

    require_configured(settings)
    return Run.create(settings, slug=slug, apply=applies)


def _find_run(settings: Settings, name: str) -> Path:
    from resilience.runs.runbook import latest

    if name in ("", "latest"):
        return latest(settings)
    for path in (Path(name), settings.outputs / name):
        if (path / "incident.json").exists():
            return path.resolve()
    raise UsageError(f"run {name!r} is unknown.", hint=f"ls {settings.outputs}")


def _pairs(given: list[str] | None) -> dict[str, object]:
    pairs: dict[str, object] = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"-p {text}: name=value was expected.", hint="-p samples=3")
        pairs[name.strip()] = value
    return pairs


def _builtins(record: object) -> Any:
    from resilience.core.codec import to_builtins

    return to_builtins(record) if record is not None else None


def _print_json(document: object) -> None:
    import json

    text = json.dumps(document, indent=1, ensure_ascii=False, default=str) + "\n"
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        from resilience.show.terminal import let_go

        let_go(sys.stdout)


def _exit(code: int, exit_zero: bool = False, *, looked: bool = False) -> NoReturn:
    if exit_zero and code:
        from resilience.core.words import exit_code_phrase

        sys.stderr.write(f"--exit-zero hides exit code {code}: {exit_code_phrase(code, looked=looked)}\n")
        code = 0
    raise typer.Exit(code)


def _logging(verbose: bool) -> None:
    import logging

    logging.basicConfig(
        stream=sys.stderr, format="%(levelname)s: %(message)s", level=logging.INFO if verbose else logging.ERROR
    )


def _run(task: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(task)


# Typer carries a click of its own and names only some of its errors; this is the root of those it shows to people.
_ClickException: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


class _PutDownError(ResilienceError):
    """A signal ended the command, and what it was at has been put down."""

    terminated = False
    """Whether it was SIGTERM, which is put down as carefully as Ctrl-C but exits 143."""

    def __init__(self) -> None:
        super().__init__("terminated." if self.terminated else "interrupted.")
        self.exit_code = 143 if self.terminated else 130


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _PutDownError.terminated = True
    # A running event loop has a handler of its own for Ctrl-C, which cancels what runs; an exception from here would tear it.
    signal.raise_signal(signal.SIGINT)


def main() -> NoReturn:
    """Run the command line. Whatever goes wrong becomes one line and an exit code of contracts.md."""
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # So starts a script its jobs with `&`; then neither signal would end us, nor --take-over.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _give_watch_its_default(sys.argv)
    try:
        code = app(standalone_mode=False, prog_name="resilience")
        sys.exit(code if isinstance(code, int) else 0)
    except ResilienceError as exc:
        _complain(str(exc), exc.exit_code)
    except typer.Exit as exc:
        sys.exit(exc.exit_code)
    except typer.Abort:
        _complain("interrupted.", 130)
    except _ClickException as exc:
        if type(exc).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{exc.format_message()}\n")
            sys.exit(2)
        _complain(f"{exc.format_message()} Hint: resilience --help", 2)
    except KeyboardInterrupt:
        _complain(str(_PutDownError()), _PutDownError().exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as exc:  # noqa: BLE001 - the last door: no traceback reaches a user
        _fail(exc)


def _give_watch_its_default(words: list[str]) -> None:
    """Let `--watch` stand alone for the guide's 300 seconds."""
    for position, word in enumerate(words):
        if word == "--":
            return
        following = words[position + 1 : position + 2]
        if word == "--watch" and (not following or following[0].startswith("-")):
            words.insert(position + 1, "300")
            return


def _fail(exc: Exception) -> NoReturn:
    import tempfile
    import traceback

    from resilience.core.redact import Redactor

    # Values of secret settings are not at hand here; structure is all that can be redacted.
    text = Redactor(()).text("".join(traceback.format_exception(exc)))
    with tempfile.NamedTemporaryFile("w", prefix="resilience-", suffix=".log", delete=False) as file:
        file.write(text)
    _complain(
        f"the runbook failed ({type(exc).__name__}: {Redactor(()).text(str(exc))[:200]}); nothing is known about your tests. "
        f"Hint: attach {file.name} to an issue",
        30,
    )


def _complain(text: str, code: int) -> NoReturn:
    sys.stderr.write(f"resilience: {text}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
