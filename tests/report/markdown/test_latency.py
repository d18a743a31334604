"""resilience.report.markdown.latency: before, during and after where there was an outage, else one stretch."""

from __future__ import annotations

from dataclasses import replace

from resilience.report.markdown.cut import Cut
from resilience.report.markdown.latency import latency
from resilience.report.series import Columns
from resilience.report.view import View, build
from tests.kits import incident_factory as factory


def drill(**changes: object) -> View:
    story = factory.drill()
    return build(replace(story.incident, **changes), Columns.of(story.samples))  # type: ignore[arg-type]


def test_an_outage_is_compared_with_before_and_after() -> None:
    text = "\n".join(latency(drill(), Cut()))
    assert "| service | p50 / p95 / max | loss |" in text
    assert "without an answer" in text
    assert "without an answer" not in "\n".join(latency(drill(), Cut(phases=False)))


def test_without_an_outage_there_is_one_stretch_with_its_samples() -> None:
    story = factory.green()
    text = "\n".join(latency(build(story.incident, Columns.of(story.samples)), Cut()))
    assert "| service | p50 / p95 / max | loss |" in text


def test_without_samples_there_is_no_section() -> None:
    assert latency(build(factory.failed().incident, Columns()), Cut()) == []
