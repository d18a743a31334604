"""resilience.report.exports: one file an export; one that fails is named and loses no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.core.redact import Redactor
from resilience.report import exports, render
from resilience.report.exports.export import Export, File
from resilience.report.view import View
from tests.kits import incident_factory as factory

HELPERS = {"__init__", "export"}


def test_each_file_of_the_folder_is_an_export() -> None:
    modules = {path.stem for path in Path(exports.__file__).parent.glob("*.py")} - HELPERS
    assert len(exports.EXPORTS) == len(modules)
    assert {export.name for export in exports.EXPORTS} == {
        "allure-results", "annotations.txt", "ctrf.json", "junit.xml", "metrics.prom", "samples.csv", "summary.md"
    }  # fmt: skip


def test_an_export_may_write_many_files_and_one_that_fails_keeps_what_it_wrote_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def files(view: View) -> Iterator[File]:
        yield File(path="results/a.json", content="{}")
        yield File(path="results/b.json", content=iter(["{", "}"]))
        raise OverflowError("too many tests")

    monkeypatch.setattr(exports, "EXPORTS", (Export(name="results", files=files), *exports.EXPORTS))
    story = factory.green()
    written = render(story.incident, story.samples, tmp_path, redactor=Redactor(), charts=False)
    assert {path.name for path in written} >= {"a.json", "b.json", "junit.xml", "metrics.prom", "samples.csv"}
    assert (tmp_path / "results" / "b.json").read_text() == "{}"
    assert "results: could not be made (OverflowError: too many tests)" in (tmp_path / "report.html").read_text()


def test_a_secret_in_an_export_keeps_it_unwritten_and_the_others_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resilience.core.errors import SecretLeakError

    secret = "hunter2-hunter2-hunter2"
    leaky = Export(name="leak.txt", files=lambda view: [File(path="leak.txt", content=f"password {secret}")])
    monkeypatch.setattr(exports, "EXPORTS", (leaky, *exports.EXPORTS))
    story = factory.green()
    with pytest.raises(SecretLeakError, match=r"leak\.txt"):
        render(story.incident, story.samples, tmp_path, redactor=Redactor([secret]), charts=False)
    assert not (tmp_path / "leak.txt").exists()
    assert (tmp_path / "junit.xml").exists()
