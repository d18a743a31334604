"""resilience.report.exports.ctrf: the published schema takes it, and an outage is `other`, never passed, failed or skipped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from resilience.core.records import Outcome
from resilience.report.exports.ctrf import STATUSES, ctrf
from tests.kits import incident_factory as factory

SCHEMA = json.loads((Path(__file__).parents[2] / "data" / "ctrf" / "schema.json").read_text())


@pytest.mark.parametrize("story", [factory.drill, factory.green, factory.failed, factory.hostile, factory.night])
def test_the_published_schema_takes_every_story(story: Callable[[], factory.Story]) -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(json.loads(json.dumps(ctrf(story().incident))))


def test_every_outcome_has_a_row_and_only_ours_is_failed() -> None:
    assert set(STATUSES) == set(Outcome)
    assert {outcome for outcome, status in STATUSES.items() if status == "failed"} == {Outcome.FAILED, Outcome.ERROR}
    assert STATUSES[Outcome.INFRASTRUCTURE_UNAVAILABLE] == STATUSES[Outcome.UNDECIDED] == "other"


def test_counts_add_up_and_raw_statuses_are_ours() -> None:
    incident = factory.drill().incident
    found = ctrf(incident)["results"]
    summary = found["summary"]
    assert summary["tests"] == len(found["tests"])
    assert summary["tests"] == sum(summary[key] for key in ("passed", "failed", "skipped", "pending", "other"))
    assert incident.tests is not None
    lost = [test for test in found["tests"] if test["rawStatus"] in ("infrastructure_unavailable", "held_back")]
    assert len(lost) == incident.tests.totals.infrastructure_unavailable
    assert {test["status"] for test in lost} == {"other"}


def test_healthy_is_said_of_staging_and_a_round_that_was_lost_is_an_attempt() -> None:
    assert ctrf(factory.green().incident)["results"]["environment"]["healthy"] is True
    tests = ctrf(factory.drill().incident)["results"]["tests"]
    again = [test for test in tests if test["retries"]]
    assert again
    assert all(test["retryAttempts"][0]["status"] == "other" for test in again)
