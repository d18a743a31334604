"""Explain the whole or one verb, as its `--help` does."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from resilience.cli.group import VERBS, verb
from resilience.core.errors import UsageError, did_you_mean

app = verb()


def _verbs() -> list[tuple[str, str]]:
    return list(VERBS.items())


@app.command("help")
def explain(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(help="A verb; else all of them.", metavar="[VERB]", autocompletion=_verbs),
    ] = None,
) -> None:
    """Explain a verb, with examples.

    \b
      resilience help test
      resilience help services up
    """
    explained: Any = ctx.parent
    words = words or []
    for number, word in enumerate(words):
        known = explained.command.list_commands(explained) if hasattr(explained.command, "list_commands") else ()
        if word not in known:
            hint = did_you_mean(word, known) if known else f"resilience help {' '.join(words[:number])}"
            raise UsageError(f"{explained.command_path} {word}: no such verb.", hint=hint)
        inner = explained.command.get_command(explained, word)
        explained = typer.Context(inner, info_name=word, parent=explained)
    sys.stdout.write(f"{explained.get_help()}\n")
