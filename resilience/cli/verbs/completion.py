"""Print what a shell evaluates to complete our words, and the words it asks for at each Tab."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.core.errors import UsageError, did_you_mean

with on_demand():
    from resilience.cli import completing

app = verb()


def _shells() -> list[str]:
    return list(completing.SCRIPTS)


@app.command(context_settings={"allow_extra_args": True})
def completion(
    ctx: typer.Context,
    shell: Annotated[str, typer.Argument(help="bash, zsh or fish.", metavar="SHELL", autocompletion=_shells)],
    ask: Annotated[bool, typer.Option("--words", hidden=True)] = False,
) -> None:
    """Print what completes words in bash, zsh or fish.

    \b
      eval "$(resilience completion bash)"       in ~/.bashrc
      eval "$(resilience completion zsh)"        in ~/.zshrc, after compinit
      resilience completion fish | source        in ~/.config/fish/config.fish
    """
    if shell not in completing.SCRIPTS:
        raise UsageError(f"shell {shell!r} is unknown.", hint=did_you_mean(shell, completing.SCRIPTS))
    if ask:
        sys.stdout.write(completing.lines(completing.candidates(ctx.args), shell))
        return
    if ctx.args:
        raise UsageError(f"{ctx.args[0]!r} was not expected.", hint=f"resilience completion {shell}")
    sys.stdout.write(completing.SCRIPTS[shell])
