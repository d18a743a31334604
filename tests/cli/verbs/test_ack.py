"""An outage that lasts can be taken, and escalations of it stop, in every process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from resilience.core.records import Sample
from resilience.runs import memory
from tests.kits.records import S
from tests.kits.run_kit import an_incident, settings_of
from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type


def test_there_must_be_an_outage(type_in: Type, team: Path) -> None:
    type_in("ack").complains("no outage is known that lasts", "resilience assess")


def test_assess_and_status_show_an_escalation_until_somebody_takes_it(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    staging.status = 503
    began = datetime.now(UTC) - timedelta(minutes=31)
    down = Sample(at=began, service="backend_api", status=S.UNAVAILABLE, response_time_s=1.0)
    memory.record(settings_of(team), an_incident(), [down])
    said = type_in("assess")
    assert "ESCALATE: critical services down for 31 minutes (limit 30): backend_api" in said.out
    assert "resilience assess --details   the text to paste, what each service said" in said.out
    said = type_in("assess", "--details")
    assert "ESCALATE: critical services down for 31 minutes (limit 30): backend_api" in said.out
    assert "  **Escalation:** " in said.out
    (notice,) = type_in("assess", "--json").json["escalation"]
    assert (notice["rule"], notice["quiet"]) == ("critical_down", "")
    outage = type_in("status", "--json").json["outage"]
    assert [one["rule"] for one in outage["escalation"]] == ["critical_down"]
    assert "ESCALATE" in type_in("status").out
    assert "  **Escalation:** " in type_in("status", "--hand-over").out
    taken = type_in("ack", "on it", "--for", "60")
    assert taken.code == 0
    assert "no escalation goes out until" in taken.out
    assert "NOT ESCALATED (acknowledged by" in type_in("assess").out
    assert type_in("ack", "--for", "0").out == "Taken back: escalations go out again.\n"
    assert "\nESCALATE: " in type_in("assess").out
