"""resilience.report.frames: a frame has a row for each record."""

from __future__ import annotations

import pytest

from resilience.core.errors import UsageError
from resilience.report import frames
from tests.kits import incident_factory as factory


def test_frames_have_a_row_for_each_record() -> None:
    story = factory.drill()
    frame = frames.samples_frame(story.samples)
    assert len(frame) == len(story.samples)
    assert str(frame["at"].dt.tz) == "UTC"
    assert frame["at"].is_monotonic_increasing
    assert set(frame.loc[frame.service == "database", "fault"].dropna()) == {"tcp_timeout"}
    assert story.incident.tests is not None
    assert len(frames.tests_frame(story.incident.tests)) == len(story.incident.tests.tests)
    assert list(frames.services_frame(story.incident.health)["status"])[:2] == ["unavailable", "unavailable"]
    assert frames.samples_frame(()).empty
    assert frames.tests_frame(None).empty
    assert frames.services_frame(None).empty


@pytest.mark.parametrize(
    ("name", "column"), [("services", "status"), ("samples", "response_time_s"), ("tests", "outcome")]
)
def test_a_frame_is_asked_for_by_name_and_has_its_columns_also_where_nothing_is_known_yet(
    name: str, column: str
) -> None:
    story, empty = factory.drill(), factory.failed()
    assert len(frames.frame(name, story.incident, story.samples)) > 0
    nothing = frames.frame(name, empty.incident, empty.samples)
    assert nothing.empty
    assert column in nothing.columns


def test_words_are_plain_text_that_a_cell_can_compare() -> None:
    tests = frames.frame("tests", factory.drill().incident, ())
    assert {type(word) for word in tests["outcome"]} == {str}
    assert (tests["outcome"] == "timeout").sum() == 1


def test_a_mistyped_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r'no frame \'sample\'.*did you mean "samples"'):
        frames.frame("sample", factory.drill().incident, ())
