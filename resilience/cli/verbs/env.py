"""Turn what is applied into lines that a shell evaluates, or takes back."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment
from resilience.core.errors import UsageError, did_you_mean

with on_demand():
    from resilience.core import envtext, variables
    from resilience.fallback import exported, journal
    from resilience.host import files

app = verb()
_SHELLS = ("bash", "zsh", "dash", "sh", "ksh", "fish")


@app.command()
def env(
    unset: Annotated[bool, typer.Option("--unset", help="Take the variables back from this shell.")] = False,
    shell: Annotated[
        str, typer.Option("--shell", help="bash, zsh, dash, sh, ksh or fish; else the one that asks.")
    ] = "",
    config: Config = "",
    environment: Environment = "",
) -> None:
    """The applied variables for a shell: eval "$(resilience env)".

    \b
      eval "$(resilience env)"
      eval "$(resilience env --unset)"         give the shell back what it had
      resilience env --shell fish | source
    """
    if shell and shell not in _SHELLS:
        raise UsageError(f"--shell {shell!r} is unknown.", hint=did_you_mean(shell, _SHELLS))
    fish = (shell or _asking()) == "fish"
    settings = settings_from(config, environment)
    applied = journal.load(settings.state)
    known = exported.exported_names(settings.state)
    if unset:
        kept = {name.removeprefix(envtext.WAS) for name in os.environ if name.startswith(envtext.WAS)}
        names = {name for name in known if name in os.environ} | kept
        _say(envtext.unset_lines(names, kept=kept, fish=fish))
        return
    if applied is None or applied.status != "applied":
        raise UsageError("no fallback is applied here, so there is nothing to export.", hint="resilience apply")
    values = files.read_env_file(settings.env_file)
    own = _own(values, known)
    exported.note_exported(settings.state, values)
    if own:
        sys.stderr.write(
            f"resilience env: this shell had values of its own for {', '.join(sorted(own))}; "
            f"they are kept as {envtext.WAS}…, and env --unset gives them back\n"
        )
    _say(envtext.export_lines(values, own=own, fish=fish))


def _own(values: Mapping[str, str], known: tuple[str, ...]) -> set[str]:
    """Return the names of which this shell has a value that is not ours and not yet kept.

    In a shell that evaluated `env` before, the names of that time are ours already.
    """
    ours = set(known) if os.environ.get(variables.APPLIED) else set()
    return {
        name
        for name, value in values.items()
        if os.environ.get(name, value) != value and name not in ours and f"{envtext.WAS}{name}" not in os.environ
    }


def _asking() -> str:
    """Return the name of the process that asks, which in a substitution is the shell itself; "" where it is hidden."""
    try:
        return Path(f"/proc/{os.getppid()}/comm").read_text().strip()
    except OSError:
        return Path(os.environ.get("SHELL", "")).name


def _say(lines: str) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Values are bytes of a file, whatever the locale says.
        sys.stdout.reconfigure(encoding="utf-8", errors="strict")
    sys.stdout.write(lines)
