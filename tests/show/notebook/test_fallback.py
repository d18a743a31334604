"""resilience.show.notebook.fallback: what was put back is said, also where it was nothing."""

from __future__ import annotations

from resilience.core.records import (
    Restored,
)
from resilience.show import notebook as views
from tests.kits.shown import NOW


def test_nothing_to_restore_is_said() -> None:
    nothing = Restored(run="", restored_at=NOW, files=(), identical=True, nothing_to_do=True)
    assert "nothing to put back" in views.html(nothing)
