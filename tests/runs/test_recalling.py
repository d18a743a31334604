"""resilience.runs.recalling: what an outage cost, and that it came before, stands on every screen where people ask for it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from resilience.core.records import ConnectivityStatus, Sample
from resilience.runs import memory
from resilience.runs.history import History
from resilience.runs.keeping import Keeping
from resilience.runs.recalling import facts_of_run, recalled_here, recalled_now
from resilience.runs.runbook import Run
from tests.cli.conftest import type_in
from tests.kits.alone import ALONE
from tests.kits.records import health
from tests.kits.run_kit import an_incident, change, settings_of
from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type

__all__ = ["type_in"]


def an_earlier_outage(team: Path) -> None:
    """Ten days ago the same service was down for 45 minutes, and somebody noted what ended it."""
    settings = settings_of(team)
    began = datetime.now(UTC) - timedelta(days=10)
    old = replace(an_incident(), run="old", started_at=began, health=health({}))
    ill = Sample(at=began, service="backend_api", status=ConnectivityStatus.UNAVAILABLE, response_time_s=5.0)
    memory.record(settings, old, [ill])
    with History(settings.outputs / "history.sqlite") as kept:
        Keeping(kept).say(
            "note",
            environment="staging",
            incident=kept.incident_of(old),
            at=began + timedelta(minutes=40),
            author="ana@laptop",
            text="restarted the connector",
        )
        kept.db.execute("UPDATE incident SET closed_us = opened_us + 2700000000")


def test_every_screen_says_the_cost_and_that_it_came_before(type_in: Type, team: Path, staging: SmallStaging) -> None:
    an_earlier_outage(team)
    change(team, "critical = true\n", 'markers = ["real_backend"]\n')
    (team / "tests" / "test_real.py").write_text(
        "import pytest\n\n\n@pytest.mark.real_backend\n@pytest.mark.parametrize('n', [1, 2])\ndef test_it(n):\n    pass\n"
    )
    (team / "pytest.ini").write_text(f"[pytest]\naddopts = {ALONE}\nmarkers =\n    real_backend\n")
    staging.status = 503
    for _ in range(2):
        assert type_in("test").code in (10, 20)
    before = "second time in 90 days for backend_api; the last began "
    ended = "last ended by: restarted the connector (ana@laptop)"
    lost = "4 tests held back or lost"
    said = {
        "status": type_in("status").out,
        "json": json.dumps(json.loads(type_in("status", "--json").out)["outage"]),
        "hand-over": type_in("say", "--hand-over").out,
        "team": type_in("say").out,
        "exec": type_in("say", "--for", "exec").out,
        "comment": type_in("publish", "--dry-run").out.replace("\\", ""),
        "report.md": (team / "outputs" / "latest" / "report.md").read_text().replace("\\", ""),
        "report.html": (team / "outputs" / "latest" / "report.html").read_text(),
    }
    assert {where for where, text in said.items() if before in text and ended in text} == set(said)
    assert {where for where, text in said.items() if lost in text} == set(said) - {"team"}


def test_an_outage_that_is_over_is_told_from_its_beginning_in_an_earlier_run(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    """The run that sees the end may have begun a moment before it."""
    staging.status = 503
    type_in("test")
    outputs = settings_of(team).outputs
    with History(outputs / "history.sqlite") as kept:
        kept.db.execute("UPDATE incident SET opened_us = opened_us - 7200000000")
    assert type_in("test").code == 20
    staging.status = 200
    assert type_in("run", "--apply").code in (0, 1)
    for reader in ("team", "exec"):
        assert "2 h" in type_in("say", "--for", reader).out


def test_what_is_written_of_a_run_does_not_depend_on_when_it_is_written(team: Path) -> None:
    """`publish --dry-run`, and what is posted a minute or a day later, say the same of a run that is over."""
    settings = settings_of(team)
    began = datetime.now(UTC) - timedelta(hours=5)
    run = replace(an_incident(), started_at=began, finished_at=began + timedelta(minutes=30), health=health({}))
    ill = Sample(at=began, service="backend_api", status=ConnectivityStatus.UNAVAILABLE, response_time_s=5.0)
    memory.record(settings, run, [ill])
    with History(settings.outputs / "history.sqlite") as kept:
        assert facts_of_run(kept, run) == (("Cost so far", "outage 30 min"),)
    now = recalled_here(settings, run)
    assert now is not None
    assert now.cost == "outage 5 h"


def test_a_run_without_an_outage_has_no_past(team: Path) -> None:
    settings = settings_of(team)
    run = Run.create(settings)
    assert recalled_here(settings, run.incident) is None
    assert facts_of_run(None, run.incident) == ()
    assert recalled_now(settings, "nothing") is None
