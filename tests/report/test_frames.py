"""resilience.report.frames: a frame has a row for each record."""

from __future__ import annotations

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
