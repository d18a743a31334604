"""resilience.report.markdown.changes: whether this machine was put back is said first, and no secret value stands there."""

from __future__ import annotations

from dataclasses import replace

from resilience.core.records import EnvChange
from resilience.report.markdown.changes import changes
from resilience.report.markdown.cut import Cut
from resilience.report.series import Columns
from resilience.report.view import View, build
from tests.kits import incident_factory as factory


def drill(**changes: object) -> View:
    story = factory.drill()
    return build(replace(story.incident, **changes), Columns.of(story.samples))  # type: ignore[arg-type]


def test_what_was_not_restored_says_how_to(tmp_path: object) -> None:
    section = changes(drill(restored=None), Cut())
    assert "**Not restored yet**: `resilience restore` puts everything back." in section[1]


def test_what_was_restored_says_whether_every_byte_is_as_before() -> None:
    restored = factory.drill().incident.restored
    assert restored is not None
    assert (
        "every byte, mode and existence as before"
        in changes(drill(restored=replace(restored, identical=True)), Cut())[1]
    )
    assert "**but not identical**" in changes(drill(restored=replace(restored, identical=False)), Cut())[1]


def test_nothing_applied_is_said() -> None:
    assert changes(drill(applied=None), Cut())[1] == "Nothing was changed on this machine."


def test_a_secret_variable_has_no_value_and_one_that_was_not_there_has_a_dash() -> None:
    applied = factory.drill().incident.applied
    assert applied is not None
    found = (
        EnvChange(name="DB_PASSWORD", before="old", after="new", secret=True),
        EnvChange(name="ADDED", before=None, after="1"),
        EnvChange(name="GONE", before="1", after=None),
    )
    text = "\n".join(changes(drill(applied=replace(applied, changes=found)), Cut()))
    assert "| `DB_PASSWORD` | secret | secret |" in text
    assert "| `ADDED` | – | `1` |" in text
    assert "| `GONE` | `1` | removed |" in text
    assert "DB_PASSWORD" not in "\n".join(changes(drill(applied=replace(applied, changes=found)), Cut(changes=False)))
