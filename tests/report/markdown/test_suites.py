"""resilience.report.markdown.suites: messages where a person has to find out why, tables for the rest."""

from __future__ import annotations

from dataclasses import replace

from resilience.core.records import Reached
from resilience.report.markdown.cut import Cut
from resilience.report.markdown.suites import suite_of
from resilience.report.series import Columns
from resilience.report.view import View, build
from tests.kits import incident_factory as factory


def drill(**changes: object) -> View:
    story = factory.drill()
    return build(replace(story.incident, **changes), Columns.of(story.samples))  # type: ignore[arg-type]


def section(cut: Cut = Cut(), **changes: object) -> str:  # noqa: B008 - frozen
    suite = drill().suites[0]
    return "\n\n".join(suite_of(replace(suite, result=replace(suite.result, **changes)), cut))  # type: ignore[arg-type]


def test_a_product_failure_shows_its_message_and_a_lost_test_its_reason() -> None:
    text = section()
    assert "  AssertionError" in text.partition("### Product failures")[2].partition("###")[0]
    assert "| test | why |" in text.partition("### Held back")[2].partition("###")[0]


def test_what_is_cut_is_counted() -> None:
    text = section(Cut(tests=1))
    assert "_… and 3 more in `junit.xml`._" in text
    assert "### Passed on a later round" in text
    assert "### Passed on a later round" not in section(Cut(retried=False))
    assert "AssertionError" not in section(Cut(tests=0))


def test_whether_tests_reached_a_stand_in_is_said_and_what_cannot_be_counted_as_well() -> None:
    text = section(
        reached=(
            Reached(service="database", connections=3, canary=True),
            Reached(service="redis", connections=0, canary=False),
            Reached(service="auth", connections=None),
        )
    )
    assert "database: 3 connections, tests reached it; redis: 0 connections, **the tests did not reach it**" in text
    assert "; auth: cannot count." in text
