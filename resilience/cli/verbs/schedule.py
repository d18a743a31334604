"""Print or write the files by which a scheduler looks at this repository's staging."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from resilience.cli.arguments import settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config
from resilience.core.errors import UsageError, did_you_mean

with on_demand():
    from resilience.home import schedules
    from resilience.settings import environment
    from resilience.show import terminal

app = verb()


def _schedulers() -> list[str]:
    return list(schedules.SCHEDULERS)


@app.command()
def schedule(
    scheduler: Annotated[
        str,
        typer.Argument(
            help="cron, systemd, github-actions, gitlab, kubernetes or airflow.", autocompletion=_schedulers
        ),
    ],
    out: Annotated[
        str, typer.Option("--out", help="Write the files below this folder, instead of printing them.")
    ] = "",
    install: Annotated[str, typer.Option("--install", help="What pip installs on CI's machines and in images.")] = "",
    config: Config = "",
) -> None:
    """Print the files with which a scheduler looks at staging.

    \b
      resilience schedule cron
      resilience schedule github-actions --out .
    """
    if scheduler not in schedules.SCHEDULERS:
        raise UsageError(f"scheduler {scheduler!r} is unknown.", hint=did_you_mean(scheduler, schedules.SCHEDULERS))
    install = install or f"resilience-runbook=={version('resilience-runbook')}"
    if "'" in install or "\n" in install:
        raise UsageError("--install: a requirement without quotes was expected.", hint="--install resilience-runbook")
    job = schedules.job.job_of(
        settings_from(config), executable=Path(sys.executable).with_name("resilience"), install=install
    )
    files = schedules.SCHEDULERS[scheduler](job)
    if not out:
        sys.stdout.write("\n".join(f"# ---- {name}\n{text or _copied(name)}" for name, text in files.items()))
        return
    taken = [name for name in files if (Path(out) / name).exists()]
    if taken:
        raise UsageError(f"{Path(out) / taken[0]} is there already, nothing was written.", hint="--out another folder")
    for name, text in files.items():
        path = Path(out) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text:
            path.write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(environment.shipped("notebooks") / name, path)
        terminal.out.print(f"Wrote {path}", markup=False, soft_wrap=True)


def _copied(name: str) -> str:
    return f"# a copy of {environment.shipped('notebooks') / name}: --out DIR writes it\n"
