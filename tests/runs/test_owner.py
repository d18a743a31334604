"""A run without an end is killed where its owner of this host is gone, and not known where the owner is elsewhere."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from resilience.core.records import Owner, Verdict
from resilience.host.processes import identity
from resilience.host.vantage import vantage
from resilience.runs.owner import as_found, elsewhere, is_killed, this_process
from tests.kits.run_kit import an_incident


def gone() -> Owner:
    """A process that was here a moment ago."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        known = identity(process.pid)
        process.communicate(b"\n")
    return Owner(host=vantage().host, pid=process.pid, started=known)


def test_a_run_whose_owner_is_gone_is_read_as_killed() -> None:
    incident = an_incident(owner=gone())
    assert is_killed(incident)
    assert (as_found(incident).verdict, as_found(incident).exit_code) == (Verdict.KILLED, 137)


def test_a_later_process_with_the_same_pid_is_not_the_owner() -> None:
    assert is_killed(an_incident(owner=replace(this_process(), started="another boot:1")))


@pytest.mark.parametrize(
    ("owner", "verdict"),
    [(this_process(), Verdict.RUNNING), (None, Verdict.RUNNING), (gone(), Verdict.PASSED)],
    ids=["alive", "none, as of earlier versions", "with an end"],
)
def test_who_lives_is_not_known_or_has_an_end_is_left_as_it_is(owner: Owner | None, verdict: Verdict) -> None:
    incident = an_incident(owner=owner, verdict=verdict)
    assert as_found(incident) is incident
    assert elsewhere(incident) == ""


def test_of_another_hosts_process_nothing_is_known_from_here() -> None:
    incident = an_incident(owner=replace(gone(), host="elsewhere"))
    assert not is_killed(incident)
    assert elsewhere(incident) == "elsewhere"
    assert elsewhere(replace(incident, verdict=Verdict.PASSED)) == ""
