"""resilience.show.notebook.texts: every record has its lines as well."""

from __future__ import annotations

import pytest

from resilience.show import notebook as views
from tests.kits.shown import RECORDS


@pytest.mark.parametrize("name", RECORDS)
def test_every_record_has_a_text_as_well(name: str) -> None:
    assert views.text(RECORDS[name]).strip()
