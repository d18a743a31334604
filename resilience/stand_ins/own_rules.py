"""Say of the stand-ins that a team names itself, before anything is started, which are refused, and in which order they start.

Apart from `own`, which starts them: an assessment asks this, and needs nothing of what starts a process.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence

from resilience.core.errors import StandInError
from resilience.core.settings import Service
from resilience.services.standing_in import Wanted
from resilience.stand_ins.checkout import Checkout

START = "start"
"""The provider, and the key of the configuration."""
_PROGRAM = re.compile(r"[\w./+-]+")
_SHELL = (
    ". : break case cd command continue eval exec exit export for if local read readonly return set shift source test times "
    "trap type ulimit umask unset until wait while"
)
_OF_THE_SHELL = frozenset(_SHELL.split())
"""Words that a command may begin with and that are no program."""


def check(service: Service, checkout: Checkout, exported: Mapping[str, str]) -> None:
    """Raise StandInError where its command cannot be started as configured: nothing is run for it.

    `exported` are the exports of the services it depends on. A command behind `env_command` may find its variables and its
    program there, so these are looked for only without one.
    """
    own, name = service.own, service.name
    if own.unset:
        raise StandInError(f"{name}: its `env` needs {', '.join(own.unset)}, not set.", hint=f"export {own.unset[0]}=…")
    if own.compose_file and not (checkout.root / own.compose_file).is_file():
        raise StandInError(
            f"{name}: there is no compose file {own.compose_file}.",
            hint=f"ls {checkout.root}; its path is relative to it",
        )
    folder = checkout.root / own.cwd
    if not folder.is_dir():
        raise StandInError(
            f"{name}: the folder of its `start` does not exist: cwd = {own.cwd!r}.", hint=f"mkdir {own.cwd}"
        )
    if checkout.env_command or not own.command:
        return
    given = {variable for variable, value in own.reads.items() if value} | {*os.environ, *own.env, *exported}
    if unset := [variable for variable in own.reads if variable not in given]:
        raise StandInError(
            f"{name}: its `start` needs {', '.join(unset)}, which {'is' if len(unset) == 1 else 'are'} not set.",
            hint=f'env = {{ {unset[0]} = "…" }} beside it, or export {unset[0]}=…',
        )
    program = own.command.split()[0]
    if not _PROGRAM.fullmatch(program) or program in _OF_THE_SHELL:
        return
    path = checkout.path(os.environ.get("PATH", os.defpath))
    if shutil.which(str(folder / program) if "/" in program else program, path=path) is None:
        hint = "is it installed in the project's environment? ([runbook] python names its interpreter)"
        raise StandInError(f"{name}: its `start` begins with {program}, which is not found.", hint=hint)


def exported(service: Service, by_name: Mapping[str, Service]) -> dict[str, str]:
    """Return the exports of the services that this one depends on, of those that are stood in for (`by_name`)."""
    others = (by_name[name] for name in service.depends_on if name in by_name)
    return {name: value.reveal() for other in others for name, value in other.exports.items()}


def waves(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """Return the services in the order in which they can be brought up: each wave needs the ones before it, and nothing else.

    Only a team's own command waits for what it depends on, which it may ask as it starts; a server of a kind's own never does.
    A circle is refused when the settings are read; here its services come last, together.
    """
    left, found = list(wanted), list[list[Wanted]]()
    while left:
        names = {one.service.name for one in left}
        now = [one for one in left if not (one.service.own.command and names & {*one.service.depends_on})] or left
        found.append(now)
        left = [one for one in left if one not in now]
    return found


def refuse_one_port(wanted: Sequence[Wanted]) -> dict[str, StandInError]:
    """Return, by name, the services whose own command is to answer where another stand-in is to answer as well.

    Of two both are refused where both have a command, since either would be proven by the other's answers.
    """
    refused = {}
    for one in wanted:
        for other in wanted:
            same = (one.place.bind, one.place.port) == (other.place.bind, other.place.port)
            if one is not other and same and (one.service.own.command or one.service.own.contained):
                refused[one.service.name] = StandInError(
                    f"{one.service.name}: its stand-in and that of {other.service.name} want one port, {one.place.port}.",
                    hint=f"write another port into the `local` of {one.service.name}",
                )
    return refused


def needed(wanted: Wanted, found: Mapping[str, bool]) -> None:
    """Raise StandInError where a service it depends on was to have a stand-in and has none: `found` says which are ready."""
    missing = [name for name in wanted.service.depends_on if not found.get(name, True)]
    if missing:
        raise StandInError(
            f"{wanted.service.name}: its `start` was not run, as it depends on {', '.join(missing)}, "
            f"whose stand-in did not come up.",
            hint="resilience services status",
        )
