"""resilience.report.exports.export: an export without its files cannot be made."""

from __future__ import annotations

import pytest

from resilience.report.exports.export import Export


def test_an_export_without_its_files_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="files"):
        Export(name="ctrf.json")  # type: ignore[call-arg]
