"""resilience.report.markdown.services: what was down, why, the evidence, and why this mode."""

from __future__ import annotations

from dataclasses import replace

from resilience.report.markdown.services import down
from resilience.report.series import Columns
from resilience.report.view import View, build
from tests.kits import incident_factory as factory
from tests.kits.shown import CAUSES


def drill(**changes: object) -> View:
    story = factory.drill()
    return build(replace(story.incident, **changes), Columns.of(story.samples))  # type: ignore[arg-type]


def test_the_worst_service_stands_first_with_its_cause_and_the_next_thing_to_do() -> None:
    text = "\n".join(down(drill()))
    assert text.index("**database** (critical)") < text.index("**redis**")
    assert text.index("**Likely cause: VPC connector**") < text.index("Next: ") < text.index("Evidence by service")
    assert "**Why mode degraded:**" in text


def test_one_cause_is_likely_with_what_speaks_against_it_and_the_others_stand_in_one_line() -> None:
    health = factory.drill().incident.health
    assert health is not None
    text = "\n".join(down(drill(health=replace(health, causes=CAUSES))))
    assert text.count("Likely cause") == 1
    assert "- against it: `it does not explain [redis]`" in text
    assert "**Also possible:** DNS resolver (clickhouse); this service alone (redis, websocket)" in text


def test_only_what_was_unwell_has_evidence() -> None:
    evidence = "\n".join(down(drill())).partition("Evidence by service")[2]
    assert "**database** at" in evidence
    assert "**redis** at" not in evidence


def test_staging_that_was_not_assessed_is_unknown_and_said_to_be() -> None:
    assert down(drill(health=None))[1] == "Nothing is known: the services were not assessed."
