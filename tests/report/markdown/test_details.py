"""resilience.report.markdown.details: each stage with how it ended and how long it took."""

from __future__ import annotations

from dataclasses import replace

from resilience.core.records import StageStatus
from resilience.report.markdown.details import details
from resilience.report.series import Columns
from resilience.report.view import View, build
from tests.kits import incident_factory as factory


def drill(**changes: object) -> View:
    story = factory.drill()
    return build(replace(story.incident, **changes), Columns.of(story.samples))  # type: ignore[arg-type]


def test_every_stage_is_listed_by_the_word_of_its_status() -> None:
    stages = tuple(replace(stage, status=StageStatus.DONE_BY_HAND) for stage in factory.drill().incident.stages)
    text = "\n".join(details(drill(stages=stages)))
    assert text.count("| done by hand |") == len(stages)


def test_parameters_and_versions_are_code_and_notes_are_a_list() -> None:
    text = "\n".join(details(drill(parameters={"mode": "`x`"}, versions={"python": "3.11.9"}, notes=("a note",))))
    assert "| mode | `` `x` `` |" in text
    assert "| version of python | `3.11.9` |" in text
    assert "- a note" in text


def test_a_run_without_any_of_them_has_no_details() -> None:
    assert details(drill(stages=(), parameters={}, versions={}, notes=())) == []
