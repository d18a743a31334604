"""Turn the first word typed into the command of one verb; no other verb's file is imported.

The help of the whole names every verb by its row here, so that it need import none.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer

from resilience.cli.ends import EndedBySignalError
from resilience.core.errors import UsageError, did_you_mean

VERBS: Mapping[str, str] = {
    "assess": "One look at all services: what is down, why, what to type next.",
    "mode": "The mode the tests should run in, and why.",
    "plan": "What apply would do, in the words it will use. Changes nothing.",
    "apply": "Start stand-ins and write the env file, so that it can be undone to the byte.",
    "restore": "Put the env file back to the byte and stop the stand-ins. No database is touched.",
    "undo": "The same as restore.",
    "env": 'What the child processes get, for shells: eval "$(resilience env)".',
    "test": "Run commands in the mode that fits: resilience test -- pytest tests/unit -v",
    "judge": "The plug-in's events on stdin: what the tests came to and what to run again, as JSON. Runs nothing.",
    "why": "The evidence of a test's judgement: rule, sign, endpoint, looks before and after.",
    "recover": "Wait until staging stays healthy, then restore, run the critical tests, then the full suite.",
    "run": "All stages headless through papermill; always leaves a report. Only looks unless --apply is given.",
    "resume": "Continue a run at the stage that failed.",
    "drill": "The whole runbook against an embedded staging that breaks on a timetable. Touches nothing of yours.",
    "lab": "The embedded staging by hand: prints its variables and takes faults by name until Ctrl-C.",
    "ack": "Acknowledge the outage that lasts: escalations and reminders of it stop.",
    "note": 'Put a note on the timeline: resilience note "restarted the connector" --at 03:40',
    "publish": "Write a run onto its issue: one comment that is edited, and news; --dry-run shows the exact text.",
    "report": "Write the report of a run again, from its records.",
    "status": "What is applied, what runs, who holds the lock; --hand-over prints it for the next engineer.",
    "say": "The incident in three sentences: --for team, status-page or exec; --hand-over for the next on-call.",
    "watch": "Look every 300 s, print and alert only what changes; a restart tells nothing twice.",
    "doctor": "What is missing, unset, unreachable or never drilled, and what to type.",
    "init": "Set this repository up: looks at it, shows what it would write, writes resilience.toml.",
    "schedule": "Print the files of cron, systemd, github-actions, gitlab, kubernetes or airflow that look at staging.",
    "notebook": "Open a copy of the notebooks in JupyterLab.",
    "services": "Start, stop and show the stand-ins on this machine.",
}
"""Verb → the first line of its own help. `resilience.cli.verbs.VERB` holds it, as `app`."""

_HELP = """Find out what is broken in staging, and run the tests all the same.

\b
  resilience assess                      what is down, why, and what to type next
  resilience drill database-unavailable  the whole runbook against an outage of our own
"""


def verb(**settings: Any) -> typer.Typer:
    """Return what a verb's file registers its command with, under the name `app`."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, **settings)


class Verbs(typer.core.TyperGroup):
    """All verbs, each imported when it is called or explained; a mistyped one gets "did you mean".

    A mistyped verb is refused before anything is imported; `--help` imports none either, as it takes the rows of
    VERBS.
    """

    def __init__(self) -> None:
        super().__init__(name="resilience", help=_HELP, no_args_is_help=True, rich_markup_mode=None)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        return typer.main.get_command(import_module(f"resilience.cli.verbs.{cmd_name}").app)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = formatter.width - 6 - max(map(len, VERBS))
        rows = [
            (name, typer.core.TyperCommand(name, help=text).get_short_help_str(width)) for name, text in VERBS.items()
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            raise UsageError(f"resilience {args[0]}: no such verb.", hint=did_you_mean(args[0], VERBS))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as exc:
            # Typer would make both signals the same silent 130.
            raise EndedBySignalError from exc
