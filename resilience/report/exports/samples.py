"""Turn the samples of a view into samples.csv."""

from __future__ import annotations

from collections.abc import Iterator

from resilience.report.exports.export import Export, File
from resilience.report.view import View


def _files(view: View) -> Iterator[File]:
    yield File(path="samples.csv", content=view.columns.csv(), texts=view.columns.texts())


EXPORT = Export(name="samples.csv", files=_files)
