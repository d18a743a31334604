"""Turn the first word typed into the command of one verb; no other verb's file is imported.

The help of the whole names every verb by its row here, so that it need import none.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from resilience.cli.demand import on_demand
from resilience.cli.ends import EndedBySignalError
from resilience.core.errors import UsageError, did_you_mean
from resilience.show import sticky

with on_demand():
    from importlib import metadata

GROUPS: Mapping[str, Mapping[str, str]] = {
    "When staging is down, in this order": {
        "assess": "One look at all services: what is down, why, what to type next.",
        "plan": "What apply would do, in the words it will use. Changes nothing.",
        "apply": "Start stand-ins, write the env file; undone to the byte later.",
        "test": "Run test commands in the mode that fits; say what they proved.",
        "status": "How staging is, what is applied, what ran last, what is next.",
        "recover": "Wait until staging stays well, restore, prove it by tests.",
        "restore": "Put the env file back to the byte and stop the stand-ins.",
    },
    "What happened, and telling people": {
        "why": "Why a test was judged as it was: rule, sign, looks.",
        "say": "The incident in three sentences; or as a note to hand over.",
        "note": "Put a note on the timeline of the incident.",
        "ack": "Acknowledge the outage that lasts: its escalations stop.",
        "report": "Write the report of a run again, from its records.",
        "history": "Availability, outages and flaky tests over a period.",
        "publish": "Write a run onto its issue: one comment, edited, and news.",
    },
    "All stages, or without a person": {
        "run": "All stages without a person; always leaves a report.",
        "resume": "Continue a run at the stage that failed.",
        "watch": "Look every five minutes; print and alert only what changes.",
        "sync": "Send what waits for another host: reports, the shared history.",
        "schedule": "Print the files with which a scheduler looks at staging.",
        "notebook": "Open a copy of the notebooks in JupyterLab.",
    },
    "While staging is well": {
        "teach": "Let staging teach its stand-ins: routes, a HAR, databases.",
        "rehearse": "The tests on taught stand-ins, without staging: fidelity.",
        "taught": "What staging taught its stand-ins; --verify, --delete.",
    },
    "Practice, on a staging of its own": {
        "drill": "The whole runbook against an outage on a timetable.",
        "lab": "The embedded staging by hand: type a fault, see what it does.",
    },
    "Set-up and parts": {
        "init": "Set this repository up: shows, then writes resilience.toml.",
        "doctor": "What is missing, unset, unreachable or never drilled.",
        "mode": "The mode the tests should run in, and why.",
        "env": 'The applied variables for a shell: eval "$(resilience env)".',
        "services": "Start, stop and show the stand-ins on this machine.",
        "judge": "The plug-in's events on stdin: outcomes as JSON. Runs nothing.",
        "undo": "The same as restore.",
        "completion": "Print what completes words in bash, zsh or fish.",
        "help": "Explain a verb, with examples.",
    },
}
"""Verb → the first line of its own help, in the groups and the order in which the help of the whole shows them.

A text fits a row of 80 columns, so that none is cut. `resilience.cli.verbs.VERB` holds the verb, as `app`.
"""

LONG = frozenset(
    {
        *("assess", "mode", "plan", "apply", "test", "recover", "restore", "run", "resume", "drill"),
        *("report", "publish", "doctor", "services"),
    }
)
"""What may take longer than a glance; `watch` and `lab` have the terminal for themselves, `init` asks."""

VERBS: Mapping[str, str] = {name: text for rows in GROUPS.values() for name, text in rows.items()}

_HELP = """Find out what is broken in staging, and run the tests all the same.

\b
  resilience assess                      what is down, why, what to type next
  resilience drill database-unavailable  the whole runbook, against an outage
  resilience help test                   one verb, with examples
"""


def verb(**settings: Any) -> typer.Typer:
    """Return what a verb's file registers its command with, under the name `app`."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, **settings)


def _say_version(ctx: Any, _parameter: object, asked: bool) -> None:
    """Say the version, and which of several installations answers, as a team's interpreter may hold another."""
    if asked and not ctx.resilient_parsing:
        ours, here = metadata.version("resilience-runbook"), Path(__file__).parents[1]
        sys.stdout.write(f"resilience {ours} (Python {platform.python_version()}, {here})\n")
        raise typer.Exit(0)


class Verbs(typer.core.TyperGroup):
    """All verbs in their groups, each imported when it is called or explained; a mistyped one gets "did you mean".

    A mistyped verb is refused before anything is imported; `--help` imports none either, as it takes the rows of
    VERBS.
    """

    def __init__(self) -> None:
        super().__init__(
            name="resilience",
            help=_HELP,
            no_args_is_help=True,
            rich_markup_mode=None,
            context_settings={"help_option_names": ["-h", "--help"]},
            params=[
                typer.core.TyperOption(
                    param_decls=["--version"],
                    is_flag=True,
                    is_eager=True,
                    expose_value=False,
                    callback=_say_version,
                    help="Say which version this is, and exit.",
                )
            ],
        )

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        return typer.main.get_command(import_module(f"resilience.cli.verbs.{cmd_name}").app)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the groups; padded names give all of them one width of the first column."""
        pad = max(map(len, VERBS))
        for title, rows in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(pad), text) for name, text in rows.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            raise UsageError(f"resilience {args[0]}: no such verb.", hint=did_you_mean(args[0], VERBS))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Import the verb and call it; where it may take long, a line at the foot of the terminal says so from the start."""
        name = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
        try:
            with sticky.line(f"{name}: starting") if name in LONG else nullcontext():
                return super().invoke(ctx)
        except KeyboardInterrupt as exc:
            # Typer would make both signals the same silent 130.
            raise EndedBySignalError from exc
