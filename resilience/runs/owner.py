"""Turn the owner that a run's record names into what is known of it from here: at work, killed, or on another host."""

from __future__ import annotations

import os
from dataclasses import replace

from resilience.core.records import ExitCode, Incident, Owner, Verdict
from resilience.host.processes import identity, is_alive
from resilience.host.vantage import vantage


def this_process() -> Owner:
    """Return what names this process to whoever reads a record later, also once its pid belongs to another."""
    return Owner(host=vantage().host, pid=os.getpid(), started=identity(os.getpid()))


def is_killed(incident: Incident) -> bool:
    """Say whether the run has no end and nobody who could still write one: its owner was of this host and is gone.

    Of another host's process nothing can be known from here, and a record of an earlier version names none.
    """
    owner = incident.owner
    if incident.verdict is not Verdict.RUNNING or owner is None or owner.host != vantage().host:
        return False
    return not is_alive(owner.pid, owner.started)


def elsewhere(incident: Incident) -> str:
    """Return the host on which a run without an end was begun, where that is another than this one; else nothing."""
    owner = incident.owner
    unknown = incident.verdict is Verdict.RUNNING and owner is not None and owner.host != vantage().host
    return owner.host if unknown and owner is not None else ""


def as_found(incident: Incident) -> Incident:
    """Return the incident as a reader must show it: `killed` where it says `running` and its owner is dead.

    Nothing is written: that is for `restore`, `report` and the next run (`runs.ending.settle`).
    """
    return replace(incident, verdict=Verdict.KILLED, exit_code=ExitCode.KILLED) if is_killed(incident) else incident
