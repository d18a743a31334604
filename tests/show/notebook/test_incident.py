"""resilience.show.notebook.incident: a run names its files, and that it was a drill."""

from __future__ import annotations

from pathlib import PurePath

from resilience.show import notebook as views
from tests.kits.shown import INCIDENT


def test_a_run_names_its_files_and_that_it_was_a_drill() -> None:
    shown = views.incident_view(INCIDENT, [PurePath("/x/report.html")])
    assert "report.html" in shown
    assert "nothing here says anything about staging" in shown
    assert "in cell tests" in shown
