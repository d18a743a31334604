"""resilience.report.gathering: what cannot be read costs only itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from resilience.core.records import Sample
from resilience.core.redact import Redactor
from resilience.report import render
from resilience.runs.history import History
from tests.kits import incident_factory as factory
from tests.kits.markup import FILES, files_of


class Damaged:
    """A history that fails at every question."""

    def __getattr__(self, name: str) -> object:
        raise OSError(5, "Input/output error")


def test_a_damaged_history_costs_only_what_was_in_it(tmp_path: Path) -> None:
    story = factory.green()
    written = render(story.incident, story.samples, tmp_path, redactor=Redactor(), history=Damaged(), charts=False)  # type: ignore[arg-type]
    assert files_of(written, tmp_path) == FILES
    assert "history: could not be made" in (tmp_path / "report.md").read_text()


def test_samples_that_end_in_an_error_cost_only_themselves(tmp_path: Path) -> None:
    def breaking() -> Iterator[Sample]:
        yield factory.green().samples[0]
        raise OSError(5, "Input/output error")

    written = render(factory.green().incident, breaking(), tmp_path, redactor=Redactor(), charts=False)
    assert files_of(written, tmp_path) == FILES
    assert "samples: could not be made" in (tmp_path / "report.md").read_text()


def test_a_report_shows_the_incident_so_far_and_not_only_this_run(tmp_path: Path) -> None:
    story = factory.night()
    half = len(story.samples) // 2
    earlier = replace(story.incident, run="2026-11-22/earlier", recovery=None, restored=None)
    with History(tmp_path / "history.sqlite") as kept:
        kept.record(story.samples[:half], earlier)
        kept.record(story.samples[half:], story.incident)
        render(story.incident, story.samples[half:], tmp_path / "run", redactor=Redactor(), history=kept, charts=False)
    text = (tmp_path / "run" / "report.md").read_text()
    assert "This incident so far: 2 runs" in text
    assert len((tmp_path / "run" / "samples.csv").read_text().splitlines()) == len(story.samples) + 1
