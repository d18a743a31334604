"""What pytest-resilience shares with the runbook is one source: the very bytes in its wheel, and tables written from ours."""

from __future__ import annotations

import zipfile

from tests.kits import light_tables
from tests.kits.light_kit import ROOT, wheel


def test_the_recorder_in_the_wheel_is_the_runbooks_own_module_to_the_byte() -> None:
    with zipfile.ZipFile(wheel()) as built:
        ours = (ROOT / "resilience/suite/pytest_plugin.py").read_bytes()
        assert built.read("resilience_light/recorder.py") == ours


def test_the_tables_are_those_that_the_runbook_reads_the_guides_variables_by() -> None:
    assert light_tables.FILE.read_text(encoding="utf-8") == light_tables.tables()
