"""A kind says what it can be taught besides traffic, and by what; one that says nothing has no such lessons."""

from __future__ import annotations

import pytest

from resilience.core.kind import Kind
from resilience.services.registry import BUILT_IN
from resilience.services.teaching import CannotTeachError, InTheWayError, Lessons, lessons_of


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.name)
def test_what_a_kind_teaches_and_what_holds_the_lessons_are_said_together(kind: Kind) -> None:
    doubles = kind.doubles
    lessons = lessons_of(kind)
    assert (lessons is not None) == bool(doubles and doubles.teaches)
    assert lessons is None or isinstance(lessons, Lessons)
    if lessons is not None:
        assert "teach" in kind.keys, "else no configuration can ask for it"


def test_a_lesson_that_was_in_the_way_is_one_that_failed() -> None:
    assert issubclass(InTheWayError, CannotTeachError)
    assert CannotTeachError("x").exit_code == 30
