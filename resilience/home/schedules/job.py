"""Turn settings into what a scheduled job must know of this repository: paths, names of secrets, limits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from resilience.core.settings import Settings

EVERY_MINUTES = 5
"""The guide's interval of monitoring."""
TEACH_LIMIT_S = 3000
"""Seconds after which a lesson and a rehearsal are ended: before the next hour."""
LIMIT_S = 280
"""Seconds after which a look is ended: before the next one begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The look at staging, as a scheduler runs it. Secrets are names; no value of any is part of it."""

    root: Path
    executable: Path
    """This command's own file, for schedulers on this machine, whose PATH is bare."""
    outputs: str
    """The folder of reports, below the root where it lies there."""
    config: str
    """The configuration below the root; empty: none of its own."""
    secrets: tuple[str, ...]
    """The variables of which staging's addresses are made."""
    secrets_file: str
    """An env file on this machine that holds them; what reads it must be its owner."""
    reads_file_itself: bool
    """Whether that file is the configuration's `staging_env`, which needs no shell to load it."""
    install: str
    """What pip installs where nothing is installed, as on CI's machines."""
    teaches: bool = False
    """Whether a service teaches its stand-in: then what is due of that is done beside the look, where this folder stays."""

    @property
    def name(self) -> str:
        """A name for units and objects: the folder's, of lower-case letters, digits and -."""
        word = re.sub(r"[^a-z0-9]+", "-", self.root.name.lower()).strip("-")
        return f"resilience-{word}"[:50].rstrip("-") if word else "resilience"

    @property
    def words(self) -> tuple[str, ...]:
        """The words behind `resilience`: look, change nothing, and fail only where something failed."""
        return ("run", "--no-apply", "--fail-on", "failures")

    @property
    def teaching(self) -> tuple[str, ...]:
        """The words behind `resilience`, each hour: a lesson and a rehearsal where they are due."""
        return ("teach", "--due")


def job_of(settings: Settings, *, executable: Path, install: str) -> Job:
    """Return the job of these settings."""
    places = settings.places
    secrets = tuple(dict.fromkeys(name for service in settings.services for name in service.url_names))
    source = settings.source
    own = source is not None and source.is_relative_to(settings.root)
    return Job(
        root=settings.root,
        executable=executable,
        outputs=places.shown(settings.outputs),
        config=places.shown(source) if own and source is not None else "",
        secrets=secrets,
        secrets_file=places.shown(settings.staging_env) if settings.staging_env else ".resilience/staging.env",
        reads_file_itself=settings.staging_env is not None,
        teaches=any(service.teach for service in settings.services),
        install=install,
    )


def secrets_told(job: Job, *, prefix: str = "# ") -> str:
    """Return the comment lines that name the secrets, at most 100 characters wide."""
    lines, line = [], ""
    for name in job.secrets or ("none: no url of the configuration has a ${VARIABLE}",):
        if line and len(line) + len(name) > 90:
            lines.append(line)
            line = ""
        line = f"{line} {name}".strip()
    return "".join(f"{prefix}  {text}\n" for text in [*lines, line])
